"""DHCP, by asking the daemon (contract dataplane 6.1). Tests on the shared router use their own MACs and addresses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

import pytest

from tests.system.kit import Router, example
from tests.system.probes import asking, dhcp
from tests.system.rules import Entry, cmdline, host

MASK, GATEWAY, SERVERS, NAME, DOMAIN, MTU, TIME, ROUTES = "1", "3", "6", "12", "15", "26", "51", "121"
DOMAIN_NAME = "tenant1.example.com"


def mac(number: int) -> str:
    return f"02:00:4c:0d:00:{number:02x}"


def gone(entry: Entry) -> Entry:
    return {**entry, "remove": True}


def addresses(text: str) -> list[str]:
    """An option that is a list of addresses."""
    return [str(IPv4Address(bytes.fromhex(text[place : place + 8]))) for place in range(0, len(text), 8)]


def text(option: str) -> str:
    return bytes.fromhex(option).decode()


def leases(router: Router) -> dict[str, str]:
    """Address to MAC, of the daemon's lease file."""
    lines = router.sh("router", "cat", "/var/lib/misc/dnsmasq.leases").splitlines()
    return {line.split()[2]: line.split()[1] for line in lines}


def name(router: Router, host_name: str) -> list[str]:
    return router.dig("guest2", "@10.1.1.1", f"{host_name}.{DOMAIN_NAME}")


def test_dh_1_exactly_its_address_for_ever(router: Router) -> None:
    for guest, address in (("guest1", "10.1.1.11"), ("guest2", "10.1.1.12"), ("guest3", "10.1.1.13")):
        given = router.lease(guest)
        assert (given["ip"], given["lease"]) == (address, str(2**32 - 1))
    assert dhcp(router, "guest1", "02:00:4c:01:00:12")["ip"] == "10.1.1.12"
    wish = b"\x32\x04" + IPv4Address("10.1.1.99").packed  # RFC 2132, section 9.1
    assert dhcp(router, "guest1", "02:00:4c:01:00:12", more=wish)["ip"] == "10.1.1.12"


def test_dh_1_whatever_the_case_of_the_mac(router: Router) -> None:
    entry = host("upper", mac(0xAB).upper(), "10.1.1.101")
    router.send(entry)
    assert dhcp(router, "guest1", mac(0xAB))["ip"] == "10.1.1.101"
    router.send(gone(entry))


def test_dh_1_names_that_the_daemon_could_misread(router: Router) -> None:
    """In a lease line these mean something else: an order, or a time. They are names here, and leases stay infinite."""
    words = ["ignore", "infinite", "300", "1h", "45m", "5D", "w", "deadline"]
    entries = [host(word, mac(0x10 + place), f"10.1.1.{110 + place}") for place, word in enumerate(words)]
    router.send(*entries)
    for entry in entries:
        found = dhcp(router, "guest1", entry["mac_address"], last="ack", more=b"\x0c\x04evil")
        assert (found["ip"], found[TIME]) == (entry["ipv4_address"], "ffffffff")
        assert text(found[NAME]).lower() == entry["host_name"].lower()
        assert name(router, entry["host_name"]) == [entry["ipv4_address"]]
    assert name(router, "evil") == []
    router.send(*map(gone, entries))
    assert not {entry["ipv4_address"] for entry in entries} & leases(router).keys()


def test_dh_2_an_unknown_mac_is_not_answered(router: Router) -> None:
    entry = host("late", mac(0x20), "10.1.1.120")
    assert dhcp(router, "guest1", mac(0x20)) == {}
    router.send(entry)
    assert dhcp(router, "guest1", mac(0x20))["ip"] == "10.1.1.120"
    router.send(gone(entry))
    assert dhcp(router, "guest1", mac(0x20)) == {}


def test_dh_2_a_new_guest_waits_for_its_entry(own: Router) -> None:
    """A real client: it asks until the entry is there."""
    own.lab.add_guest("late", mac(0x21))
    assert own.lease("late") == {}
    own.send(host("late", mac(0x21), "10.1.1.121"))
    assert own.lease("late")["ip"] == "10.1.1.121"
    assert own.ping("guest1", "10.1.1.121")


def test_dh_3_not_on_public_or_control_interfaces(router: Router) -> None:
    places = [("upstream", "eth0"), ("upstream", "eth1"), ("control", "eth0"), ("guest2", "eth0")]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: dhcp(router, at[0], "02:00:4c:01:00:11", device=at[1]), places))
    assert [answer.get("ip") for answer in found] == [None, None, None, "10.1.1.11"]


def test_dh_4_options_of_a_default_nic(router: Router) -> None:
    given = router.lease("guest2")
    assert {key: given[key] for key in ("subnet", "router", "dns", "domain", "mtu", "hostname", "serverid")} == {
        "subnet": "255.255.255.0", "router": "10.1.1.1", "dns": "10.1.1.1 192.0.2.53 198.51.100.53",
        "domain": DOMAIN_NAME, "mtu": "1500", "hostname": "web2", "serverid": "10.1.1.1",
    }  # fmt: skip
    windows = b"\x3c\x08MSFT 5.0" + b"\x37\x03\x01\x03\x2b"  # options 60 and 55
    assert dhcp(router, "guest1", "02:00:4c:01:00:11", more=windows)["43"].startswith("020400000001")
    assert "43" not in dhcp(router, "guest1", "02:00:4c:01:00:11", more=b"\x37\x03\x01\x03\x2b")


