"""Places where a test may kill the process, to prove that a crash there loses nothing. Without the variable they are
nothing.

`VROUTER_FAULT` names the place; the process dies there by SIGKILL, as by a power cut that spares the disk. `PLACE#2`:
the second time that it comes there.
"""

from __future__ import annotations

import itertools
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
_CHOSEN, _, _TIME = os.environ.get("VROUTER_FAULT", "").partition("#")
_times = itertools.count(1)


def reached(point: str) -> None:
    """Die here if this place was chosen."""
    if point == _CHOSEN and next(_times) == int(_TIME or 1):
        os.kill(os.getpid(), signal.SIGKILL)
