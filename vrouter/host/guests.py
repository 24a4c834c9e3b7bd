"""dnsmasq's host directories: one small file a guest for its lease, one for its name, one entry a guest here.

The daemon notices a new file by itself, but it forgets no line: a MAC is withdrawn by overwriting its file with
`MAC,ignore`, and the address of a withdrawn line is *stale*: no other line gets it before the daemon has read all anew.
That is SIGHUP; but on SIGHUP Debian's 2.90 dies if a line sets a tag (contract lab-notes), so tagged lines stand in a
directory of their own, and while there is one the daemon is restarted instead. Both keep leases.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from vrouter.errors import HostError
from vrouter.host import files
from vrouter.model.resources import File, HostRecord, Key, Resource
from vrouter.model.settings import Settings
from vrouter.plan import Holding

DIRECTORIES = ("names", "leases", "tagged", "options")


class Guests:
    """The directories of one router."""

    def __init__(self, settings: Settings) -> None:
        self._base = Path(settings.dnsmasq_dir)
        self._stale = Path(settings.run_dir) / "units" / "dnsmasq.stale"

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

    def directories(self) -> list[str]:
        """Where the files lie."""
        return [str(self._base / name) for name in DIRECTORIES]

    def agrees(self, path: str, want: Holding) -> bool:
        """Whether a guest's file is as it is wanted, or is none."""
        directory, name = os.path.split(path)
        if directory not in self.directories() or name.startswith(".") or directory.endswith("options"):
            return True
        record = want.get(("host", name))
        held = files.read(path)
        if not isinstance(record, HostRecord):
            return held is None
        kind = os.path.basename(directory)
        if kind == "names":
            return held is not None and held.text == record.names + "\n"
        if record.tagged != (kind == "tagged"):
            return held is None
        return held is not None and held.text == record.lease + "\n"

    def has_tagged(self) -> bool:
        """Whether the running daemon may have read a line with a tag."""
        return any(True for _ in self._listed("tagged"))

    def put(self, record: HostRecord) -> None:
        """Write both files; the name first, so that a lease never lacks it. Raises HostError."""
        name = str(record.address)
        files.write(File(path=str(self._base / "names" / name), text=record.names + "\n"))
        there, other = ("tagged", "leases") if record.tagged else ("leases", "tagged")
        files.remove(str(self._base / other / name))
        files.write(File(path=str(self._base / there / name), text=record.lease + "\n"))

    def withdraw(self, record: HostRecord) -> None:
        """Have the daemon ignore the guest; `remove` follows when it has read that. Raises HostError."""
        files.remove(str(self._base / "names" / str(record.address)))
        path = self._base / ("tagged" if record.tagged else "leases") / str(record.address)
        files.write(File(path=str(path), text=f"{record.mac},ignore\n"))
        try:
            self._stale.parent.mkdir(parents=True, exist_ok=True)
            with open(self._stale, "a") as handle:
                handle.write(f"{record.address}\n")
        except OSError as error:
            raise HostError(f"cannot write {self._stale}: {error.strerror}") from error

    def remove(self, record: HostRecord) -> None:
        """Take the files of a withdrawn guest away."""
        for directory in ("leases", "tagged", "names"):
            files.remove(str(self._base / directory / str(record.address)))

    def stale(self) -> set[str]:
        """Addresses of lines that the running daemon still holds."""
        held = files.read(str(self._stale))
        return set(held.text.split()) if held else set()

    def all_read(self) -> None:
        """The daemon has read everything anew."""
        files.remove(str(self._stale))

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
