"""DHCP and DNS with several guest subnets: an alias subnet on eth0, and a tier on eth4 that was plugged in later.

The tier's clients stand on the segment `internet`, which is eth4's here (contract dataplane 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from tests.system.kit import Router
from tests.system.probes import dhcp
from tests.system.rules import ETH4, Entry, alias, host, tier

DOMAIN, OTHER_DOMAIN = "tenant1.example.com", "tier2.example.net"
ALIAS, TIER = "10.1.2.1", "10.8.1.1"
FAR = "02:00:4c:0f:00:01"  # of a guest in the alias subnet
INNER = "02:00:4c:0f:00:02"  # of a guest in the tier
GATEWAYS: Entry = {
    "type": "dhcpconfig",
    "entries": [
        {"router_ip_address": own, "gateway": gateway, "netmask": "255.255.255.0", "first_ip_of_subnet": own}
        for own, gateway in (("10.1.1.1", "10.1.1.1"), (ALIAS, "10.1.2.254"))
    ],
}


@pytest.fixture(scope="module")
def subnets(router: Router) -> Iterator[Router]:
    """guest2 also has an address of the alias subnet, public1 one of the tier; both are gone from the router later."""
    router.lab.add_link("router", "eth4", "internet", ETH4)
    router.send(alias(ALIAS), GATEWAYS, tier(TIER, OTHER_DOMAIN), ENTRY_FAR, ENTRY_INNER)
    router.sh("guest2", "ip", "addr", "add", "10.1.2.50/24", "dev", "eth0")
    router.sh("public1", "ip", "addr", "add", "10.8.1.50/24", "dev", "eth0")
    yield router
    router.sh("guest2", "ip", "addr", "del", "10.1.2.50/24", "dev", "eth0")
    router.sh("public1", "ip", "addr", "del", "10.8.1.50/24", "dev", "eth0")
    router.send(
        *({**entry, "remove": True} for entry in (ENTRY_FAR, ENTRY_INNER)), tier(TIER, OTHER_DOMAIN, add=False),
        {"type": "dhcpconfig", "entries": []}, alias(ALIAS, revoke=True),
    )  # fmt: skip
    router.lab.remove_link("router", "eth4")


ENTRY_FAR = {**host("far", FAR, "10.1.2.20"), "default_gateway": "10.1.2.254"}
ENTRY_INNER = host("web1", INNER, "10.8.1.11")  # the name of a guest in eth0's network


def addresses(text: str) -> list[str]:
    return [str(IPv4Address(bytes.fromhex(text[place : place + 8]))) for place in range(0, len(text), 8)]


def options(answer: dict[str, str]) -> dict[str, object]:
    """What depends on the subnet."""
    return {
        "ip": answer["ip"], "mask": addresses(answer["1"]), "gateway": addresses(answer["3"]),
        "servers": addresses(answer["6"]), "by": addresses(answer["54"]),
        "domain": bytes.fromhex(answer["15"]).decode(),
    }  # fmt: skip


def names(router: Router, node: str, server: str, *query: str) -> list[str]:
    return router.dig(node, f"@{server}", *query)


def test_dh_8_each_client_gets_what_its_own_subnet_has(subnets: Router) -> None:
    assert options(dhcp(subnets, "guest1", FAR, last="ack")) == {
        "ip": "10.1.2.20", "mask": ["255.255.255.0"], "gateway": ["10.1.2.254"],
        "servers": [ALIAS, "192.0.2.53", "198.51.100.53"], "domain": DOMAIN, "by": [ALIAS],
    }  # fmt: skip
    assert options(dhcp(subnets, "guest1", "02:00:4c:01:00:11", last="ack")) == {
        "ip": "10.1.1.11", "mask": ["255.255.255.0"], "gateway": ["10.1.1.1"],
        "servers": ["10.1.1.1", "192.0.2.53", "198.51.100.53"], "domain": DOMAIN, "by": ["10.1.1.1"],
    }  # fmt: skip
    assert options(dhcp(subnets, "public1", INNER, last="ack")) == {
        "ip": "10.8.1.11", "mask": ["255.255.255.0"], "gateway": [TIER],
        "servers": [TIER, "192.0.2.53"], "domain": OTHER_DOMAIN, "by": [TIER],
    }  # fmt: skip
    assert dhcp(subnets, "public1", FAR) == dhcp(subnets, "guest1", INNER) == {}


def test_dn_1_every_subnet_is_answered(subnets: Router) -> None:
    """At the router's address in it, with the names of the tier's own domain."""
    assert names(subnets, "guest2", ALIAS, f"far.{DOMAIN}") == ["10.1.2.20"]
    assert names(subnets, "guest2", ALIAS, "-x", "10.1.2.20") == [f"far.{DOMAIN}."]
    assert names(subnets, "public1", TIER, f"web1.{OTHER_DOMAIN}") == ["10.8.1.11"]
    assert names(subnets, "public1", TIER, "-x", "10.8.1.11") == [f"web1.{OTHER_DOMAIN}."]
    assert names(subnets, "public1", TIER, f"nobody.{OTHER_DOMAIN}") == []


def test_dn_4_a_name_with_several_addresses_is_the_clients_own(subnets: Router) -> None:
    """And where the client's subnet has none, it gets them all."""
    assert names(subnets, "guest3", "10.1.1.1", "data-server") == ["10.1.1.1"]
    assert names(subnets, "guest2", ALIAS, "-b", "10.1.2.50", "data-server") == [ALIAS]
    assert names(subnets, "public1", TIER, "data-server") == [TIER]
    assert sorted(names(subnets, "guest2", ALIAS, "-b", "10.1.2.50", "web1")) == ["10.1.1.11", "10.8.1.11"]