def test_dh_4_no_router_where_the_gateway_is_none(router: Router) -> None:
    entry = host("alone", mac(0x30), "10.1.1.130", default_gateway="0.0.0.0")
    router.send(entry)
    found = dhcp(router, "guest1", mac(0x30))
    assert GATEWAY not in found
    assert (addresses(found[MASK]), text(found[DOMAIN])) == (["255.255.255.0"], DOMAIN_NAME)
    assert dhcp(router, "guest1", "02:00:4c:01:00:12")[GATEWAY] == "0a010101"
    router.send(gone(entry))


def test_dh_5_a_second_nic_gets_neither_router_nor_names(router: Router) -> None:
    """And other guests' removal, with such a NIC served, leaves a living daemon with right answers."""
    second = host("two", mac(0x40), "10.1.1.140", default_entry=False)
    others = [host(f"other{number}", mac(0x40 + number), f"10.1.1.{140 + number}") for number in (1, 2)]
    router.send(second, *others)
    found = dhcp(router, "guest1", mac(0x40), last="ack")
    assert found["ip"] == "10.1.1.140"
    assert not {GATEWAY, SERVERS, DOMAIN} & found.keys()
    assert (addresses(found[MASK]), found[MTU], text(found[NAME])) == (["255.255.255.0"], "05dc", "two")
    for other in others:
        assert dhcp(router, "guest1", other["mac_address"], last="ack")[GATEWAY] == "0a010101"
        router.send(gone(other))
        assert dhcp(router, "guest1", other["mac_address"]) == {}
        assert (name(router, other["host_name"]), name(router, "two")) == ([], ["10.1.1.140"])
        assert not {GATEWAY, SERVERS, DOMAIN} & dhcp(router, "guest1", mac(0x40), last="ack").keys()
    assert leases(router)["10.1.1.140"] == mac(0x40)
    router.send({**second, "default_entry": True})
    assert dhcp(router, "guest1", mac(0x40))[GATEWAY] == "0a010101"
    router.send(gone(second))
    assert dhcp(router, "guest1", mac(0x40)) == {}
    assert dhcp(router, "guest1", "02:00:4c:01:00:11", last="ack")["ip"] == "10.1.1.11"
    assert router.pid() > 0


def test_dh_6_gateway_of_the_entry_netmask_of_the_interface(router: Router) -> None:
    """Two guests of one subnet with two gateways: each its own, not the one processed last."""
    entry = host("routed", mac(0x50), "10.1.1.150", default_gateway="10.1.1.254")
    router.send(entry)
    found = dhcp(router, "guest1", mac(0x50))
    assert (addresses(found[GATEWAY]), addresses(found[MASK])) == (["10.1.1.254"], ["255.255.255.0"])
    assert addresses(dhcp(router, "guest1", "02:00:4c:01:00:11")[GATEWAY]) == ["10.1.1.1"]
    router.send({**entry, "default_gateway": "10.1.1.1"})
    assert addresses(dhcp(router, "guest1", mac(0x50))[GATEWAY]) == ["10.1.1.1"]
    router.send(gone(entry))


def test_dh_9_search_order(router: Router) -> None:
    """Option 119 is sent unasked, and 15 carries the list; both end with the boot argument."""
    router.send(cmdline(dnssearchorder="a.example.com,b.example.com"))
    try:
        assert router.lease("guest2")["search"] == "a.example.com b.example.com"
        assert text(dhcp(router, "guest1", "02:00:4c:01:00:12")[DOMAIN]) == "a.example.com b.example.com"
        unasked = dhcp(router, "guest1", "02:00:4c:01:00:11", more=b"\x37\x02\x01\x03")
        assert "119" in unasked
        assert DOMAIN not in unasked
    finally:
        router.send(example("isolated/01-cmdline"))
    given = router.lease("guest2")
    assert (given.get("search"), given["domain"]) == (None, DOMAIN_NAME)


def test_dh_10_a_removed_guest_leaves_nothing(router: Router) -> None:
    entry = host("short", mac(0x60), "10.1.1.160")
    pid = router.pid()
    for away in ({"remove": True}, {"add": False}):  # either form; and it can come back
        router.send(entry)
        assert dhcp(router, "guest1", mac(0x60), last="ack")["ip"] == "10.1.1.160"
        assert (leases(router)["10.1.1.160"], name(router, "short")) == (mac(0x60), ["10.1.1.160"])
        router.send({**entry, **away})
        assert ("10.1.1.160" in leases(router), name(router, "short")) == (False, [])
        assert dhcp(router, "guest1", mac(0x60)) == {}
    assert router.pid() == pid


