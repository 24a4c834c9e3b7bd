"""Command files as bytes: what is read, what is refused, and how a fault reads."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chance import examples
from vrouter.errors import Refused
from vrouter.validate import KNOWN_TYPES, SUPPORTED_TYPES, parse_document, validate

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").rglob("*.json"))
FORWARD = {
    "protocol": "tcp",
    "source_ip_address": "192.0.2.10",
    "source_port_range": "80:80",
    "destination_ip_address": "10.1.1.12",
    "destination_port_range": "8080:8080",
}
INGRESS = {"id": 1, "protocol": "tcp", "traffic_type": "Ingress", "src_ip": "192.0.2.10", "src_port_range": [22, 22]}
HOST = {"type": "dhcpentry", "host_name": "web1", "mac_address": "02:00:4C:01:00:11", "ipv4_address": "10.1.1.11"}
TIER = {
    "type": "guestnetwork",
    "device": "eth3",
    "router_guest_ip": "10.8.1.1",
    "router_guest_netmask": "255.255.255.0",
    "router_guest_gateway": "10.8.1.1",
}
ROUTER = {"type": "router", "eth2ip": "192.0.2.10", "eth2mask": "255.255.255.0", "gateway": "192.0.2.1"}


def faults(document: Any) -> list[str]:
    """As they are printed; empty when the document is taken."""
    return said(json.dumps(document).encode())


def said(text: bytes) -> list[str]:
    try:
        parsed = parse_document(text)
        validate(parsed.document, parsed.type)
    except Refused as error:
        return [str(fault) for fault in error.faults]
    return []


def forwards(**changed: object) -> Any:
    return {"type": "forwardrules", "rules": [FORWARD | changed]}


def firewall(**changed: object) -> Any:
    return {"type": "firewallrules", "rules": [INGRESS | changed]}


def address(**changed: object) -> Any:
    return {"type": "ips", "ip_address": [{"public_ip": "192.0.2.10", "netmask": "255.255.255.0"} | changed]}


def boot(**changed: object) -> Any:
    return {"type": "cmdline", "cmd_line": ROUTER | changed}


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


TAKEN = {
    "forward": forwards(),
    "forward revoked": forwards(revoke=True, source_cidr_list="10.0.0.0/8,192.0.2.7"),
    "forward range": forwards(source_port_range="1:65535", destination_port_range="1:65535"),
    "firewall": firewall(),
    "firewall nothing": {"type": "firewallrules"},
    "firewall revoked": {
        "type": "firewallrules",
        "rules": [without(INGRESS, "src_ip", "src_port_range") | {"revoked": True}],
    },
    "egress": firewall(
        traffic_type="Egress", src_ip="", icmp_type=-1, source_cidr_list=[], dest_cidr_list=["0.0.0.0/0"]
    ),
    "host bits": firewall(source_cidr_list=["10.1.1.7/24", "10.1.1.9"]),
    "address": address(),
    "address digits": address(nic_dev_id="2", mtu="1500", nw_type="PUBLIC", gateway="None"),
    "address numbers": address(nic_dev_id=12, mtu=9000, nw_type="guest", gateway=""),
    "host": HOST,
    "IPv6 only": without(HOST, "ipv4_address") | {"ipv6_address": "2001:db8::5"},
    "no gateway": HOST
    | {"default_gateway": "0.0.0.0", "static_routes": "10.9.0.0/16,10.1.1.254 10.8.0.0/16:10.1.1.253"},
    "legacy": HOST | {"add": False},
    "tier": TIER,
    "tier numbers": TIER | {"cidr": 24, "mtu": "1500", "dns": "", "domain_name": "", "device": "eth12"},
    "alias": {"type": "ipaliases", "aliases": [{"ip_address": "10.3.1.2", "netmask": "255.255.255.0"}]},
    "subnet": {"type": "dhcpconfig", "entries": [{"router_ip_address": "10.3.0.2", "netmask": "255.255.255.0"}]},
    "static NAT": {
        "type": "staticnatrules",
        "rules": [
            {"source_ip_address": "192.0.2.11", "destination_ip_address": "10.1.1.11", "source_port_range": "0:0"}
        ],
    },
    "boot": boot(),
    "boot absent": boot(dns1="null", dns2="", publicMtu="null", privateMtu="None", domain="null", gateway="None"),
    "boot words": boot(quiet="quiet", root="UUID=5", userouteripresolver="yes", redundant_router="1", mgmtcidr=""),
}
REFUSED = {
    "protocol": (forwards(protocol="tpc"), "rules[0].protocol: 'tpc' is not tcp or udp"),
    "port": (
        forwards(source_port_range="80-"),
        'rules[0].source_port_range: \'80-\' is not "first:last" within 1:65535; send "80:80" for one port',
    ),
    "port 0": (forwards(source_port_range="0:0"), "rules[0].source_port_range: '0:0' is not"),
    "port zeros": (forwards(source_port_range="080:80"), "rules[0].source_port_range: '080:80' is not"),
    "ports turned": (forwards(source_port_range="90:80"), "rules[0].source_port_range: '90:80' is not"),
    "uneven": (
        forwards(source_port_range="80:89"),
        "rules[0].destination_port_range: '8080:8080' is not as many ports as source_port_range",
    ),
    "loopback": (forwards(source_ip_address="127.0.0.1"), "rules[0].source_ip_address: '127.0.0.1' is not the IPv4"),
    "multicast": (forwards(destination_ip_address="224.0.0.1"), "rules[0].destination_ip_address: '224.0.0.1' is not"),
    "octal": (forwards(source_ip_address="192.0.02.1"), "rules[0].source_ip_address: '192.0.02.1' is not the IPv4"),
    "list": (forwards(source_cidr_list="10.0.0.0/33"), "rules[0].source_cidr_list: '10.0.0.0/33' is not a comma list"),
    "no rules": ({"type": "forwardrules"}, "rules: must be present: a list of rules"),
    "rules object": ({"type": "forwardrules", "rules": {"a": 1}}, "rules: an object of 1 is not a list of rules"),
    "rule text": ({"type": "forwardrules", "rules": ["x"]}, "rules[0]: 'x' is not an object, one rule"),
    "ingress": (firewall(src_ip=""), "rules[0].src_ip: '' is not the public IPv4 address that an Ingress rule opens"),
    "port pair": (firewall(src_port_range=[22, 21]), "rules[0].src_port_range: a list of 2 is not [first, last]"),
    "port three": (firewall(src_port_range=[22, 21, 9]), "rules[0].src_port_range: a list of 3 is not [first, last]"),
    "port high": (firewall(src_port_range=[22, 65536]), "rules[0].src_port_range[1]: 65536 is not a port from 1"),
    "id": (firewall(id=-1), "rules[0].id: -1 is not an integer from 0 to 9223372036854775807"),
    "fraction": (firewall(id=1.0), "rules[0].id: 1.0 is not an integer from 0"),
    "flag": (firewall(id=True), "rules[0].id: true is not an integer from 0"),
    "icmp": (firewall(icmp_type=256), "rules[0].icmp_type: 256 is not an ICMP type from 0 to 255, or -1 for any"),
    "keep": (
        forwards() | {"delete_from_processed_cache": "no"},
        "delete_from_processed_cache: 'no' is not true or false",
    ),
    "netmask": (address(netmask="255.0.255.0"), "ip_address[0].netmask: '255.0.255.0' is not a netmask"),
    "wildcard": (address(netmask="0.0.0.255"), "ip_address[0].netmask: '0.0.0.255' is not a netmask"),
    "length": (address(netmask="24"), "ip_address[0].netmask: '24' is not a netmask"),
    "zero mask": (address(netmask="0.0.0.0"), "ip_address[0].netmask: '0.0.0.0' is not a netmask"),
    "mtu": (address(mtu=67), "ip_address[0].mtu: 67 is not an MTU from 68 to 65535"),
    "mtu text": (address(mtu="65536"), "ip_address[0].mtu: '65536' is not an MTU from 68 to 65535"),
    "network": (address(nw_type="storage"), "ip_address[0].nw_type: 'storage' is not public, guest or control"),
    "mac": (HOST | {"mac_address": "02:00:4c:01:00"}, "mac_address: '02:00:4c:01:00' is not a MAC address"),
    "no key": (without(HOST, "ipv4_address"), "ipv4_address: must be present: the IPv4 address of a host, for a NIC"),
    "name": (HOST | {"host_name": "-web"}, "host_name: '-web' is not a host name"),
    "label": (HOST | {"host_name": "a" * 64}, "host_name: 'aaaaa"),
    "address name": (HOST | {"host_name": "10.1.1.12"}, "host_name: '10.1.1.12' is not a host name"),
    "routes": (HOST | {"static_routes": "10.9.0.0/16"}, "static_routes: '10.9.0.0/16' is not pairs"),
    "device": (TIER | {"device": "eth3\n"}, "device: 'eth3\\n' is not a device, eth0 to eth9999"),
    "no mask": (
        {"type": "cmdline", "cmd_line": without(ROUTER, "eth2mask")},
        "cmd_line.eth2mask: must be present",
    ),
    "no gateway": (
        {"type": "cmdline", "cmd_line": without(ROUTER, "gateway")},
        "cmd_line.gateway: must be present: the IPv4 gateway of a router with eth2ip",
    ),
    "boot number": (boot(dns1=5), "cmd_line.dns1: 5 is not the IPv4 address of a host"),
    "boot name": (boot(**{"a\nb": "c"}), "cmd_line: 'a\\nb' is not printable text of at most 65535 characters"),
    "boot value": (boot(**{"a b": "\n"}), "cmd_line['a b']: '\\n' is not printable text"),
    "type": ({"type": 5}, "type: 5 is not a string"),
    "no type": ({"rules": []}, "type: must be present"),
    "no object": ([1, 2], "a list of 2 is not a JSON object"),
    "null": (None, "null is not a JSON object"),
    "later": ({"type": "loadbalancer"}, "not supported yet: loadbalancer"),
    "unknown": ({"type": "ips\n;\u202e"}, "unknown type: ips\\n;\\u202e"),
    "long": ({"type": "x" * 99}, "unknown type: " + "x" * 77 + "..."),
    "half": (HOST | {"x": ["a\ud800"]}, "x[0]: half of a surrogate pair is not Unicode text"),
    "infinite": (HOST | {"x": float("inf")}, "x: Infinity is not a number of 64 bits"),
}


@pytest.mark.parametrize("document", TAKEN.values(), ids=TAKEN)
def test_taken(document: Any) -> None:
    assert faults(document) == []


@pytest.mark.parametrize(("document", "fault"), REFUSED.values(), ids=REFUSED)
def test_refused(document: Any, fault: str) -> None:
    [found] = faults(document)
    assert found.startswith(fault)


def test_every_fault_at_once_in_the_order_of_places() -> None:
    rules: list[Any] = [dict(FORWARD) for _ in range(12)]
    rules[10]["protocol"] = rules[2]["protocol"] = "x"
    rules[2] |= {"destination_ip_address": 7}
    del rules[3]["source_ip_address"]
    paths = [fault.split(":")[0] for fault in faults({"type": "forwardrules", "rules": rules})]
    assert paths == [
        *("rules[2].destination_ip_address", "rules[2].protocol", "rules[3].source_ip_address", "rules[10].protocol"),
    ]


@pytest.mark.parametrize("type", sorted(KNOWN_TYPES - SUPPORTED_TYPES))
def test_a_type_of_the_contract_that_is_not_built(type: str) -> None:
    assert faults({"type": type}) == [f"not supported yet: {type}"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_truncated_file_says_where(path: Path) -> None:
    text = path.read_bytes().rstrip()
    for length in range(0, len(text), 7):
        [fault] = said(text[:length])
        assert fault.startswith("not JSON at line ")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_absent_field_is_tolerated_or_named(path: Path) -> None:
    document = json.loads(path.read_text())
    for name in document:
        for fault in faults(without(document, name)):
            assert fault.startswith(f"{name}: must be present")


def test_what_json_leaves_open() -> None:
    good = json.dumps(HOST).encode()
    assert said(b"\xef\xbb\xbf" + good) == []
    assert said(good.decode().encode("utf-16")) == ["not UTF-8 at byte 1"]
    assert said(b'{"type": "ips\xed\xa0\x80"}') == ["not UTF-8 at byte 14"]
    assert said(b"") == ["not JSON at line 1, column 1: Expecting value"]
    assert said(good + b"\n{}")[0].startswith("not JSON at line 2, column 1: Extra data")
    for number, found in {b"NaN": "NaN", b"-Infinity": "-Infinity", b"1e999": "a number beyond 1e308"}.items():
        assert said(good[:-1] + b', "x": [' + number + b"]}") == [f"x[0]: {found} is not a number of 64 bits"]
    huge = good[:-1] + b', "x": -' + b"9" * 5000 + b"}"
    assert said(huge) == ["x: an integer of 5000 digits is not a number of 64 bits"]
    assert said(good[:-1] + b', "x": "\\ud83d\\ude00"}') == []


def test_a_repeated_member_is_for_boot_arguments_only() -> None:
    text = (
        b'{"type": "forwardrules", "rules": [{"a": 1}, {"protocol": "tcp", "protocol": "udp"}], "type": "forwardrules"}'
    )
    assert said(text) == ["type: given more than once", "rules[1].protocol: given more than once"]
    text = b'{"type": "cmdline", "cmd_line": {"type": "router", "advert_int": "1", "advert_int": "3"}}'
    assert said(text) == []
    assert parse_document(text).document["cmd_line"] == {"type": "router", "advert_int": "3"}


def test_deep_nesting() -> None:
    def nested(levels: int) -> bytes:
        return b'{"type": "firewallrules", "x": ' + b"[" * levels + b"]" * levels + b"}"

    assert said(nested(63)) == []
    for levels in (64, 500, 100_000):
        assert said(nested(levels)) == ["nested deeper than 64 levels"]
    assert said(b"[" * 100_000) and said(b'{"a":' * 100_000)


def test_size() -> None:
    started = time.monotonic()
    assert len(faults(HOST | {"host_name": "a" * 10_000_000})) == 1
    assert len(faults({"type": "forwardrules", "rules": [{"x": 1}] * 1_000_000})) == 100
    assert len(said(b'{"type":"ips",' + b'"a":1,' * 1_500_000 + b'"b":2}')) == 1
    assert said(b" " * (32 * 1024 * 1024 + 1)) == ["larger than 33554432 bytes"]
    assert time.monotonic() - started < 60


def test_ten_thousand_forwards() -> None:
    rules = [FORWARD | {"source_port_range": f"{port}:{port}"} for port in range(1, 10_001)]
    started = time.monotonic()
    assert faults({"type": "forwardrules", "rules": rules}) == []
    assert time.monotonic() - started < 10  # 0.6 s on the machine that it was written on


@examples(300)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_refused_with_words(text: bytes) -> None:
    found = said(text)
    assert found and all(fault.isprintable() for fault in found)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@examples(300)
@given(
    st.sampled_from(sorted(SUPPORTED_TYPES)),
    st.sampled_from(["rules", "ip_address", "cmd_line", "entries"]),
    json_values,
)
def test_any_json_is_taken_or_refused_with_words(type: str, name: str, value: Any) -> None:
    for fault in faults({"type": type, name: value}):
        assert fault.isprintable() and len(fault) < 400
