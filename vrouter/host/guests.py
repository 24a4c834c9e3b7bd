"""dnsmasq's host directories: one small file a guest for its lease, one for its name, one entry a guest here.

The daemon notices a new file by itself. It forgets no lease line without SIGHUP, and on SIGHUP Debian's 2.90 dies if a
line sets a tag (contract lab-notes); so tagged lines stand in a directory of their own, and while there is one the
daemon is restarted instead. Both keep leases.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from vrouter.host import files
from vrouter.model.resources import File, HostRecord, Key, Resource
from vrouter.model.settings import Settings
from vrouter.model.values import Mac
from vrouter.plan import Plan

DIRECTORIES = ("names", "leases", "tagged", "options")


class Guests:
    """The directories of one router."""

    def __init__(self, settings: Settings) -> None:
        self._base = Path(settings.dnsmasq_dir)

    def prepare(self) -> None:
        """The directories that dnsmasq watches from its start."""
        for name in DIRECTORIES:
            (self._base / name).mkdir(parents=True, exist_ok=True, mode=0o755)

    def observe(self) -> dict[Key, Resource]:
        """Every guest that a file says. Raises HostError."""
        found: dict[Key, Resource] = {}
        for directory, tagged in (("leases", False), ("tagged", True)):
            for name in self._listed(directory):
                lease, names = self._text(directory, name), self._text("names", name)
                record = HostRecord(address=IPv4Address(name), lease=lease, names=names, tagged=tagged)
                found[record.key] = record
        return found

    def has_tagged(self) -> bool:
        """Whether the running daemon may have read a line with a tag."""
        return any(True for _ in self._listed("tagged"))

    def put(self, record: HostRecord) -> None:
        """Write both files; the name first, so that a lease never lacks it. Raises HostError."""
        name = str(record.address)
        files.write(File(path=str(self._base / "names" / name), text=record.names + "\n"))
        there, other = ("tagged", "leases") if record.tagged else ("leases", "tagged")
        (self._base / other / name).unlink(missing_ok=True)
        files.write(File(path=str(self._base / there / name), text=record.lease + "\n"))

    def remove(self, record: HostRecord) -> None:
        """Take both files away."""
        for directory in ("leases", "tagged", "names"):
            (self._base / directory / str(record.address)).unlink(missing_ok=True)

    def _listed(self, directory: str) -> Iterable[str]:
        try:
            names = os.listdir(self._base / directory)
        except FileNotFoundError:
            return
        for name in names:
            try:
                yield str(IPv4Address(name))
            except AddressValueError:
                continue  # a file that is being written

    def _text(self, directory: str, name: str) -> str:
        held = files.read(str(self._base / directory / name))
        return held.text.removesuffix("\n") if held else ""


def released(plan: Plan) -> list[tuple[IPv4Address, Mac]]:
    """Leases that ended with the plan: address and MAC of every entry that lost or changed them (DH-10).

    A line that foreign hands wrote may begin with anything: no lease was given for what is no MAC.
    """
    result: list[tuple[IPv4Address, Mac]] = []
    for change in plan.changes:
        before, after = change.before, change.after
        if isinstance(before, HostRecord):
            with suppress(ValueError):
                mac = Mac(before.lease.partition(",")[0])
                if not isinstance(after, HostRecord) or after.lease.partition(",")[0] != mac:
                    result.append((before.address, mac))
    return result
