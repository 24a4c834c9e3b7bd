"""The lease file that dnsmasq writes; while it does not run, also we."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address

from vrouter.host import files
from vrouter.model.observed import Lease
from vrouter.model.resources import File
from vrouter.model.values import Mac


def leases(path: str) -> tuple[Lease, ...]:
    """By address; none where there is no file yet. Lines of other kinds are left out. Raises HostError."""
    held = files.read(path)
    found = []
    for line in held.text.splitlines() if held else ():
        words = line.split()
        try:
            found.append(
                Lease(address=IPv4Address(words[2]), mac=words[1].lower(), expires=int(words[0]),
                      name="" if words[3] == "*" else words[3])
            )  # fmt: skip
        except (AddressValueError, ValueError, IndexError):
            continue  # DHCPv6, or a line that is being written
    return tuple(sorted(found, key=lambda lease: lease.address))


def forget(path: str, gone: Iterable[tuple[IPv4Address, Mac]]) -> None:
    """Take the leases of these addresses and MACs out of the file. Raises HostError."""
    held = files.read(path)
    if held is None:
        return
    lost = {(str(mac), str(address)) for address, mac in gone}
    lines = held.text.splitlines(keepends=True)
    text = "".join(line for line in lines if tuple(line.lower().split()[1:3]) not in lost)
    if text != held.text:
        files.write(File(path=path, text=text, mode=held.mode))
