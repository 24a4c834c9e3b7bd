"""The topology that files imply: whatever they hold, a lab can be made of it, and what they name is there."""

from __future__ import annotations

import json
from collections import Counter
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests import generators
from tests.chance import examples
from tests.core import Core, documents, machine
from tests.system.kit import EXAMPLES
from vrouter.errors import Refused
from vrouter.lab import claims, links, shape
from vrouter.lab.claims import Claims
from vrouter.lab.derive import INTERNET, Derived, derive
from vrouter.lab.topology import TOPOLOGIES, Node, Service, Topology
from vrouter.lab.wiring import wired

Json = dict[str, Any]

MACS = ["1e:00:4c:00:00:02", "1E:00:4C:00:00:03", "02:00:4c:ff:00:01", "nonsense", 7]
ADDRESSES = [
    "192.0.2.10",
    "192.0.2.1",
    "198.51.100.10",
    "203.0.113.1",
    "10.1.1.1",
    "10.1.1.11",
    "169.254.0.1",
    "169.254.0.9",
    "x",
]
MASKS = ["0.0.0.0", "255.255.255.0", "255.255.255.254", "255.255.255.255", "255.0.0.0", "x"]
NUMBERS = [0, 1, 2, "3", 7, 9999, 10000, "x", None]
TYPES = ["cmdline", "ips", "guestnetwork", "dhcpentry", "ipaliases", "dhcpconfig", "vmdata", "lights"]


def _maybe(values: list[Any]) -> SearchStrategy[Any]:
    return st.sampled_from([*values, None])


_gateways = _maybe([*ADDRESSES, "None", "0.0.0.0"])
_address = st.fixed_dictionaries(
    {},
    optional={
        "public_ip": _maybe(ADDRESSES), "netmask": _maybe(MASKS), "gateway": _gateways, "add": st.booleans(),
        "vif_mac_address": _maybe(MACS), "nic_dev_id": st.sampled_from(NUMBERS),
        "nw_type": _maybe(["Public", "guest", "control", "other"]), "broadcast_uri": st.just("vlan://105"),
        "ip_address": _maybe(ADDRESSES), "router_ip_address": _maybe(ADDRESSES),
    },
)  # fmt: skip
_boot = st.dictionaries(
    st.sampled_from(["eth0ip", "eth1ip", "eth2ip", "eth11ip", "eth0mask", "eth1mask", "eth2mask", "gateway", "localgw",
                     "dns1", "dns2", "type", "nic_macs"]),
    st.sampled_from([*ADDRESSES, *MASKS, "router", "vpcrouter", "dhcpsrvr", "null", "|1e:00:4c:00:00:02", "8.8.8.8"]),
)  # fmt: skip
messy: SearchStrategy[Json] = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        "cmd_line": _boot | st.just([]), "ip_address": st.lists(_address | st.just("x"), max_size=4),
        "aliases": st.lists(_address, max_size=2), "entries": st.lists(_address, max_size=2),
        "mac_address": _maybe(MACS), "ipv4_address": _maybe(ADDRESSES),
        "host_name": _maybe(["web1", "web.b", "-", "a" * 70]),
        "device": _maybe(["eth3", "eth7", "eth", "lo"]), "router_guest_ip": _maybe(ADDRESSES), "add": st.booleans(),
        "router_guest_netmask": _maybe(MASKS), "dns": _maybe(["", "192.0.2.53,8.8.8.8", "x,10.1.1.11"]),
        "remove": st.booleans(),
    },
)  # fmt: skip
directories = st.lists(messy | generators.commands, max_size=8)


def told(files: list[Json]) -> Claims:
    return claims.of_commands([(f"{place:02}.json", document) for place, document in enumerate(files)])


def holds(claimed: Claims, derived: Derived) -> None:
    """What has to be true of every topology that is derived."""
    topology = derived.topology
    assert shape.loaded(json.loads(json.dumps(shape.dumped(topology)))) == topology
    nics = [(node, nic) for node in topology.nodes for nic in node.nics]
    assert max(Counter(nic.mac for _, nic in nics).values(), default=1) == 1
    held = {(node.name, nic.segment, address.ip) for node, nic in nics for address in nic.addresses}
    assert max(Counter((segment, address) for _, segment, address in held).values(), default=1) == 1
    own = {claim.address.ip for claim in claimed.nics if claim.address}
    assert not own & {address.ip for _, nic in nics for address in nic.addresses}
    assert all(len(links.port_name(node.name, nic)) <= 15 for node, nic in nics)
    for node in topology.nodes:
        assert len(node.hostname) <= 64
        reached = [address for nic in node.nics for address in nic.addresses]
        assert all(any(route.via in a.network and route.via != a.ip for a in reached) for route in node.routes)
    router = topology.nodes[0]
    assert router.router and len({nic.device for nic in router.nics}) == len(router.nics) > 0
    macs = {nic.mac for nic in router.nics}
    assert {claim.mac for claim in claimed.nics if claim.mac} <= macs
    assert {f"eth{c.number}" for c in claimed.nics if c.number is not None and not c.mac} <= {
        n.device for n in router.nics
    }
    guests = [node for node in topology.nodes if Service.DHCP in node.services]
    assert [node.name for node in guests] == [f"guest{number}" for number in range(1, len(guests) + 1)]
    assert [node.nics[0].mac for node in guests] == [c.mac for c in claimed.guests if c.mac not in macs]


