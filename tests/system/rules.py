"""Commands of the isolated network made short: rules and forwards as entries to combine, others as whole documents."""

from __future__ import annotations

from typing import Any

from tests.system.kit import example

Entry = dict[str, Any]

EVERYWHERE = "0.0.0.0/0"
GUESTS = "10.1.1.0/24"
ETH2, ETH3, ETH4 = "1e:00:4c:00:00:02", "1e:00:4c:00:00:03", "02:00:4c:02:00:01"


def firewall(*rules: Entry) -> Entry:
    """The command `firewallrules`."""
    return {"type": "firewallrules", "rules": list(rules)}


def ingress(id: int, to: str, protocol: str, span: str = "", *sources: str, revoked: bool = False) -> Entry:
    """A rule that opens ports "80" or "80-90", or an ICMP type and code "8/-1", of a public address to sources."""
    return _rule(id, protocol, span, sources or (EVERYWHERE,), revoked) | {"src_ip": to, "traffic_type": "Ingress"}


def egress(
    id: int, protocol: str, span: str = "", *, sources: tuple[str, ...] = (GUESTS,), to: tuple[str, ...] = (),
    allow: bool = False,
) -> Entry:  # fmt: skip
    """A rule for what leaves. allow: the network allows by default, and the rule blocks."""
    more = {"src_ip": "", "traffic_type": "Egress", "dest_cidr_list": list(to), "default_egress_policy": allow}
    return _rule(id, protocol, span, sources, False) | more


def default_egress(allow: bool) -> Entry:
    """The system rule."""
    return egress(0, "all", sources=(), allow=allow)


def revoked(rule: Entry) -> Entry:
    """The same rule or forward, to take away."""
    return {**rule, **({"revoked": True} if "revoked" in rule else {"revoke": True})}


def _rule(id: int, protocol: str, span: str, sources: tuple[str, ...], revoked: bool) -> Entry:
    rule: Entry = {
        "id": id, "protocol": protocol, "revoked": revoked, "already_added": False, "purpose": "Firewall",
        "source_cidr_list": list(sources), "default_egress_policy": False,
    }  # fmt: skip
    if protocol == "icmp":
        kind, _, code = (span or "-1/-1").partition("/")
        return rule | {"icmp_type": int(kind), "icmp_code": int(code)}
    if span:
        first, _, last = span.partition("-")
        return rule | {"src_port_range": [int(first), int(last or first)]}
    return rule


def forwards(*rules: Entry) -> Entry:
    """The command `forwardrules`."""
    return {"type": "forwardrules", "rules": list(rules)}


def forward(public: str, ports: str, guest: str, guest_ports: str, protocol: str = "tcp", sources: str = "") -> Entry:
    """A port forward; ports "80" or "80-90"."""
    return {
        "revoke": False, "protocol": protocol, "source_cidr_list": sources,
        "source_ip_address": public, "source_port_range": _range(ports),
        "destination_ip_address": guest, "destination_port_range": _range(guest_ports),
    }  # fmt: skip


def _range(ports: str) -> str:
    first, _, last = ports.partition("-")
    return f"{first}:{last or first}"


def static_nat(public: str, guest: str, revoke: bool = False) -> Entry:
    """The command `staticnatrules` with one rule."""
    rule = {"revoke": revoke, "source_ip_address": public, "source_port_range": "0:0", "destination_ip_address": guest}
    return {"type": "staticnatrules", "rules": [rule]}


def public(address: str, mac: str = ETH2, add: bool = True) -> Entry:
    """The command `ips` with one more address of a public range."""
    number = {ETH2: 2, ETH3: 3}[mac]
    entry = {
        "public_ip": address, "netmask": "255.255.255.0", "gateway": f"{address.rpartition('.')[0]}.1", "add": add,
        "source_nat": False, "one_to_one_nat": False, "first_i_p": False, "vif_mac_address": mac, "nic_dev_id": number,
        "new_nic": False, "nw_type": "public",
    }  # fmt: skip
    return {"type": "ips", "ip_address": [entry]}


def host(name: str, mac: str, address: str, **more: object) -> Entry:
    """The command `dhcpentry`."""
    gateway = f"{address.rpartition('.')[0]}.1"
    return {
        "type": "dhcpentry", "host_name": name, "mac_address": mac, "ipv4_address": address,
        "ipv6_duid": f"00:03:00:01:{mac}", "default_gateway": gateway, "default_entry": True, "remove": False,
    } | more  # fmt: skip


def cmdline(**changes: str) -> Entry:
    """The boot arguments of the isolated example with changes; an empty text takes a member away."""
    document = example("isolated/01-cmdline")
    merged = {**document["cmd_line"], **changes}
    return {**document, "cmd_line": {name: value for name, value in merged.items() if value}}


def alias(address: str, revoke: bool = False) -> Entry:
    """The command `ipaliases` with one address of a /24."""
    return {
        "type": "ipaliases",
        "aliases": [{"revoke": revoke, "ip_address": address, "netmask": "255.255.255.0", "count": 1}],
    }


def tier(address: str, domain: str, mac: str = ETH4, add: bool = True, **more: object) -> Entry:
    """The command `guestnetwork` with a /24 on eth4."""
    return {
        "type": "guestnetwork", "add": add, "mac_address": mac, "device": "eth4", "router_guest_ip": address,
        "router_guest_netmask": "255.255.255.0", "router_guest_gateway": address, "cidr": "24", "dns": "192.0.2.53",
        "domain_name": domain, "is_vr_guest_gateway": True,
    } | more  # fmt: skip
