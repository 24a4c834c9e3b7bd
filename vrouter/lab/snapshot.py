"""The state of a lab's routers, kept and brought back: bags, caches and history; the rest is the router's convergence.

A snapshot is one archive a router, below `.snapshots/NAME/` in the directory of the lab; it goes with the lab.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vrouter.lab import services, state
from vrouter.lab.errors import LabError
from vrouter.lab.lab import LOCK_S, Lab, require_root

HOME = "/root/from"
"""In the router: the files that the lab was made from, as they were found."""

UP = "up"
"""The snapshot that `lab up` leaves: what `reset` goes back to without a name."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,30}")
_DIRECTORY = ".snapshots"
_SOCKET = "run/vrouter/agent.sock"
_STOP_S = 20.0
_CONVERGE_S = 120.0
_DERIVED = "/var/lib/vrouter/dnsmasq"  # files that the router writes anew; the daemon watches them
_SAVED = ("/etc/cloudstack", "/etc/vrouter", "/var/cache/cloud", "/var/lib/vrouter", "/var/log/vrouter")

_LOCKED = 'mkdir -p /run/vrouter && exec flock /run/vrouter/lock sh -eu -c "$1" sh'
_PACK = f"exec tar -C / -c --exclude=.{_DERIVED} {' '.join(f'.{path}' for path in _SAVED)}"
_CLEAR = (
    "for path in /etc/cloudstack/* /etc/cloudstack/.[!.]* /var/cache/cloud/* /var/cache/cloud/.[!.]* "
    f'/var/lib/vrouter/* /var/log/vrouter/*; do if [ "$path" != {_DERIVED} ]; then rm -rf -- "$path"; fi; done; '
    "cd /var/cache/cloud; mkdir -m 0700 claimed failed processed; "
)
_UNPACK = f"{_CLEAR} exec tar -C / -x --no-same-owner"


def save(lab: Lab, name: str = "") -> str:
    """Save every router's state under a name, the next number if none is given; one of that name is replaced.

    Returns the name. Raises LabError.
    """
    require_root()
    with state.locked(lab.name, LOCK_S) as directory:
        held = names(lab.name)
        name = name or str(next(n for n in range(1, len(held) + 2) if str(n) not in held))
        if not _NAME.fullmatch(name):
            raise LabError(f"{name!r} is not a snapshot name: [a-z0-9][a-z0-9._-]*, at most 31 characters")
        target = directory / _DIRECTORY / name
        fresh = target.with_name(f"{name}~")
        fresh.mkdir(parents=True)
        try:
            for node in lab.routers:
                with _without_agent(lab, node):
                    (fresh / f"{node}.tar").write_bytes(_script(lab, node, _PACK))
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return name


def reset(lab: Lab, name: str = UP) -> int | None:
    """Bring every router back to a snapshot; how many changes its convergence made. Raises LabError.

    Without the snapshot UP the lab came up with a router that had been told nothing: it is started anew, because a
    router that serves nothing is not yet one that was never told. Then the result is None.
    """
    require_root()
    with state.locked(lab.name, LOCK_S) as directory:
        source = directory / _DIRECTORY / name
        if not source.is_dir() and (name != UP or not _NAME.fullmatch(name)):
            known = ", ".join([UP, *names(lab.name)])
            raise LabError(f"lab {lab.name} has no snapshot {name!r}; it has {known}")
        if not source.is_dir():
            for node in lab.routers:
                _renew(lab, node, directory)
            return None
        return sum(restore(lab, node, (source / f"{node}.tar").read_bytes()) for node in lab.routers)


def _renew(lab: Lab, node: str, directory: Path) -> None:
    """The files that the lab was made from stay, and an agent where one ran."""
    agent = _agent(lab.pid(node))
    kept = lab.output(node, ["sh", "-c", f"if [ -d {HOME} ]; then tar -C / -c .{HOME}; fi"])
    lab.renew(node, directory)
    if kept:
        lab.unpack(node, kept)
    _start_agent(lab, node, agent)


def names(lab: str) -> list[str]:
    """The snapshots that were asked for, sorted."""
    with suppress(FileNotFoundError):
        return sorted(p.name for p in (state.root() / lab / _DIRECTORY).iterdir() if p.name != UP and p.name[-1] != "~")
    return []


def restore(lab: Lab, node: str, archive: bytes) -> int:
    """Put a router's bags and caches in place of those it has, and let it converge; the number of its changes.

    The agent, which holds the bags in memory, is stopped for it. Raises LabError; then the files are in place anyway.
    """
    with _without_agent(lab, node):
        _script(lab, node, _UNPACK, archive)
        done = lab.run(node, ["vrouter", "converge", "--json"], timeout_s=_CONVERGE_S)
        if done.returncode != 0:
            raise LabError(f"{node}: {(done.stderr or done.stdout).strip()}")
    return len(json.loads(done.stdout)["changes"])


@contextmanager
def _without_agent(lab: Lab, node: str) -> Iterator[None]:
    """Stop the router's agent, which saves all it has, and start it again at the end where one ran.

    After a failure its start is only tried: what keeps it from starting is what is told already.
    """
    pid = _agent(lab.pid(node))
    if pid:
        _stop(pid, node)
    try:
        yield
    except BaseException:
        with suppress(LabError):
            _start_agent(lab, node, pid)
        raise
    _start_agent(lab, node, pid)


def _start_agent(lab: Lab, node: str, ran: int | None) -> None:
    if ran:
        services.Launch(node, lab.pid(node), services.AGENT).finish()


def _agent(router: int) -> int | None:
    """The agent's process, as the machine counts: whoever listens on its socket. router: the PID 1 of the node."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(f"/proc/{router}/root/{_SOCKET}")
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid or None


def _stop(pid: int, node: str) -> None:
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            poll = select.poll()
            poll.register(process, select.POLLIN)
            if not poll.poll(_STOP_S * 1000):
                raise LabError(f"the agent of {node} did not stop within {_STOP_S:g} s")
        finally:
            os.close(process)


def _script(lab: Lab, node: str, script: str, stdin: bytes = b"") -> bytes:
    """Run it in the router while no command can run there; its output."""
    return lab.output(node, ["sh", "-c", _LOCKED, "sh", script], stdin=stdin, timeout_s=_CONVERGE_S)
