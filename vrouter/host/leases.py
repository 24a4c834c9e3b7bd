"""The lease file that dnsmasq writes."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address

from vrouter.host import files
from vrouter.model.observed import Lease


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
