"""What the kernel tells of a packet that it traces."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Literal

Kind = Literal["rule", "policy", "return"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """protocol: by name, or its number where it is none of TCP, UDP and ICMP. Of ICMP the ports are type and code."""

    protocol: str
    source: IPv4Address
    destination: IPv4Address
    ports: tuple[int, int] = (0, 0)

    def as_json(self) -> dict[str, Any]:
        """Addresses, and ports where it has some."""
        ends: dict[str, Any] = {"source": str(self.source), "destination": str(self.destination)}
        if self.protocol == "icmp":
            return ends | {"icmp_type": self.ports[0], "icmp_code": self.ports[1]}
        if self.protocol in ("tcp", "udp"):
            return ends | {"source_port": self.ports[0], "destination_port": self.ports[1]}
        return ends


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One decision. id: of the packet, used again for later ones. table: with its family. handle: of the rule.

    header, and with it the devices, their indexes, mark and state: only of the first decision of a base chain. state:
    of the connection; empty before conntrack, and where the kernel is too old to tell (before Linux 6.16).
    """

    id: int
    table: str
    chain: str
    kind: Kind
    verdict: str
    handle: int = 0
    header: Header | None = None
    device_in: int = 0
    device_out: int = 0
    mark: int = 0
    state: str = ""
