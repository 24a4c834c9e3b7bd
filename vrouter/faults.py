"""Places where a test may kill the process, to prove that a crash there loses nothing. Without the variable they are
nothing.

`VROUTER_FAULT` names the place; the process dies there by SIGKILL, as by a power cut that spares the disk.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "claimed",
    "decided",
    "checked",
    "policy applied",
    "files applied",
    "guests applied",
    "network applied",
    "daemons applied",
    "applied",
    "verified",
    "bag written",
    "saved",
    "archived",
    "answered",
)
_CHOSEN = os.environ.get("VROUTER_FAULT")


def reached(point: str) -> None:
    """Die here if this place was chosen."""
    if point == _CHOSEN:
        os.kill(os.getpid(), signal.SIGKILL)
