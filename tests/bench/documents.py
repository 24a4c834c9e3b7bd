"""Commands of any size for the benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_PUBLIC = ("192.0.2.10", "192.0.2.12", "198.51.100.10")


def forwards(numbers: Iterable[int], revoke: bool = False) -> dict[str, Any]:
    """Port forwards: each number a port of its own on one of three public addresses."""
    return {
        "type": "forwardrules",
        "rules": [
            {
                "revoke": revoke, "protocol": "tcp" if number % 2 else "udp",
                "source_ip_address": _PUBLIC[number % 3], "source_port_range": f"{1 + number}:{1 + number}",
                "destination_ip_address": "10.1.1.12", "destination_port_range": f"{1 + number}:{1 + number}",
                "source_cidr_list": "",
            }
            for number in numbers
        ],
    }  # fmt: skip


def rules(numbers: Iterable[int], revoked: bool = False, source: str = "0.0.0.0/0") -> dict[str, Any]:
    """Ingress rules, each for one port."""
    return {
        "type": "firewallrules",
        "rules": [
            {
                "id": 10_000 + number, "src_ip": "192.0.2.10", "protocol": "tcp",
                "src_port_range": [1 + number, 1 + number], "revoked": revoked, "already_added": False,
                "source_cidr_list": [source], "purpose": "Firewall", "traffic_type": "Ingress",
                "default_egress_policy": False,
            }
            for number in numbers
        ],
    }  # fmt: skip


def host(number: int, remove: bool = False) -> dict[str, Any]:
    """A guest NIC."""
    high, low = divmod(number, 256)
    return {
        "type": "dhcpentry", "host_name": f"vm{number}", "mac_address": f"02:00:00:02:{high:02x}:{low:02x}",
        "ipv4_address": f"10.2.{number // 250}.{number % 250 + 1}", "default_gateway": "10.1.1.1",
        "default_entry": True, "remove": remove,
    }  # fmt: skip


def addresses(numbers: Iterable[int], add: bool = True) -> dict[str, Any]:
    """Further public addresses, of a wide range on the first public NIC."""
    return {
        "type": "ips",
        "ip_address": [
            {
                "public_ip": f"198.18.{1 + number // 250}.{number % 250 + 1}", "source_nat": False, "add": add,
                "one_to_one_nat": False, "first_i_p": False, "gateway": "198.18.0.1", "netmask": "255.255.0.0",
                "vif_mac_address": "1e:00:4c:00:00:02", "nic_dev_id": 2, "new_nic": False, "nw_type": "Public",
                "mtu": 1500,
            }
            for number in numbers
        ],
    }  # fmt: skip
