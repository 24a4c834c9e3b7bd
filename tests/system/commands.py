"""Command documents for the tests of the data plane, each with what the isolated example leaves out of sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.system.kit import Document, example

MACS = {2: "1e:00:4c:00:00:02", 3: "1e:00:4c:00:00:03"}
_RANGES = {2: "192.0.2", 3: "198.51.100"}


def boot(**members: str | None) -> Document:
    """The example's boot arguments with other members; None takes one away."""
    document = example("isolated/01-cmdline")
    merged = {**document["cmd_line"], **members}
    return {**document, "cmd_line": {name: value for name, value in merged.items() if value is not None}}


def public(address: str, **fields: object) -> dict[str, Any]:
    """An element of `ips` for an address of the first or second public range, on its NIC."""
    number = next((number for number, start in _RANGES.items() if address.startswith(f"{start}.")), 3)
    return {
        "public_ip": address, "netmask": "255.255.255.0", "gateway": f"{_RANGES[number]}.1", "source_nat": False,
        "add": True, "one_to_one_nat": False, "first_i_p": False, "vif_mac_address": MACS[number],
        "nic_dev_id": number, "new_nic": False, "nw_type": "Public", **fields,
    }  # fmt: skip


def ips(*elements: Document) -> Document:
    """The command `ips`."""
    return {"type": "ips", "ip_address": list(elements)}


def gone(address: str) -> Document:
    """The command that takes one address away."""
    return ips(public(address, add=False))


def ingress(number: int, address: str, protocol: str, first: int = 0, last: int = 0, **fields: object) -> Document:
    """A firewall rule that opens ports of a public address, or its ping, for anyone."""
    rule: dict[str, object] = {
        "id": number, "src_ip": address, "protocol": protocol, "revoked": False, "already_added": False,
        "source_cidr_list": ["0.0.0.0/0"], "purpose": "Firewall", "traffic_type": "Ingress",
    }  # fmt: skip
    return _rule(rule, protocol, first, last, fields)


def egress(number: int, protocol: str, first: int = 1, last: int = 65535, **fields: object) -> Document:
    """A firewall rule that lets guests out, from any source to anywhere."""
    rule: dict[str, object] = {
        "id": number, "src_ip": "", "protocol": protocol, "revoked": False, "already_added": False,
        "source_cidr_list": [], "dest_cidr_list": [], "purpose": "Firewall", "traffic_type": "Egress",
        "default_egress_policy": False,
    }  # fmt: skip
    return _rule(rule, protocol, first, last, fields)


def _rule(rule: dict[str, object], protocol: str, first: int, last: int, fields: dict[str, object]) -> Document:
    if protocol == "icmp":
        rule |= {"icmp_type": -1, "icmp_code": -1}
    else:
        rule["src_port_range"] = [first, last or first]
    return {"type": "firewallrules", "rules": [rule | fields]}


def forward(address: str, port: int, guest: str, guest_port: int, *, revoke: bool = False) -> Document:
    """The command that forwards one port, or takes the forward away."""
    rule = {
        "revoke": revoke, "protocol": "tcp", "source_ip_address": address, "source_port_range": f"{port}:{port}",
        "destination_ip_address": guest, "destination_port_range": f"{guest_port}:{guest_port}", "source_cidr_list": "",
    }  # fmt: skip
    return {"type": "forwardrules", "rules": [rule]}


def static_nat(address: str, guest: str, revoke: bool = False) -> Document:
    """The command that makes a public address one guest's, or no longer."""
    rule = {
        "revoke": revoke, "source_ip_address": address, "source_port_range": "0:0", "destination_ip_address": guest,
    }  # fmt: skip
    return {"type": "staticnatrules", "rules": [rule]}


def tier(device: str, mac: str, address: str, **fields: object) -> Document:
    """The command `guestnetwork`: one more guest network, the router being its gateway."""
    return {
        **example("guestnetwork"), "device": device, "mac_address": mac, "router_guest_ip": address,
        "router_guest_gateway": address, "router_guest_netmask": "255.255.255.0", **fields,
    }  # fmt: skip


def host(name: str, mac: str, address: str, **fields: object) -> Document:
    """The command `dhcpentry` for one guest."""
    entry = {"host_name": name, "mac_address": mac, "ipv4_address": address}
    return {**example("isolated/10-dhcpentry-web1"), **entry, **fields}


def aliases(addresses: Sequence[str], revoke: bool = False) -> Document:
    """The command `ipaliases`."""
    listed = [
        {"revoke": revoke, "ip_address": address, "netmask": "255.255.255.0", "count": number}
        for number, address in enumerate(addresses, 1)
    ]
    return {"type": "ipaliases", "aliases": listed}
