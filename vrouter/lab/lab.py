"""A lab as a value to work with: started, found again, entered, changed and ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO

from vrouter.lab import box, links, services, state
from vrouter.lab.errors import LabError
from vrouter.lab.rootfs import ENVIRONMENT
from vrouter.lab.topology import SWITCH, TOPOLOGIES, Nic, Node, Topology, guest
from vrouter.model.values import HostName, Mac

LOCK_S = 30.0
"""Seconds to wait for another command that starts, changes or ends the same lab."""

_Stdio = int | IO[bytes] | None


class Lab:
    """A running lab. As a context manager it is ended on leaving."""

    def __init__(self, found: state.State) -> None:
        """Use `up` or `open`."""
        self._state = found

    @classmethod
    def up(cls, topology: str, name: str | None = None, agent: bool = True) -> Lab:
        """Start a lab, named as its topology if not told otherwise; when it returns every node and service is ready.

        agent: start the resident agent in its routers; without it each command does its work in its own process.

        Raises LabError when it cannot be started; then, and on any interruption, nothing of it is left.
        """
        require_root()
        if topology not in TOPOLOGIES:
            raise LabError(f"unknown topology {topology!r}; known: {', '.join(TOPOLOGIES)}")
        if missing := box.missing_programs():
            raise LabError(f"the lab needs programs that are not installed: {', '.join(missing)}")
        shape = TOPOLOGIES[topology]
        name = state.checked(name or topology)
        with state.locked(name, wait_s=0) as directory:
            if any(directory.iterdir()) or box.find(name):
                raise LabError(f"lab {name} is up already; end it with: vrouter lab down {name}")
            try:
                pids = _start(name, shape, directory, agent)
                found = state.State(name=name, topology=topology, started=time.time(), nodes=pids)
                state.save(found)
            except BaseException as error:
                with box.uninterrupted():
                    box.end(name)
                    state.remove(name)
                if isinstance(error, OSError):
                    raise LabError(f"cannot start lab {name}: {error}") from error
                raise
        return cls(found)

    @classmethod
    def open(cls, name: str) -> Lab:
        """A lab that is up. Raises LabError when there is none of that name, or it was never completed."""
        found = state.load(name)
        if found is None and name in names():
            raise LabError(f"lab {name} is not complete; end it with: vrouter lab down {name}")
        if found is None:
            raise LabError(f"lab {name} does not exist")
        return cls(found)

    @property
    def name(self) -> str:
        """Of the lab."""
        return self._state.name

    @property
    def topology(self) -> Topology:
        """What it was started from; guests added later and plugged links are not in it."""
        return TOPOLOGIES[self._state.topology]

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        return self._state.started

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names, without the switch."""
        return tuple(node for node in self._state.nodes if node != SWITCH)

    def complete(self) -> bool:
        """Whether every box is alive."""
        return all(box.alive(pid, self.name, node) for node, pid in self._state.nodes.items())

    def pid(self, node: str) -> int:
        """The process id of the node's PID 1; the switch is a node too. Raises LabError when there is none."""
        if node not in self._state.nodes:
            self._state = state.load(self.name) or self._state  # another process may have added it
        pid = self._state.nodes.get(node)
        if pid is None:
            raise LabError(f"lab {self.name} has no node {node!r}; it has {', '.join(self.nodes)}")
        if not box.alive(pid, self.name, node):
            raise LabError(f"node {node} of lab {self.name} has ended")
        return pid

    def popen(
        self, node: str, argv: Sequence[str], *, stdin: _Stdio = None, stdout: _Stdio = None, stderr: _Stdio = None
    ) -> box.Command:
        """Start a command in a node, in / with PATH of a system; `terminate` and `kill` reach the command itself."""
        require_root()
        command = box.entering(self.pid(node), argv)
        return box.Command(command, stdin=stdin, stdout=stdout, stderr=stderr, env=dict(ENVIRONMENT))

    def run(
        self,
        node: str,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout_s: float = 30,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a node to its end. Its output is text; a negative return code is the signal that killed it.

        stdin: empty when not given. Raises LabError after `timeout_s` seconds (the command is killed), and with `check`
        when the command fails.
        """
        source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        what = f"{node}: {' '.join(argv)}"
        with self.popen(node, argv, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout_s)
            except BaseException as error:
                process.kill()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise LabError(f"{what} took longer than {timeout_s:g} s") from error
                raise
        done = subprocess.CompletedProcess(
            list(argv), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )
        if check and done.returncode != 0:
            raise LabError(f"{what} exited {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done

    def put(self, node: str, path: str, data: bytes, mode: int = 0o600) -> None:
        """Replace a file in a node, and make the directories it needs. Raises LabError when it cannot be written.

        It appears whole, under its name only when it is finished: an agent takes a command as soon as it sees one.
        """
        part = str(Path(path).parent / f".{Path(path).name}.part")
        script = 'install -D -T --mode="$1" /dev/stdin "$2" && mv -f -T "$2" "$3"'
        self.run(node, ["sh", "-c", script, "sh", f"{mode:o}", part, path], stdin=data, check=True)

    def add_link(self, node: str, device: str, segment: str, mac: str) -> None:
        """Plug a NIC into a node; it is down and without addresses. Raises LabError when it cannot be."""
        if segment not in self.topology.segments:
            known = ", ".join(self.topology.segments)
            raise LabError(f"lab {self.name} has no segment {segment!r}; it has {known}")
        try:
            nic = Nic(device=device, segment=segment, mac=Mac(mac))
        except ValueError as error:
            raise LabError(str(error)) from error
        links.Batch(SWITCH, self.pid(SWITCH), [links.port(node, nic, self.pid(node))]).finish()

    def remove_link(self, node: str, device: str) -> None:
        """Unplug a NIC from a node. Raises LabError when there is none."""
        links.Batch(node, self.pid(node), [f"link del {device}"]).finish()

    def add_guest(self, name: str, mac: str) -> None:
        """Start one more guest with a web host and a DHCP client. Raises LabError when it cannot be started."""
        try:
            node = guest(name, Mac(mac))
        except ValueError as error:
            raise LabError(str(error)) from error
        with state.locked(self.name, LOCK_S) as directory:
            now = state.load(self.name)
            if now is None:
                raise LabError(f"lab {self.name} has ended")
            if name in now.nodes:
                raise LabError(f"lab {self.name} has a node {name} already")
            try:
                pid = box.Start(self.name, node, directory).pid()
                _wire(now.nodes[SWITCH], [node], {name: pid})
                self._state = replace(now, nodes={**now.nodes, name: pid})
                state.save(self._state)
            except BaseException:
                with box.uninterrupted():
                    box.end(self.name, name)
                    shutil.rmtree(directory / name, ignore_errors=True)
                raise

    def down(self) -> None:
        """End the lab; ending twice is fine."""
        end(self.name)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def names() -> list[str]:
    """Every lab of which anything exists, complete or not, sorted."""
    return sorted({*state.names(), *(process.lab for process in box.find())})


def end(name: str) -> bool:
    """End a lab, whatever state it is in; False when nothing of it was there.

    Raises LabError when it cannot be ended.
    """
    require_root()
    if state.checked(name) not in names():
        return False
    with state.locked(name, LOCK_S), box.uninterrupted():
        box.end(name)
        state.remove(name)
    return True


def require_root() -> None:
    """Raises LabError that says so when this process is not root."""
    if os.geteuid() != 0:
        raise LabError("vrouter lab needs root, for namespaces and mounts: run it with sudo")


def _start(name: str, topology: Topology, directory: Path, agent: bool) -> dict[str, int]:
    """Start all boxes at once, then wire them and start their services. The process id of each node's PID 1."""
    switch = Node(name=SWITCH, hostname=HostName(SWITCH))
    starts = [box.Start(name, node, directory) for node in (*topology.nodes, switch)]
    pids = {start.node.name: start.pid() for start in starts}
    links.Batch(SWITCH, pids[SWITCH], links.bridges(topology)).finish()
    _wire(pids[SWITCH], topology.nodes, pids)
    routers = [node for node in topology.nodes if node.router and agent]
    for launch in [services.Launch(node.name, pids[node.name], services.AGENT) for node in routers]:
        launch.finish()
    return pids


def _wire(switch: int, nodes: Sequence[Node], pids: dict[str, int]) -> None:
    """Servers need no links and the longest time, so they are started first and waited for last."""
    launches = [services.Launch(node.name, pids[node.name], argv) for node in nodes for argv in services.servers(node)]
    ports = [links.port(node.name, nic, pids[node.name]) for node in nodes for nic in node.nics]
    links.Batch(SWITCH, switch, ports).finish()
    for batch in [links.Batch(node.name, pids[node.name], links.configuration(node)) for node in nodes]:
        batch.finish()
    launches += [services.Launch(node.name, pids[node.name], argv) for node in nodes for argv in services.clients(node)]
    for launch in launches:
        launch.finish()