def test_dh_10_an_address_goes_to_another_mac_at_once(router: Router) -> None:
    """By one entry in place of the other, and by a removal before it; a late removal of the old one does nothing."""
    one, two = host("one", mac(0x61), "10.1.1.161"), host("two", mac(0x62), "10.1.1.161")
    router.send(one)
    assert dhcp(router, "guest1", mac(0x61), last="ack")["ip"] == "10.1.1.161"
    router.send(two)
    assert dhcp(router, "guest1", mac(0x62), last="ack")["ip"] == "10.1.1.161"
    assert dhcp(router, "guest1", mac(0x61)) == {}
    assert (name(router, "one"), name(router, "two")) == ([], ["10.1.1.161"])
    router.send(gone(one))
    assert (leases(router)["10.1.1.161"], name(router, "two")) == (mac(0x62), ["10.1.1.161"])
    router.send(gone(two), one)
    assert dhcp(router, "guest1", mac(0x61), last="ack")["ip"] == "10.1.1.161"
    router.send(gone(one))
    assert "10.1.1.161" not in leases(router)


def test_dh_10_a_mac_goes_to_another_address_at_once(router: Router) -> None:
    old, new = (host("mover", mac(0x63), f"10.1.1.{number}") for number in (163, 164))
    router.send(old)
    assert dhcp(router, "guest1", mac(0x63), last="ack")["ip"] == "10.1.1.163"
    router.send(new)
    assert ("10.1.1.163" in leases(router), name(router, "mover")) == (False, ["10.1.1.164"])
    assert dhcp(router, "guest1", mac(0x63), last="ack")["ip"] == "10.1.1.164"
    other = host("heir", mac(0x64), "10.1.1.163")
    router.send(other)
    assert dhcp(router, "guest1", mac(0x64), last="ack")["ip"] == "10.1.1.163"
    router.send(gone(new), gone(other))


def test_dh_11_entries_come_and_go_without_interruption(router: Router) -> None:
    """The process stays, and no query of another guest fails."""
    entries = [host(f"many{number}", mac(0x70 + number), f"10.1.1.{170 + number}") for number in range(10)]
    pid = router.pid()
    with asking(router, "guest2", "10.1.1.1", f"web1.{DOMAIN_NAME}", "10.1.1.11") as loop:
        router.send(*entries)
        assert dhcp(router, "guest1", mac(0x79), last="ack")["ip"] == "10.1.1.179"
        router.send(*map(gone, entries))
        assert router.pid() == pid
    assert (loop.failed, loop.count > 20) == (0, True)


def test_dh_11_leases_survive_a_restart(router: Router) -> None:
    """A new MTU is a matter of the interface: the daemon may restart, and knows its leases."""
    assert router.lease("guest3")["ip"] == "10.1.1.13"
    before = leases(router)
    router.send(cmdline(privateMtu="1400"))
    try:
        assert leases(router) == before
        given = router.lease("guest3")
        assert (given["ip"], given["mtu"]) == ("10.1.1.13", "1400")
    finally:
        router.send(example("isolated/01-cmdline"))
    assert router.lease("guest3")["mtu"] == "1500"


def test_dh_12_as_many_leases_as_the_subnet_holds(empty: Router) -> None:
    """2 200 leases are known, in a subnet of 4 096 addresses, and more are given."""
    known = [
        f"0 02:ab:00:00:{number >> 8:02x}:{number & 255:02x} 10.1.{number >> 8}.{number & 255} * *"
        for number in range(256, 2456)
    ]
    empty.lab.put("router", "/var/lib/misc/dnsmasq.leases", "\n".join([*known, ""]).encode(), 0o644)
    more = [host(f"h{number}", f"02:aa:00:00:00:{number:02x}", f"10.1.15.{1 + number}") for number in range(20)]
    empty.send(cmdline(eth0ip="10.1.0.1", eth0mask="255.255.240.0"), *more)
    assert len(leases(empty)) == 2200
    script = ("python3", "-S", __file__.replace("test_dh", "peer"), "leases", "eth0", "20")
    assert empty.sh("guest1", *script).strip() == "20"
    assert len(leases(empty)) == 2220


@pytest.mark.parametrize("default", [True, False], ids=["default NIC", "second NIC"])
def test_dh_13_static_routes(router: Router, default: bool) -> None:
    """Classless routes (RFC 3442); with them a client ignores option 3, so the default route is among them."""
    entry = host("far", mac(0x80), "10.1.1.180", static_routes="10.9.0.0/16:10.1.1.12", default_entry=default)
    router.send(entry)
    through = "10" + "0a09" + "0a01010c"
    assert dhcp(router, "guest1", mac(0x80))[ROUTES] == through + ("00" + "0a010101") * default
    assert ROUTES not in dhcp(router, "guest1", "02:00:4c:01:00:11")
    router.send({**entry, "static_routes": ""})
    assert ROUTES not in dhcp(router, "guest1", mac(0x80))
    router.send(gone(entry))
