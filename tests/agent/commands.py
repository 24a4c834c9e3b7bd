"""Commands that the agent's tests send."""

from __future__ import annotations

from typing import Any

from tests.system.commands import public
from tests.system.kit import Document, example

BROKEN: Document = {"type": "forwardrules", "rules": [{"protocol": "tpc"}]}


def forward(port: int, guest: str = "10.1.1.12", revoke: bool = False, address: str = "192.0.2.10") -> dict[str, Any]:
    """One rule of `forwardrules`: a TCP port to a guest's port 80."""
    return {
        "revoke": revoke, "protocol": "tcp", "source_ip_address": address, "source_port_range": f"{port}:{port}",
        "destination_ip_address": guest, "destination_port_range": "80:80", "source_cidr_list": "",
    }  # fmt: skip


def forwards(*rules: Document) -> Document:
    """The command `forwardrules`."""
    return {"type": "forwardrules", "rules": list(rules)}


def host(number: int, **fields: object) -> Document:
    """The command `dhcpentry` for guest `number` of the guest network, from 20 on."""
    mac = f"02:00:4c:02:{number >> 8:02x}:{number & 255:02x}"
    named = {"host_name": f"vm{number}", "mac_address": mac, "ipv4_address": f"10.1.1.{number}"}
    return {**example("isolated/10-dhcpentry-web1"), **named, **fields}


def address(number: int, **fields: object) -> Document:
    """The command `ips` for one more address of the first public range."""
    return {"type": "ips", "ip_address": [public(f"192.0.2.{number}", **fields)]}
