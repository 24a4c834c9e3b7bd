"""Programs are run from argument lists, and every exit status is read."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from vrouter.errors import HostError


def run(command: Sequence[str], limit_s: float) -> str:
    """What the program prints. Raises HostError with the command, the status and the last words on stderr."""
    try:
        done = subprocess.run(
            list(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"cannot run {' '.join(command)}: {error}") from error
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-300:]
        raise HostError(f"{' '.join(command)} exited {done.returncode}: {words}")
    return done.stdout
