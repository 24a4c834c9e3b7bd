"""The command line's way into a box: this very process joins the namespaces, then starts the command.

`nsenter` does for a program (see box.Command), but a terminal's Ctrl-C would kill it before the command has answered
the signal, and a killed `lab exec` would leave the command running.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab, require_root
from vrouter.lab.rootfs import ENVIRONMENT

_NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000  # mount, uts, ipc, pid, net: setns(2)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_SI_KERNEL = 0x80  # sigaction(2): not sent by a process
_PASSED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit statuses of a command that cannot be started, as a shell has them."""


def execute(lab: Lab, node: str, argv: Sequence[str]) -> int:
    """Run a command in a node with this process's input and output; its exit status, 128 + n when signal n killed it.

    The process stays in the node's namespaces, so this is the last thing it does. Signals that end a process are passed
    on; the interrupt and quit keys of a terminal have reached the command already. Raises LabError when the node cannot
    be entered.
    """
    require_root()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _join(libc, lab.pid(node))
    except OSError as error:
        raise LabError(f"cannot enter node {node} of lab {lab.name}: {error}") from error
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        signal.pthread_sigmask(signal.SIG_SETMASK, held)

    environment = {**ENVIRONMENT, "TERM": os.environ.get("TERM", ENVIRONMENT["TERM"])}
    try:
        process = subprocess.Popen(argv, env=environment, preexec_fn=prepare)  # there is only one thread
    except OSError as error:
        print(f"vrouter lab exec: {argv[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    return _status(process)


def _status(process: subprocess.Popen[bytes]) -> int:
    """Wait for the command with its signals blocked: a handler could run just before the wait begins, and be missed."""
    while (status := process.poll()) is None:
        info = signal.sigwaitinfo({*_PASSED_ON, signal.SIGCHLD})
        from_terminal = info.si_code == _SI_KERNEL and info.si_signo in (signal.SIGINT, signal.SIGQUIT)
        if info.si_signo != signal.SIGCHLD and not from_terminal:
            process.send_signal(info.si_signo)
    return status if status >= 0 else 128 - status


def _join(libc: ctypes.CDLL, pid: int) -> None:
    """Make the box of PID 1 `pid` this process's own; children get its pid namespace. Raises OSError."""
    box = os.pidfd_open(pid)
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)
    if libc.setns(box, _NAMESPACES) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.fchdir(root)  # in a chroot the box's root is not that of its mount namespace
    os.chroot(".")
    os.close(root)
    os.close(box)
