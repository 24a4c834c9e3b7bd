"""Processes by their pid, and who listens on the agent's socket."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from vrouter.agent.client import SOCKET
from vrouter.model.observed import Process

_CRED = struct.Struct("3i")  # pid, uid, gid (unix(7), SO_PEERCRED)


def process(pid: int) -> Process | None:
    """What proc(5) says of it; None where it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, StopIteration):
        return None
    return Process(
        pid=pid,
        state=words[0],
        since=int(boot.split()[1]) + int(words[19]) / os.sysconf("SC_CLK_TCK"),
        memory_bytes=int(words[21]) * os.sysconf("SC_PAGE_SIZE"),
    )


def agent_pid(run_dir: str) -> int | None:
    """The process that listens for the agent, whether or not it answers: the kernel tells."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.settimeout(1)
            probe.connect(os.path.join(run_dir, SOCKET))
            return int(_CRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CRED.size))[0])
        except OSError:
            return None
