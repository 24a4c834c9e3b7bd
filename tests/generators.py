"""Valid command documents, drawn small so that they meet: few addresses, few ports, few names."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Json = dict[str, Any]

DEVICES = {
    "eth0": "02:00:4c:01:00:01",
    "eth1": "0e:00:a9:fe:0a:14",
    "eth2": "1e:00:4c:00:00:02",
    "eth3": "1e:00:4c:00:00:03",
    "eth4": "02:00:08:01:00:01",
}
"""eth5 is what a document may name and the machine does not have."""

PUBLIC = tuple([f"192.0.2.{n}" for n in (10, 11, 12)] + [f"198.51.100.{n}" for n in (10, 11)])
GUESTS = tuple(f"10.1.1.{n}" for n in (11, 12, 13))
MASK = "255.255.255.0"
PORTS = ("80:80", "80:89", "85:95", "81:81", "1:65535")
CIDRS = ("203.0.113.0/24", "203.0.113.64/26", "203.0.113.70", "198.51.100.0/25", "0.0.0.0/0")
NAMES = ("web1", "web2", "db1", "app.sub")

flags = st.booleans()


def document(type: str, **fields: SearchStrategy[Any]) -> SearchStrategy[Json]:
    """An object of that type with these fields."""
    return st.fixed_dictionaries({"type": st.just(type), **fields})


def listed(items: SearchStrategy[Any], most: int = 4) -> SearchStrategy[list[Any]]:
    """A short list, seldom empty."""
    return st.lists(items, min_size=0, max_size=most)


def _boot(fields: Json) -> Json:
    return {"type": "cmdline", "cmd_line": {name: value for name, value in fields.items() if value is not None}}


def _optional(*values: str) -> SearchStrategy[str | None]:
    return st.sampled_from([None, *values])


cmdlines: SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "type": st.just("router"), "name": _optional("r-101-VM"),
        "eth0ip": st.sampled_from(["10.1.1.1", "10.1.1.2"]), "eth0mask": st.just(MASK),
        "eth1ip": _optional("169.254.10.20"), "eth1mask": st.just("255.255.0.0"),
        "eth2ip": _optional(*PUBLIC[:2]), "eth2mask": st.just(MASK), "gateway": st.just("192.0.2.1"),
        "dns1": _optional("192.0.2.53", "null"), "dns2": _optional("198.51.100.53", ""),
        "domain": _optional("tenant1.example.com", "null"), "dnssearchorder": _optional("a.example,b.example"),
        "useextdns": _optional("true", "false"), "exposedns": _optional("true"),
        "disable_rp_filter": _optional("true"), "publicMtu": _optional("1400", "null"), "privateMtu": _optional("9000"),
        "localgw": _optional("169.254.0.1"), "mgmtcidr": _optional("10.100.0.0/16,10.101.0.0/16"),
    }
).map(_boot)  # fmt: skip


def _address(public_ip: str, rest: Json) -> Json:
    number = 2 if public_ip.startswith("192") else 3
    gateway = public_ip.rpartition(".")[0] + ".1" if rest.pop("has_gateway") else "None"
    where = {"vif_mac_address": DEVICES[f"eth{number}"], "nic_dev_id": number}
    return {"public_ip": public_ip, "netmask": MASK, "gateway": gateway, **where, **rest}


addresses: SearchStrategy[Json] = st.builds(
    _address,
    st.sampled_from(PUBLIC),
    st.fixed_dictionaries(
        {"add": flags, "source_nat": flags, "has_gateway": flags},
        optional={
            "vif_mac_address": st.sampled_from(["1E:00:4C:00:00:03", "02:00:00:00:00:99", DEVICES["eth4"]]),
            "nic_dev_id": st.sampled_from([2, "3", 5]),
            "nw_type": st.sampled_from(["Public", "public", "guest"]),
            "mtu": st.sampled_from([1500, "1400"]),
        },
    ),
)
ips = document("ips", ip_address=listed(addresses))

tiers: SearchStrategy[Json] = document(
    "guestnetwork",
    add=flags,
    device=st.sampled_from(["eth3", "eth4", "eth5"]),
    mac_address=st.sampled_from([DEVICES["eth3"], DEVICES["eth4"], "02:00:00:00:00:05"]),
    router_guest_ip=st.sampled_from(["10.8.1.1", "10.8.1.2", "10.8.2.1"]),
    router_guest_netmask=st.just(MASK),
    router_guest_gateway=st.sampled_from(["10.8.1.1", "10.8.2.1"]),
    dns=st.sampled_from(["", "192.0.2.53", "192.0.2.53,198.51.100.53"]),
    domain_name=st.sampled_from(["", "null", "vpc1.example.com"]),
    is_vr_guest_gateway=flags,
    mtu=st.sampled_from([1500, "1400"]),
)

hosts: SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "type": st.just("dhcpentry"), "host_name": st.sampled_from(NAMES),
        "mac_address": st.sampled_from(["02:00:4c:01:00:11", "02:00:4C:01:00:11", "02:00:4c:01:00:12"]),
        "ipv4_address": st.sampled_from([*GUESTS, "10.8.1.11"]), "default_entry": flags,
    },
    optional={
        "remove": flags, "add": flags, "static_routes": st.sampled_from(["", "10.9.0.0/16,10.1.1.254"]),
        "default_gateway": st.sampled_from(["0.0.0.0", "10.1.1.1", "10.1.1.254", "10.8.1.1"]),
    },
)  # fmt: skip

subnets = document(
    "dhcpconfig",
    entries=listed(
        st.fixed_dictionaries(
            {"router_ip_address": st.sampled_from(["10.1.1.1", "10.3.1.2", "10.3.2.2"]), "netmask": st.just(MASK)},
            optional={"gateway": st.sampled_from(["10.1.1.254", "10.3.1.1"])},
        )
    ),
)
aliases = document(
    "ipaliases",
    aliases=listed(
        st.fixed_dictionaries(
            {"ip_address": st.sampled_from(["10.3.1.2", "10.3.2.2", "10.3.1.3"]), "netmask": st.just(MASK)},
            optional={"revoke": flags, "count": st.just(1)},
        )
    ),
)


def _rule(id: int, protocol: str, ports: list[int], rest: Json) -> Json:
    ranged = {"src_port_range": sorted(ports)} if protocol in ("tcp", "udp") and ports else {}
    return {"id": id, "protocol": protocol, "traffic_type": "Ingress", **ranged, **rest}


_ports: SearchStrategy[list[int]] = st.lists(st.sampled_from([22, 80, 85, 95]), min_size=2, max_size=2) | st.just([])
_lists: SearchStrategy[list[str]] = listed(st.sampled_from(CIDRS), 3)
rules: SearchStrategy[Json] = st.builds(
    _rule,
    st.integers(0, 5),
    st.sampled_from(["tcp", "udp", "icmp", "all"]),
    _ports,
    st.fixed_dictionaries(
        {
            "src_ip": st.sampled_from(PUBLIC[:3]), "source_cidr_list": _lists,
            "revoked": st.sampled_from([False, False, True]),
        },
        optional={
            "traffic_type": st.just("Egress"), "dest_cidr_list": _lists, "default_egress_policy": flags,
            "icmp_type": st.sampled_from([-1, 3, 8]), "icmp_code": st.sampled_from([-1, 0, 4]),
        },
    ),
)  # fmt: skip
firewalls = document("firewallrules", rules=listed(rules, 5))


def _forward(ports: str, shift: bool, rest: Json) -> Json:
    first, _, last = ports.partition(":")
    moved = f"{int(first) + 1000}:{int(last) + 1000}" if shift and int(last) - int(first) < 20 else ports
    return {"source_port_range": ports, "destination_port_range": moved, **rest}


forward_rules: SearchStrategy[Json] = st.builds(
    _forward,
    st.sampled_from(PORTS),
    flags,
    st.fixed_dictionaries(
        {
            "protocol": st.sampled_from(["tcp", "udp"]), "source_ip_address": st.sampled_from(PUBLIC[:3]),
            "destination_ip_address": st.sampled_from(GUESTS),
        },
        optional={
            "revoke": flags,
            "source_cidr_list": st.sampled_from(["", CIDRS[0], f"{CIDRS[0]},{CIDRS[3]}", f"{CIDRS[3]},{CIDRS[2]}"]),
        },
    ),
)  # fmt: skip
forwards = document("forwardrules", rules=listed(forward_rules, 5))
static_nats = document(
    "staticnatrules",
    rules=listed(
        st.fixed_dictionaries(
            {"source_ip_address": st.sampled_from(PUBLIC[:3]), "destination_ip_address": st.sampled_from(GUESTS)},
            optional={"revoke": flags, "source_port_range": st.just("0:0")},
        ),
        3,
    ),
)

COMMANDS: dict[str, SearchStrategy[Json]] = {
    "cmdline": cmdlines,
    "ips": ips,
    "guestnetwork": tiers,
    "dhcpentry": hosts,
    "dhcpconfig": subnets,
    "ipaliases": aliases,
    "firewallrules": firewalls,
    "forwardrules": forwards,
    "staticnatrules": static_nats,
}
commands = st.one_of(*COMMANDS.values())
BUILT: tuple[Json, ...] = (
    {"type": "cmdline", "cmd_line": {"type": "router", "eth0ip": "10.1.1.1", "eth0mask": MASK}},
    {"type": "ips", "ip_address": [_address(public_ip, {"has_gateway": True}) for public_ip in PUBLIC]},
)
histories = st.builds(lambda built, more: [*built, *more], st.sampled_from([(), BUILT]), st.lists(commands, max_size=7))
"""Commands one after the other, to an empty router or to one that has its addresses."""
