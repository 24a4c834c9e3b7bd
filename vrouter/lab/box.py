"""Boxes: nodes as processes in namespaces of their own; started, found again, entered and ended.

Nothing of a box outlives its PID 1: namespaces, mounts, links and processes go with it, and it goes with its parent,
the `unshare` that made it. Both carry a marker among their arguments, so that /proc alone tells what there is to end,
even when the command that started them was killed before it could write anything down.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vrouter.lab import state
from vrouter.lab.errors import LabError
from vrouter.lab.rootfs import BOX, ENVIRONMENT, PATH, arguments, mount_points, write_files
from vrouter.lab.topology import Node

READY_S = 20.0
"""Seconds a box may take to be ready; it takes 0.1 on an idle machine."""

END_S = 10.0
"""Seconds the processes of a lab may take to disappear after SIGKILL."""

NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc")

_QUIET = 2  # times that nothing is found
_NESTED = 2  # pid namespaces in which the PID 1 of a box has a number
_MARKER = re.compile(r"vrouter-lab:([a-z0-9-]+):([a-z0-9-]+)")


def marker(lab: str, node: str) -> str:
    """The argument by which the processes of a box are found."""
    return f"vrouter-lab:{lab}:{node}"


@dataclass(frozen=True)
class Found:
    """A process that is the PID 1 of a box (`inside`), or the one that makes it and waits for it."""

    pid: int
    lab: str
    node: str
    inside: bool = True


class Start:
    """A box that is being started. `pid` waits until it is ready."""

    def __init__(self, lab: str, node: Node, directory: Path) -> None:
        """directory: of the lab. The box detaches from the terminal and the caller's session at once."""
        self.node = node
        own = directory / node.name
        own.mkdir()
        (own / "mnt").mkdir()
        write_files(own / "files", node)
        points = mount_points()
        self._log = directory / f"{node.name}.log"
        with self._log.open("wb") as log:
            propagation = "private" if "/" in points else "unchanged"  # which / has nothing to say about
            unshare = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--propagation", propagation, "--"]
            script = ["/bin/sh", str(BOX), marker(lab, node.name), str(own), node.hostname]
            self._process = subprocess.Popen(
                [*unshare, *script, *arguments(node, points)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=dict(ENVIRONMENT),
            )

    def pid(self) -> int:
        """The process id of PID 1, as the machine counts. Raises LabError when it ends or takes longer than READY_S."""
        pipe = self._process.stdout
        assert pipe is not None
        ready = _readable(pipe.fileno(), READY_S)
        line = pipe.readline().strip() if ready else b""
        pipe.close()
        if not line.isdigit():
            what = "did not start" if ready else f"was not ready after {READY_S:g} s"
            raise LabError(f"node {self.node.name} {what}: {self._log.read_text(errors='replace').strip()[-500:]}")
        self._process.returncode = 0  # it lives on, and `end` reaps it; Popen would warn
        return int(line)


def find(lab: str | None = None) -> list[Found]:
    """The processes that hold boxes of one lab, or of all; not those of a lab in a container or of another root."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (process := _found(int(entry))) and lab in (None, process.lab):
            found.append(process)
    return sorted(found, key=lambda process: process.pid)


def alive(pid: int, lab: str, node: str) -> bool:
    """Whether the process is still the PID 1 of that box, and not a later one of the same number."""
    return _found(pid) == Found(pid, lab, node)


def _found(pid: int) -> Found | None:
    """Decide by the arguments `MARKER DIRECTORY` of box.sh, whatever program has them, and by the pid namespace.

    The maker lives in ours; the PID 1 has a number here and is 1 there; what a container's lab has looks different.
    """
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        for word, directory in pairwise(words):
            if (match := _MARKER.fullmatch(word)) and directory == str(state.root() / match[1] / match[2]):
                numbers = _numbers(pid)
                inside = len(numbers) == _NESTED and numbers[-1] == 1
                maker = len(numbers) == 1 and pid != 1
                return Found(pid, match[1], match[2], inside) if inside or maker else None
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass  # ended meanwhile, or not ours to see
    return None


def _numbers(pid: int) -> list[int]:
    """The process's number in each pid namespace, from the one of /proc down."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return [int(number) for number in line.split()[1:]]


def end(lab: str, node: str | None = None) -> None:
    """End every process of one box of the lab, or of all. Raises LabError when some remain after END_S seconds.

    Twice in a row nothing must be found: a process that is just replacing its program shows no arguments for a moment.
    A maker is left to reap its PID 1 and to end by itself: the machine's init may be slow to reap.
    """
    limit = time.monotonic() + END_S
    quiet = 0
    ended: set[int] = set()
    while quiet < _QUIET:
        processes = [process for process in find(lab) if node in (None, process.node)]
        if processes and time.monotonic() > limit:
            raise LabError(f"lab {lab}: processes remain: {' '.join(str(process.pid) for process in processes)}")
        _kill([process.pid for process in processes if process.inside] or [process.pid for process in processes])
        ended |= {process.pid for process in processes}
        quiet = 0 if processes else quiet + 1
        time.sleep(0.01)
    for pid in ended:
        with suppress(ChildProcessError):  # not started by this process
            os.waitpid(pid, 0)


def _kill(pids: Sequence[int]) -> None:
    """SIGKILL all, and wait until they are dead: a PID 1 is so only when every process of its namespace is."""
    held = []
    for pid in pids:
        with suppress(ProcessLookupError):
            held.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(held[-1], signal.SIGKILL)
    end_at = time.monotonic() + END_S
    for process in held:
        _readable(process, max(0.0, end_at - time.monotonic()))
        os.close(process)


def _readable(descriptor: int, limit_s: float) -> bool:
    """Wait until something can be read, or the process of a pidfd is dead; poll(2) has no limit on descriptors."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(limit_s * 1000))


class Command(subprocess.Popen[bytes]):
    """A command in a box. Signals go to the command itself; `nsenter`, our child, then ends as the command did.

    So `terminate()` and `kill()` leave nothing running in the box, and `returncode` is the command's.
    """

    def send_signal(self, sig: int) -> None:
        """As Popen.send_signal."""
        with suppress(OSError):
            inner = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            if self.poll() is None and inner:
                os.kill(int(inner[0]), sig)
                return
        super().send_signal(sig)


def entering(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in the box whose PID 1 is `pid`.

    Root and directory are named, because in a chroot the box's root is not that of its mount namespace.
    """
    return ["nsenter", "-t", str(pid), *NAMESPACES, "--root", "--wd", "--", *argv]


def missing_programs() -> list[str]:
    """What a lab needs and the machine lacks."""
    needed = ("unshare", "nsenter", "mount", "pivot_root", "ip", "busybox", "dnsmasq", "setsid", "flock")
    return [program for program in needed if shutil.which(program, path=PATH) is None]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back SIGINT, SIGTERM and SIGHUP of this thread until the end of the block."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
