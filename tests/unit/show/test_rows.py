"""Rows: every entry once, with how it stands; their JSON has the documented shape."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface

import pytest
from jsonschema import Draft202012Validator

from tests.core import Core
from tests.unit.show.kit import LEASES, NOW, connection, empty, example, interfaces, large, routes, view
from vrouter.model.resources import IpAddress, Key, Resource
from vrouter.model.table import Element
from vrouter.show import guests, network, policy, traffic
from vrouter.show.layout import Row
from vrouter.show.table import chosen
from vrouter.show.tables import TABLES

FORWARD = ("element", "forward_port", "192.0.2.10", "tcp", "2222")
RULESET = """table inet bad {
\tcounter seen {
\t\tpackets 7 bytes 700
\t}
\tchain f {
\t\ttype filter hook forward priority filter; policy accept;
\t\tip saddr 1.2.3.4 counter packets 3 bytes 180 drop
\t}
}
"""
CONNECTIONS = (
    connection("203.0.113.11", "192.0.2.10", "10.1.1.12", port=2222, answers_port=22, packets=9, bytes=900),
    connection("203.0.113.11", "192.0.2.11", "10.1.1.11", port=443),
    connection("10.1.1.12", "203.0.113.11", "203.0.113.11", "192.0.2.10"),
    connection("10.1.1.11", "203.0.113.11", "203.0.113.11", "192.0.2.11"),
    connection("10.1.1.12", "10.1.1.1", "10.1.1.1", port=53),
)


def rows(name: str, core: Core, lost: Iterable[Key] = (), found: Iterable[Resource] = ()) -> list[Row]:
    seen = view(core, lost, found)
    made = {
        "networks": lambda: network.networks(seen),
        "addresses": lambda: network.addresses(seen),
        "routes": lambda: network.routes(seen, *routes(core)),
        "rules": lambda: policy.rules(seen),
        "forwards": lambda: policy.forwards(seen),
        "nat": lambda: policy.nat(seen),
        "dhcp": lambda: guests.dhcp(seen, LEASES, NOW),
        "leases": lambda: guests.leases(seen, LEASES, NOW),
        "connections": lambda: traffic.connections(seen, CONNECTIONS),
        "counters": lambda: traffic.counters(interfaces(), [("ip InDiscards", "no room", 4)], RULESET),
    }
    return list(made[name]())


def of(found: list[Row], **fields: object) -> Row:
    """The one row with these fields."""
    [row] = [row for row in found if all(row[name] == value for name, value in fields.items())]
    return row


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("core", [empty(), example(), large()], ids=["empty", "example", "large"])
def test_rows_have_the_documented_shape(name: str, core: Core) -> None:
    check = Draft202012Validator(TABLES[name].schema())
    for row in rows(name, core, lost=[FORWARD]):
        assert not list(check.iter_errors(row)), row


@pytest.mark.parametrize("name", ["networks", "addresses", "rules", "forwards", "nat", "dhcp", "routes"])
def test_all_of_the_example_is_in_effect(name: str) -> None:
    assert {row["state"] for row in rows(name, example())} == {"in effect"}


def test_a_forward_says_whom_the_firewall_lets_in() -> None:
    found = rows("forwards", example())
    row = of(found, public_ports="2222")
    assert (row["guest"], row["open_to"], row["sources"]) == ("web2", ["203.0.113.0/24"], ["any"])
    assert of(found, public_ports="9000-9010")["open_to"] == ["any"]


def test_a_forward_that_the_kernel_lost_differs() -> None:
    row = of(rows("forwards", example(), lost=[FORWARD]), public_ports="2222")
    assert (row["state"], row["detail"]) == ("differs", "element missing")
    assert row["origin"] == "forwardingrules 192.0.2.10 tcp 2222:2222"


def test_what_others_put_among_ours_is_foreign() -> None:
    element = Element(set="forward_port", atoms=("192.0.2.10", "tcp", "23"), value=("10.1.1.12", "23"))
    other = IPv4Interface("10.9.9.9/24")
    address = IpAddress(device="eth0", address=other.ip, prefix=24, primary=True)
    assert of(rows("forwards", example(), found=[element]), state="foreign")["public_ports"] == "23"
    assert of(rows("addresses", example(), found=[address]), state="foreign")["address"] == "10.9.9.9/24"


def test_what_waits_says_for_what() -> None:
    waiting = [row for row in rows("forwards", large()) if row["state"] == "pending"]
    assert len(waiting) == 20 and {row["detail"] for row in waiting} == {"public address 192.0.2.99"}


def test_a_forward_whose_ports_another_has_is_overruled() -> None:
    core = example()
    rule = {"protocol": "tcp", "source_ip_address": "192.0.2.12", "destination_ip_address": "10.1.1.12"}
    for sources, ports in (("", "80:80"), ("0.0.0.0/0", "80:80")):
        ranges = {"source_port_range": ports, "destination_port_range": ports, "source_cidr_list": sources}
        core.run({"type": "forwardrules", "rules": [rule | ranges]})
    states = sorted(row["state"] for row in rows("forwards", core) if row["public_ip"] == "192.0.2.12")
    assert states == ["in effect", "overruled"]


def test_a_missing_route_and_rule_differ() -> None:
    core = example()
    seen = view(core, lost=[key for key in core.resources if key[0] in ("route", "rule")])
    found = list(network.routes(seen, [], []))
    assert {(row["state"], row["detail"]) for row in found} == {("differs", "missing")}
    assert {row["kind"] for row in found} == {"unicast", "throw", "rule"}


def test_leases_are_held_against_the_databag() -> None:
    found = rows("leases", example())
    assert [row["state"] for row in found] == ["in effect", "differs", "foreign"]
    assert [row["expires_s"] for row in found] == [None, 3700, -90]
    assert [row["leased"] for row in rows("dhcp", example())] == [True, False, False]


def test_connections_name_what_translates_them() -> None:
    found = rows("connections", example())
    kinds = {(row["kind"], row["origin"]) for row in found}
    assert kinds == {
        ("forward", "forwardingrules 192.0.2.10 tcp 2222:2222"), ("static NAT", "forwardingrules 192.0.2.11"),
        ("outbound", ""), ("outbound", "forwardingrules 192.0.2.11"), ("router", ""),
    }  # fmt: skip


def test_counters_hold_interfaces_nftables_and_kernel() -> None:
    found = rows("counters", example())
    assert of(found, name="eth3", way="in")["drops"] == 3
    assert of(found, name="inet bad counter seen")["packets"] == 7
    dropping = of(found, name="inet bad chain f")
    assert (dropping["drops"], dropping["says"]) == (3, "ip saddr 1.2.3.4 drop")
    assert of(found, name="ip InDiscards")["drops"] == 4


def test_rows_are_chosen_by_text_and_by_state() -> None:
    found = rows("forwards", large())
    assert [row["public_ports"] for row in chosen(found, "VM-15", False)] == [
        "20015", *(f"20{number}" for number in range(150, 160) if number % 10), "20150"]  # fmt: skip
    assert len(chosen(found, "", True)) == 20
    assert chosen(found, str(IPv4Address("198.51.100.10")), True) == []
