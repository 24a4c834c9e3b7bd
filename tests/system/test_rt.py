"""Routing tables per public interface, by packets and by asking the kernel (contract dataplane 2.2)."""

from __future__ import annotations

import pytest

from tests.system.commands import boot, egress, forward, gone, ingress, ips, public, static_nat, tier
from tests.system.kit import Router, example
from tests.system.wire import addresses, capture, connections, routes, rules

TABLE_ETH3 = [
    "default via 198.51.100.1 dev eth3 proto static",
    "throw 10.1.1.0/24 proto static",
    "throw 169.254.0.0/16 proto static",
    "throw 198.51.100.0/24 proto static",
]
RULES_ETH3 = ["1103: from all fwmark 0x67 lookup Table_eth3 proto 118",
              "2103: from 198.51.100.0/24 lookup Table_eth3 proto 118"]  # fmt: skip
RULES_ETH2 = ["1102: from all fwmark 0x66 lookup Table_eth2 proto 118",
              "2102: from 192.0.2.0/24 lookup Table_eth2 proto 118"]  # fmt: skip


@pytest.fixture
def served(own: Router) -> Router:
    """A router of its own whose guests 2 and 3 have their leases."""
    assert own.lease("guest2")
    assert own.lease("guest3")
    return own


def test_rt_1_a_public_interface_has_its_table(built: Router) -> None:
    assert routes(built, "Table_eth3") == TABLE_ETH3
    assert routes(built, "102") == [
        "default via 192.0.2.1 dev eth2 proto static", *TABLE_ETH3[1:3], "throw 192.0.2.0/24 proto static",
    ]  # fmt: skip


def test_rt_1_a_new_guest_network_is_left_to_the_main_table(own: Router) -> None:
    own.lab.add_link("router", "eth4", "guest", "02:00:4c:01:00:04")
    document = tier("eth4", "02:00:4c:01:00:04", "10.1.2.1")
    own.send(document)
    assert routes(own, "103") == sorted([*TABLE_ETH3, "throw 10.1.2.0/24 proto static"])
    own.send({**document, "add": False})
    assert routes(own, "103") == TABLE_ETH3


def test_rt_2_marks_and_sources_select_the_table(built: Router) -> None:
    found = rules(built)
    ours = [line for line in found if "Table_eth" in line]
    assert ours == [RULES_ETH2[0], RULES_ETH3[0], RULES_ETH2[1], RULES_ETH3[1]]

    def path(*options: str) -> str:
        return built.sh("router", "ip", "route", "get", "203.0.113.11", *options)

    assert "dev eth3 table Table_eth3" in path("mark", "103")
    assert "dev eth3 table Table_eth3" in path("from", "198.51.100.10")
    assert "dev eth2 table Table_eth2" in path("from", "192.0.2.11")
    assert "table" not in path("from", "10.1.1.13", "iif", "eth0")
    assert "dev eth2" in path("from", "10.1.1.13", "iif", "eth0")


def test_rt_3_a_reply_leaves_where_the_request_came_in(built: Router) -> None:
    """public1 reaches either range through upstream, and the main route leads to eth2."""
    with capture(built, "router", "eth3", "tcp port 8443") as eth3, capture(built, "router", "eth2", "tcp") as eth2:
        assert built.http("public1", "198.51.100.10:8443") == "203.0.113.11"
        assert eth3.lines("198.51.100.10.8443 > 203.0.113.11")
        assert eth2.lines("198.51.100.10") == []
        assert built.http("public1", "192.0.2.11:443") == "203.0.113.11"
        assert eth2.lines("192.0.2.11.443 > 203.0.113.11")
    assert any("mark=103" in line for line in connections(built, "-p", "tcp", "--orig-dst", "198.51.100.10"))
    assert any("mark=102" in line for line in connections(built, "-p", "tcp", "--orig-dst", "192.0.2.11"))


def test_rt_4_the_router_itself_answers_where_it_was_asked(own: Router) -> None:
    own.send(ingress(901, "198.51.100.10", "icmp"))
    with capture(own, "router", "eth3", "icmp") as eth3, capture(own, "router", "eth2", "icmp") as eth2:
        assert own.ping("public1", "198.51.100.10")
        assert eth3.lines("198.51.100.10 > 203.0.113.11: ICMP echo reply")
        assert own.ping("public1", "192.0.2.10")
        assert eth2.lines("198.51.100.10") == []
        assert eth2.lines("192.0.2.10 > 203.0.113.11: ICMP echo reply")


def test_rt_5_a_static_nat_guest_leaves_by_the_interface_of_its_address(served: Router) -> None:
    served.send(ips(public("198.51.100.11")), static_nat("198.51.100.11", "10.1.1.12"))
    with capture(served, "router", "eth3", "tcp port 80") as eth3:
        assert served.http("guest2", "203.0.113.11") == "198.51.100.11"
        assert eth3.lines("198.51.100.11", "> 203.0.113.11.80")
        assert served.ping("guest2", "10.1.1.1")
        assert served.http("guest2", "10.1.1.13") == "10.1.1.12"
        served.send(static_nat("198.51.100.11", "10.1.1.12", revoke=True))
        before = len(eth3.lines())
        assert served.http("guest2", "203.0.113.11") == "192.0.2.10"
        assert len(eth3.lines()) == before


