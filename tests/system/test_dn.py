"""DNS, by asking the daemon (contract dataplane 6.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.kit import Router, example
from tests.system.probes import dhcp, queries
from tests.system.rules import cmdline, host

DOMAIN = "tenant1.example.com"
GUESTS = {"web1": "10.1.1.11", "web2": "10.1.1.12", "db1": "10.1.1.13"}


def ask(router: Router, *query: str, node: str = "guest2") -> list[str]:
    return router.dig(node, "@10.1.1.1", *query)


def status(router: Router, *query: str) -> str:
    """NOERROR, NXDOMAIN, REFUSED, ..."""
    text = router.sh("guest2", "dig", "@10.1.1.1", "+noall", "+comments", "+time=1", "+tries=1", *query)
    return text.partition("status: ")[2].partition(",")[0]


@contextmanager
def booted(router: Router, **changes: str) -> Iterator[None]:
    """The router with other boot arguments."""
    router.send(cmdline(**changes))
    try:
        yield
    finally:
        router.send(example("isolated/01-cmdline"))


def test_dn_1_forward_and_reverse_short_and_long(router: Router) -> None:
    for name, address in GUESTS.items():
        assert ask(router, name) == ask(router, f"{name}.{DOMAIN}") == [address]
        assert ask(router, "+tcp", f"{name}.{DOMAIN}", node="guest1") == [address]
        assert ask(router, "-x", address) == [f"{name}.{DOMAIN}."]


def test_dn_2_local_names_never_leave(router: Router) -> None:
    """Unknown names of the domain, names without dots, and reverse queries for private ranges; in upper case too."""
    asked = [f"nobody.{DOMAIN}", f"Nobody.{DOMAIN.upper()}", f"a.b.{DOMAIN}", "nobody"]
    assert [status(router, name) for name in asked] == ["NXDOMAIN"] * 4
    assert status(router, f"nobody.{DOMAIN}", "MX") == status(router, f"nobody.{DOMAIN}", "TXT") == "NXDOMAIN"
    for address in ("10.1.1.200", "10.250.0.1", "192.168.7.7", "172.16.9.9"):
        assert status(router, "-x", address) == "NXDOMAIN"
    assert status(router, f"web1.{DOMAIN}", "AAAA") == "NOERROR"
    assert ask(router, "ns.example.com") == ["192.0.2.53"]
    seen = [line.split()[1].lower() for line in queries(router)]
    assert "ns.example.com" in seen
    assert not [name for name in seen if "nobody" in name or DOMAIN in name or name.endswith("in-addr.arpa")]


def test_dn_3_everything_else_is_forwarded(router: Router) -> None:
    assert ask(router, "www.example.com") == ["203.0.113.11"]
    assert status(router, "nothing-here.example.com") == "NXDOMAIN"
    assert any("nothing-here.example.com from 192.0.2.10" in line for line in queries(router))
    assert router.dig("router", "www.example.com") == ["203.0.113.11"]  # its own resolvers


def test_dn_3_in_the_order_of_the_boot_arguments(router: Router) -> None:
    """Internal ones first. 192.0.2.0/24 is reached with 192.0.2.10 as source, 198.51.100.0/24 with 198.51.100.10; a
    server that is silent is passed over."""
    assert ask(router, "first.example.com") == []
    with booted(router, internaldns1="198.51.100.53", internaldns2="192.0.2.99"):
        files = [router.sh("router", "cat", path) for path in ("/etc/dnsmasq-resolv.conf", "/etc/resolv.conf")]
        servers = [[line.split()[1] for line in text.splitlines() if line.startswith("nameserver")] for text in files]
        assert servers == [["198.51.100.53", "192.0.2.99", "192.0.2.53"]] * 2
        assert ask(router, "second.example.com") == []
    with booted(router, internaldns1="192.0.2.99"):
        assert ask(router, "+tries=4", "third.example.com") == []
        assert ask(router, "+tries=4", "public1.example.com") == ["203.0.113.11"]
    log = queries(router)
    for name, source in (("first", "192.0.2.10"), ("second", "198.51.100.10"), ("third", "192.0.2.10")):
        assert {line.split()[-1] for line in log if f" {name}.example.com " in line} == {source}


def test_dn_5_the_router_and_the_data_server(router: Router) -> None:
    assert ask(router, "data-server") == ask(router, f"data-server.{DOMAIN}") == ["10.1.1.1"]
    assert ask(router, "r-101-VM") == ask(router, f"r-101-vm.{DOMAIN}") == ["10.1.1.1"]
    with booted(router, name="r-202-VM"):
        assert (ask(router, "r-202-VM"), ask(router, "r-101-VM")) == (["10.1.1.1"], [])
    assert (ask(router, "r-202-VM"), ask(router, "r-101-VM")) == ([], ["10.1.1.1"])


def test_dn_7_only_external_name_servers(router: Router) -> None:
    """Port 53 is closed, DHCP goes on and offers the external ones; all back when the argument goes."""
    with booted(router, useextdns="true"):
        assert ask(router, f"web1.{DOMAIN}") == []
        assert ask(router, "+tcp", f"web1.{DOMAIN}") == []
        assert ":53 " not in router.sh("router", "ss", "-tulnH")
        given = router.lease("guest2")
        assert (given["ip"], given["dns"], given["hostname"]) == ("10.1.1.12", "192.0.2.53 198.51.100.53", "web2")
        for number in (1, 2):  # one after the other, with no DNS to ask the daemon by
            entry = host("extra", f"02:00:4c:0e:00:0{number}", "10.1.1.201")
            router.send(entry)
            assert dhcp(router, "guest1", entry["mac_address"], last="ack")["ip"] == "10.1.1.201"
            router.send({**entry, "remove": True})
            assert dhcp(router, "guest1", entry["mac_address"]) == {}
    assert ask(router, f"web1.{DOMAIN}") == ["10.1.1.11"]
    assert router.lease("guest2")["dns"] == "10.1.1.1 192.0.2.53 198.51.100.53"


def outside(router: Router, node: str, via: str, *more: str) -> list[str]:
    """What the router's guest address answers to a host outside that routes it to the router."""
    router.sh(node, "ip", "route", "add", "10.1.1.1/32", "via", via)
    try:
        return router.dig(node, "@10.1.1.1", *more, f"web1.{DOMAIN}")
    finally:
        router.sh(node, "ip", "route", "del", "10.1.1.1/32")