def test_dn_5_the_routers_name_in_every_subnet(subnets: Router) -> None:
    assert names(subnets, "guest3", "10.1.1.1", "r-101-VM") == ["10.1.1.1"]
    assert names(subnets, "public1", TIER, "r-101-VM") == [TIER]
    assert names(subnets, "public1", TIER, f"data-server.{OTHER_DOMAIN}") == [TIER]


def test_dn_6_one_name_in_two_tiers(subnets: Router) -> None:
    assert names(subnets, "guest3", "10.1.1.1", "web1") == ["10.1.1.11"]
    assert names(subnets, "public1", TIER, "web1") == ["10.8.1.11"]
    assert names(subnets, "guest3", "10.1.1.1", f"web1.{OTHER_DOMAIN}") == ["10.8.1.11"]
    assert names(subnets, "public1", TIER, f"web1.{DOMAIN}") == ["10.1.1.11"]


def test_dh_8_what_is_removed_is_no_longer_served(subnets: Router) -> None:
    """The alias and then the tier, with their guests still listed; and both come back."""
    subnets.send(alias(ALIAS, revoke=True))
    assert dhcp(subnets, "guest1", FAR) == {}
    assert dhcp(subnets, "public1", INNER)["ip"] == "10.8.1.11"
    subnets.send(tier(TIER, OTHER_DOMAIN, add=False))
    assert dhcp(subnets, "public1", INNER) == {}
    assert names(subnets, "public1", TIER, "web1") == []
    assert dhcp(subnets, "guest1", "02:00:4c:01:00:11", last="ack")["ip"] == "10.1.1.11"
    assert names(subnets, "guest3", "10.1.1.1", "data-server") == ["10.1.1.1"]
    subnets.send(tier(TIER, OTHER_DOMAIN), alias(ALIAS))
    assert dhcp(subnets, "guest1", FAR)["ip"] == "10.1.2.20"
    assert dhcp(subnets, "public1", INNER)["ip"] == "10.8.1.11"


def test_dh_6_a_subnet_without_gateway_of_its_own(subnets: Router) -> None:
    """dhcpconfig says the gateway of a subnet; a guest whose entry says nothing gets that one."""
    silent = host("silent", "02:00:4c:0f:00:03", "10.1.2.30")
    del silent["default_gateway"]
    subnets.send(silent)
    assert addresses(dhcp(subnets, "guest1", "02:00:4c:0f:00:03")["3"]) == ["10.1.2.254"]
    subnets.send({"type": "dhcpconfig", "entries": []})
    assert addresses(dhcp(subnets, "guest1", "02:00:4c:0f:00:03")["3"]) == [ALIAS]
    subnets.send(GATEWAYS, {**silent, "remove": True})