@examples(400)
@given(directories)
def test_whatever_the_files_hold_a_lab_can_be_made_of_it(files: list[Json]) -> None:
    claimed = told(files)
    holds(claimed, derive(claimed, "x"))


_leaves = st.sampled_from(
    [*ADDRESSES, *MASKS, *MACS, *NUMBERS, True, False, "", "null", "eth2", "\ud800", 1e9, "Public"]
)
_members = st.sampled_from(
    ["public_ip", "netmask", "gateway", "vif_mac_address", "nic_dev_id", "mac_address", "ipv4_address", "device", "dns",
     "config", "eth0", "eth2", "ethNone", "lo", "id", "10.1.1.11", "fd00::1", "router_guest_ip", "router_guest_netmask",
     "eth0ip", "eth0mask", "eth2ip", "dns1", "nic_macs", "host_name", "remove", "add", "router_ip_address"]
)  # fmt: skip
_json = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_members, inner, max_size=5), max_leaves=20
)
_bag_names = st.sampled_from(["cmdline", "ips", "guestnetwork", "dhcpentry", "dhcpconfig", "firewallrules", "foreign"])


@examples(400)
@given(st.dictionaries(_bag_names, st.dictionaries(_members, _json, max_size=4)))
def test_whatever_the_databags_hold_a_lab_can_be_made_of_them(bags: dict[str, Json]) -> None:
    claimed = claims.of_bags(bags)
    holds(claimed, derive(claimed, "x"))


@examples(200)
@given(generators.histories)
def test_databags_imply_what_the_commands_implied(files: list[Json]) -> None:
    """Of commands that are taken one after the other: the same guests; devices and addresses of what is still there."""
    core = Core(machine({}))
    taken = []
    for document in files:
        try:
            core.change(core.merged(document))
        except Refused:  # what is refused says nothing to the bags
            continue
        taken.append(document)
    bags = {name: bag for name, bag in core.saved().items() if core.bags[name]}
    claimed = claims.of_bags(bags)
    derived = derive(claimed, "x")
    holds(claimed, derived)
    by_commands = told(taken)
    assert {guest.mac for guest in claimed.guests} == {guest.mac for guest in by_commands.guests}
    held = {claim.address.ip for claim in claimed.nics if claim.address}
    assert held <= {claim.address.ip for claim in by_commands.nics if claim.address}


def described(topology: Topology) -> Any:
    """All but the MACs that are made up."""
    return {
        node.name: (
            node.hostname, node.services, node.routes, node.forwards, dict(node.names),
            [(nic.device, nic.segment, nic.addresses) for nic in node.nics],
        )
        for node in topology.nodes
    }  # fmt: skip


def test_the_isolated_example_implies_the_topology_isolated() -> None:
    files = list(documents(EXAMPLES / "isolated"))
    claimed = told([dict(document) for document in files])
    derived = derive(claimed, "isolated")
    assert derived.notes == ()
    wanted = TOPOLOGIES["isolated"]
    assert described(derived.topology) == described(wanted)
    assert derived.topology.segments == wanted.segments
    macs = {nic.device: nic.mac for nic in derived.topology.nodes[0].nics}
    assert macs["eth2"] == "1e:00:4c:00:00:02" and macs["eth3"] == "1e:00:4c:00:00:03"


def node(derived: Derived, name: str) -> Node:
    return next(node for node in derived.topology.nodes if node.name == name)


def test_a_mac_decides_before_a_number() -> None:
    entries = [
        {
            "public_ip": "192.0.2.10",
            "netmask": "255.255.255.0",
            "nic_dev_id": 5,
            "vif_mac_address": "02:00:00:00:00:05",
        },
        {
            "public_ip": "192.0.2.11",
            "netmask": "255.255.255.0",
            "nic_dev_id": 7,
            "vif_mac_address": "02:00:00:00:00:05",
        },
        {
            "public_ip": "100.64.0.10",
            "netmask": "255.255.255.0",
            "nic_dev_id": 5,
            "vif_mac_address": "02:00:00:00:00:06",
        },
        {"public_ip": "100.64.1.10", "netmask": "255.255.255.0", "vif_mac_address": "02:00:00:00:00:09"},
    ]
    devices = wired(told([{"type": "ips", "ip_address": entries}]).nics, guests=False)
    assert {device.name: device.mac for device in devices} == {
        "eth2": "02:00:00:00:00:06", "eth3": "02:00:00:00:00:09", "eth5": "02:00:00:00:00:05",
    }  # fmt: skip
    assert devices[2].addresses == [IPv4Interface("192.0.2.10/24"), IPv4Interface("192.0.2.11/24")]


