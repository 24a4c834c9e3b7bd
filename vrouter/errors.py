"""Every error that vrouter raises on purpose."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass


class VrouterError(Exception):
    """A failure that is reported to the caller as text, never as a traceback."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong with a command: where, what was found, what was expected, how to mend it.

    path: the field, as `rules[0].protocol`; empty for the whole document. value: what was found, shortened and made
    printable, `***` for a secret.
    """

    path: str
    value: str
    expected: str
    fix: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        found = f"{self.value} is not {self.expected}" if self.value else self.expected
        return f"{where}{found}" + (f"; {self.fix}" if self.fix else "")

    def as_json(self) -> dict[str, str]:
        """The fault as it stands in a `.error` file (design 4a)."""
        return asdict(self)


class Refused(VrouterError):
    """A command that cannot be applied, with all its faults; nothing was changed. type: of the command, once known."""

    def __init__(self, faults: Sequence[Fault], type: str = "") -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
        self.type = type


class BagError(VrouterError):
    """A databag that cannot be read; it is never treated as empty (contract commands 7.2, D1)."""


class HistoryError(VrouterError):
    """A state that is not kept, or that no way leads back to."""


class IntakeError(VrouterError):
    """A command file that cannot be found, claimed or archived."""


class SettingsError(VrouterError):
    """A setting that cannot be used."""


class HostError(VrouterError):
    """The machine refused a change or cannot be observed; says what was being done."""


def unexpected(error: Exception) -> str:
    """What is said of an error that nobody raised on purpose: one line, with the place to look at."""
    *_, place = traceback.extract_tb(error.__traceback__)
    return f"internal error: {error!r} at {place.filename}:{place.lineno}; please report it"
