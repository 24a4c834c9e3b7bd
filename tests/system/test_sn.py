"""Source NAT with several public ranges, by the addresses that hosts see (contract dataplane 2.4)."""

from __future__ import annotations

from tests.system.commands import aliases, boot, egress, gone, host, ips, public, static_nat
from tests.system.kit import Router, example
from tests.system.wire import addresses, capture, connections, inject, segment


def test_sn_1_guests_leave_with_the_boot_address(built: Router) -> None:
    assert [built.http(guest, "203.0.113.11") for guest in ("guest2", "guest3")] == ["192.0.2.10"] * 2
    assert built.http("guest1", "203.0.113.11") == "192.0.2.11"  # static NAT applies instead


def test_sn_1_the_boot_address_counts_without_a_flag(empty: Router) -> None:
    """A lower address on the interface and an earlier place in the bag do not matter."""
    empty.send(boot(eth2ip="192.0.2.30"), ips(public("192.0.2.20")), egress(901, "tcp"))
    empty.send(example("isolated/12-dhcpentry-db1"))
    assert empty.lease("guest3")
    assert empty.http("guest3", "203.0.113.11") == "192.0.2.30"


def test_sn_5_nothing_is_translated_between_guest_networks_or_to_control(own: Router) -> None:
    own.send(aliases(["10.1.3.1"]), host("db1", "02:00:4c:01:00:13", "10.1.3.13", default_gateway="10.1.3.1"))
    assert own.lease("guest2")["ip"] == "10.1.1.12"
    assert own.lease("guest3")["ip"] == "10.1.3.13"
    assert own.http("guest2", "10.1.3.13") == "10.1.1.12"
    assert own.http("guest3", "10.1.1.12") == "10.1.3.13"
    assert own.http("router", "169.254.0.1") == "169.254.10.20"
    assert own.http("router", "10.1.1.12") == "10.1.1.1"
    assert own.http("guest3", "203.0.113.11") == ""  # no egress rule lets this network out
    own.send(egress(901, "tcp"))
    assert own.http("guest3", "203.0.113.11") == "192.0.2.10"


def test_sn_6_a_new_address_is_for_new_connections(own: Router) -> None:
    assert own.lease("guest3")
    own.send(egress(901, "tcp"))
    with own.tcp_server("public1", 8000), own.stream("guest3", "203.0.113.11", 8000) as old:
        assert old.greeting == "192.0.2.10 8000"
        own.send(ips(public("192.0.2.12", source_nat=True), public("192.0.2.10")))
        assert addresses(own)["192.0.2.12"] == ("eth2", False)
        with own.stream("guest3", "203.0.113.11", 8000) as new:
            assert new.greeting == "192.0.2.12 8000"
            assert old.echoes()
            assert new.echoes()
            own.send(example("isolated/02-ips-source-nat"), ips(public("192.0.2.12")))
            assert old.echoes()
            assert new.echoes()
        assert own.tcp("guest3", "203.0.113.11", 8000) == "192.0.2.10 8000"
        tracked = connections(own, "-p", "tcp", "--orig-port-dst", "8000")
        assert sum("dst=192.0.2.12 " in line for line in tracked) == 1


def test_sn_7_the_address_is_valid_where_the_packet_leaves(own: Router) -> None:
    assert own.lease("guest3")
    assert own.lease("guest2")
    assert own.http("guest3", "198.51.100.12") == "198.51.100.10"
    own.send(ips(public("198.51.100.10"), public("198.51.100.9"), public("198.51.100.20", source_nat=True)))
    assert own.http("guest3", "198.51.100.12") == "198.51.100.20"  # the flagged one
    own.send(gone("198.51.100.20"))
    assert own.http("guest3", "198.51.100.12") == "198.51.100.10"  # the first of those left
    own.send(gone("198.51.100.10"))
    assert own.http("guest3", "198.51.100.12") == "198.51.100.9"
    assert own.http("guest3", "203.0.113.11") == "192.0.2.10"
    own.send(static_nat("198.51.100.9", "10.1.1.12"))
    assert own.http("guest2", "198.51.100.12") == "198.51.100.9"
    own.send(gone("198.51.100.9"))
    assert own.http("guest2", "203.0.113.11") == "192.0.2.10"


def test_sn_7_only_guests_are_translated(built: Router) -> None:
    """What the router sends keeps its address, also one of another range; a forged source does not get out."""
    argv = ("curl", "-s", "--max-time", "2", "--interface")
    assert built.sh("router", *argv, "192.0.2.12", "http://203.0.113.11/").strip() == "192.0.2.12"
    assert built.sh("router", *argv, "198.51.100.10", "http://203.0.113.11/").strip() == "198.51.100.10"
    with capture(built, "upstream", "eth0", "tcp port 80") as seen:
        inject(built, "guest3", segment("10.99.0.1", "203.0.113.11", 80, 2))
        assert built.http("guest3", "203.0.113.11") == "192.0.2.10"
        assert seen.lines("IP 192.0.2.10.", "> 203.0.113.11.80")
        assert seen.lines("> 203.0.113.11.80") == seen.lines("IP 192.0.2.10.", "> 203.0.113.11.80")