def test_guests_are_on_the_network_of_their_address() -> None:
    tiers = [
        {"type": "guestnetwork", "device": f"eth{n}", "mac_address": f"02:00:00:00:00:0{n}",
         "router_guest_ip": f"10.8.{n}.1", "router_guest_netmask": "255.255.255.0"} for n in (3, 4)
    ]  # fmt: skip
    hosts = [
        {"type": "dhcpentry", "mac_address": f"02:00:00:00:01:0{n}", "ipv4_address": address, "host_name": f"h{n}"}
        for n, address in enumerate(["10.8.4.9", "10.8.3.9", "172.16.0.1"])
    ]
    derived = derive(told([*tiers, *hosts]), "x")
    assert [node(derived, f"guest{n}").nics[0].segment for n in (1, 2, 3)] == ["guest-b", "guest", "guest"]
    assert derived.notes == ("04.json: ipv4_address: 172.16.0.1 is in no guest network; guest3 is on segment guest",)


def test_servers_of_names_are_where_the_router_looks_for_them() -> None:
    boot = {"eth0ip": "10.1.1.1", "eth0mask": "255.255.255.0", "eth2ip": "203.0.113.9", "eth2mask": "255.255.255.0",
            "gateway": "203.0.113.1", "dns1": "203.0.113.1", "dns2": "9.9.9.9", "type": "router"}  # fmt: skip
    derived = derive(told([{"type": "cmdline", "cmd_line": boot}]), "x")
    upstream, dns = node(derived, "upstream"), node(derived, "dns")
    assert Service.DNS in upstream.services
    assert [nic.segment for nic in dns.nics] == [INTERNET]
    assert IPv4Interface("9.9.9.9/32") in dns.nics[0].addresses
    assert [str(route.to) for route in upstream.routes] == ["9.9.9.9/32"]
    assert node(derived, "public1").nics[0].addresses == (IPv4Interface("198.51.100.11/24"),), "another net than eth2's"


def test_two_devices_of_one_vlan_share_a_segment() -> None:
    entries = [
        {"public_ip": f"192.0.2.{n}", "netmask": "255.255.255.0", "gateway": "192.0.2.1", "nic_dev_id": n}
        for n in (2, 3)
    ]
    derived = derive(told([{"type": "ips", "ip_address": entries}]), "x")
    assert [nic.segment for nic in node(derived, "router").nics] == ["public", "public"]
    assert len(node(derived, "upstream").nics) == 2, "the range once, and the world"


@pytest.mark.parametrize(
    ("document", "note"),
    [
        ({"type": "dhcpentry", "host_name": "a"}, "00.json: mac_address: must be present; the entry has no guest"),
        ({"type": "dhcpentry", "mac_address": "x"}, "00.json: mac_address: 'x' is not a MAC address; passed over"),
        ({"type": "lights"}, "00.json: type: 'lights' is not a type of the contract; the router decides"),
        ({}, "00.json: type: null is not a type of the contract; the router decides"),
        (
            {"type": "ips", "ip_address": [{"public_ip": "192.0.2.10", "netmask": "x", "nic_dev_id": 2}]},
            "00.json: ip_address[0] netmask: 'x' is not a netmask; the address is passed over",
        ),
        (
            {"type": "ips", "ip_address": [{"public_ip": "192.0.2.10", "netmask": "255.255.255.0", "nic_dev_id": -1}]},
            "00.json: ip_address[0].nic_dev_id: -1 is not a device eth0 to eth9999; passed over",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_field(document: Json, note: str) -> None:
    assert told([document]).notes == (note,)


def test_a_guest_that_went_has_no_node() -> None:
    entry = {"type": "dhcpentry", "mac_address": "02:00:00:00:01:01", "ipv4_address": "10.1.1.11", "host_name": "a"}
    assert told([entry, {**entry, "remove": True}]).guests == ()
    moved = {**entry, "mac_address": "02:00:00:00:01:02"}
    assert [guest.mac for guest in told([entry, moved]).guests] == ["02:00:00:00:01:02"], "the address has a new owner"
    assert told([entry, moved, {**entry, "remove": True}]).guests != (), "a late removal spares the new owner"


def test_many_guests_and_ranges() -> None:
    hosts = [
        {"type": "dhcpentry", "mac_address": f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}",
         "ipv4_address": str(IPv4Address("10.0.0.2") + n), "host_name": f"h{n}"} for n in range(1000)
    ]  # fmt: skip
    entries = [
        {"public_ip": f"100.64.{n}.2", "netmask": "255.255.255.0", "gateway": f"100.64.{n}.1", "nic_dev_id": n}
        for n in range(2, 60)
    ]
    claimed = told([{"type": "ips", "ip_address": entries}, *hosts])
    derived = derive(claimed, "x")
    holds(claimed, derived)
    assert len(derived.topology.nodes) == 1 + 1 + 58 + 1000