def test_dn_8_only_the_networks_own_addresses_are_answered(router: Router) -> None:
    assert outside(router, "upstream", "192.0.2.10") == outside(router, "public2", "198.51.100.10") == []
    assert router.dig("public2", "@198.51.100.10", f"web1.{DOMAIN}") == []
    router.sh("guest2", "ip", "addr", "add", "10.77.0.5/24", "dev", "eth0")
    try:
        assert ask(router, "-b", "10.77.0.5", f"web1.{DOMAIN}") == []
    finally:
        router.sh("guest2", "ip", "addr", "del", "10.77.0.5/24", "dev", "eth0")


def test_dn_8_exposed_to_any_source(router: Router) -> None:
    """At the guest address only, by UDP and TCP, until the argument goes."""
    with booted(router, exposedns="true"):
        assert outside(router, "upstream", "192.0.2.10") == ["10.1.1.11"]
        assert outside(router, "public2", "198.51.100.10", "+tcp") == ["10.1.1.11"]
        assert router.dig("public2", "@198.51.100.10", f"web1.{DOMAIN}") == []
        assert ask(router, f"web1.{DOMAIN}") == ["10.1.1.11"]
        assert dhcp(router, "upstream", "02:00:4c:01:00:11") == {}  # DH-3 still holds
    assert outside(router, "upstream", "192.0.2.10") == []


def test_dn_9_names_go_with_their_guest(router: Router) -> None:
    """Within the same update, forward and reverse; another guest may have the name at once."""
    one, two = (host("brief", f"02:00:4c:0e:00:{number:02x}", f"10.1.1.{number}") for number in (210, 211))
    router.send(one)
    assert (ask(router, "brief"), ask(router, "-x", "10.1.1.210")) == (["10.1.1.210"], [f"brief.{DOMAIN}."])
    router.send({**one, "remove": True})
    assert (ask(router, f"brief.{DOMAIN}"), ask(router, "-x", "10.1.1.210")) == ([], [])
    assert status(router, f"brief.{DOMAIN}") == "NXDOMAIN"
    router.send(two)
    assert ask(router, "brief") == ["10.1.1.211"]
    router.send(one)
    assert sorted(ask(router, "brief")) == ["10.1.1.210", "10.1.1.211"]
    router.send({**one, "remove": True})
    assert ask(router, "brief") == ["10.1.1.211"]
    router.send({**two, "host_name": "renamed"})
    assert (ask(router, "brief"), ask(router, "renamed")) == ([], ["10.1.1.211"])
    router.send({**two, "remove": True})


def test_dn_11_resolvers_change_without_a_reboot(router: Router) -> None:
    """The new ones are asked at once, for guests and for the router itself; the guests are told."""
    with booted(router, dns1="198.51.100.53", dns2=""):
        assert ask(router, "elsewhere.example.com") == []
        assert router.lease("guest2")["dns"] == "10.1.1.1 198.51.100.53"
        assert "192.0.2.53" not in router.sh("router", "cat", "/etc/resolv.conf")
    assert ask(router, "back.example.com") == []
    log = queries(router)
    assert {line.split()[-1] for line in log if "elsewhere" in line} == {"198.51.100.10"}
    assert {line.split()[-1] for line in log if "back." in line} == {"192.0.2.10"}