def test_rt_6_other_guests_follow_the_main_route(built: Router) -> None:
    what = "tcp port 80"
    with capture(built, "router", "eth3", what) as eth3, capture(built, "router", "eth2", what) as eth2:
        assert built.http("guest3", "203.0.113.11") == "192.0.2.10"
        assert eth2.lines("192.0.2.10", "> 203.0.113.11.80")
        assert eth3.lines() == []


def test_rt_7_the_default_route_is_the_gateway_of_the_boot_arguments(own: Router) -> None:
    def default() -> list[str]:
        return [line for line in routes(own) if line.startswith("default")]

    assert default() == ["default via 192.0.2.1 dev eth2 proto 118"]
    own.send(boot(gateway="192.0.2.53"))
    assert default() == ["default via 192.0.2.53 dev eth2 proto 118"]
    own.send(boot())
    assert default() == ["default via 192.0.2.1 dev eth2 proto 118"]
    own.sh("router", "ip", "route", "del", "default")
    own.send(example("isolated/10-dhcpentry-web1"))
    assert default() == ["default via 192.0.2.1 dev eth2 proto 118"]


def test_rt_7_routes_survive_when_the_only_address_of_their_interface_is_replaced(own: Router) -> None:
    """The kernel takes away all routes of a device that loses its last address."""
    before = (routes(own), routes(own, "102"), routes(own, "103"))
    assert "default via 192.0.2.1 dev eth2 proto 118" in before[0]
    own.send(gone("192.0.2.11"), gone("192.0.2.12"))
    for new, old in (("192.0.2.20", "192.0.2.10"), ("198.51.100.20", "198.51.100.10")):
        own.send(ips(public(new), public(old, add=False)))
    assert (routes(own, "102"), routes(own, "103")) == before[1:]
    assert "default via 192.0.2.1 dev eth2 proto 118" in routes(own)


def test_rt_1_a_range_of_two_addresses_has_a_gateway(own: Router) -> None:
    """RFC 3021: neither of a /31 is a broadcast address."""
    own.send(gone("198.51.100.10"), ips(public("198.51.100.32", netmask="255.255.255.254", gateway="198.51.100.33")))
    assert "default via 198.51.100.33 dev eth3 proto static" in routes(own, "103")


def test_rt_9_nothing_of_an_interface_is_left_after_its_last_address(served: Router) -> None:
    names = served.sh("router", "cat", "/etc/iproute2/rt_tables.d/vrouter.conf")
    served.send(ips(public("198.51.100.20")))
    served.send(gone("198.51.100.10"))
    assert routes(served, "103") == TABLE_ETH3
    assert [line for line in rules(served) if "Table_eth3" in line] == RULES_ETH3
    served.send(gone("198.51.100.20"))
    assert routes(served, "103") == []
    assert not [line for line in rules(served) if "198.51.100" in line or "0x67" in line]
    assert [line for line in rules(served) if "Table_eth2" in line] == RULES_ETH2
    assert "eth3" not in str(served.elements("public_if")) + str(served.elements("source_nat"))
    assert served.http("guest3", "203.0.113.11") == "192.0.2.10"

    served.send(example("isolated/03-ips-second-vlan"))
    assert routes(served, "103") == TABLE_ETH3
    assert served.sh("router", "cat", "/etc/iproute2/rt_tables.d/vrouter.conf") == names
    assert served.http("public1", "198.51.100.10:8443") == "203.0.113.11"


def test_rt_10_rules_and_tables_do_not_depend_on_history(own: Router) -> None:
    before = (rules(own), routes(own), routes(own, "102"), routes(own, "103"))
    own.send(gone("198.51.100.10"), gone("192.0.2.10"), gone("192.0.2.11"), gone("192.0.2.12"))
    assert {device for device, _ in addresses(own).values()} == {"lo", "eth0", "eth1"}
    own.send(example("isolated/03-ips-second-vlan"), example("isolated/02-ips-source-nat"))
    assert (rules(own), routes(own), routes(own, "102"), routes(own, "103")) == before


def test_rt_10_a_table_is_made_whole_again(own: Router) -> None:
    before = (rules(own), routes(own, "103"))
    for line in (
        "ip route add 172.16.9.0/24 via 198.51.100.1 table 103", "ip route del throw 10.1.1.0/24 table 103",
        "ip route replace default via 198.51.100.12 table 103", "ip rule del priority 1103",
    ):  # fmt: skip
        own.sh("router", *line.split())
    own.send(forward("192.0.2.12", 81, "10.1.1.12", 80), egress(902, "udp"))
    assert (rules(own), routes(own, "103")) == before
