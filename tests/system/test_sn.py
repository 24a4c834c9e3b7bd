"""Source NAT with several public ranges, by the addresses that hosts see (contract dataplane 2.4)."""

from __future__ import annotations

from tests.system.commands import aliases, boot, egress, gone, host, ips, public, static_nat
from tests.system.kit import Router, example
from tests.system.wire import addresses, capture, connections, inject, segment


def test_sn_1_guests_leave_with_the_boot_address(built: Router) -> None:
    assert [built.http(guest, "203.0.113.11") for guest in ("guest2", "guest3")] == ["192.0.2.10"] * 2
    assert built.http("guest1", "203.0.113.11") == "192.0.2.11"  # static NAT applies instead


def test_sn_1_the_boot_address_counts_without_a_flag(bare: Router) -> None:
    """A lower address on the interface and an earlier place in the bag do not matter."""
    bare.send(boot(eth2ip="192.0.2.30"), ips(public("192.0.2.20")), egress(901, "tcp"), example("isolated/12-dhcpentry-db1"))
    assert bare.lease("guest3")
    assert bare.http("guest3", "203.0.113.11") == "192.0.2.30"


def test_sn_5_nothing_is_translated_between_guest_networks_or_to_control(fresh: Router) -> None:
    fresh.send(aliases(["10.1.3.1"]), host("db1", "02:00:4c:01:00:13", "10.1.3.13", default_gateway="10.1.3.1"))
    assert fresh.lease("guest2")["ip"] == "10.1.1.12"
    assert fresh.lease("guest3")["ip"] == "10.1.3.13"
    assert fresh.http("guest2", "10.1.3.13") == "10.1.1.12"
    assert fresh.http("guest3", "10.1.1.12") == "10.1.3.13"
    assert fresh.http("router", "169.254.0.1") == "169.254.10.20"
    assert fresh.http("router", "10.1.1.12") == "10.1.1.1"
    assert fresh.http("guest3", "203.0.113.11") == ""  # no egress rule lets this network out
    fresh.send(egress(901, "tcp"))
    assert fresh.http("guest3", "203.0.113.11") == "192.0.2.10"


def test_sn_6_a_new_address_is_for_new_connections(fresh: Router) -> None:
    assert fresh.lease("guest3")
    fresh.send(egress(901, "tcp"))
    with fresh.tcp_server("public1", 8000), fresh.stream("guest3", "203.0.113.11", 8000) as old:
        assert old.greeting == "192.0.2.10 8000"
        fresh.send(ips(public("192.0.2.12", source_nat=True), public("192.0.2.10")))
        assert addresses(fresh)["192.0.2.12"] == ("eth2", False)
        with fresh.stream("guest3", "203.0.113.11", 8000) as new:
            assert new.greeting == "192.0.2.12 8000"
            assert old.echoes()
            assert new.echoes()
            fresh.send(example("isolated/02-ips-source-nat"), ips(public("192.0.2.12")))
            assert old.echoes()
            assert new.echoes()
        assert fresh.tcp("guest3", "203.0.113.11", 8000) == "192.0.2.10 8000"
        replies = [line.split("dst=")[2].split()[0] for line in connections(fresh, "-p", "tcp", "--orig-port-dst", "8000")]
        assert replies.count("192.0.2.12") == 1


def test_sn_7_the_address_is_valid_where_the_packet_leaves(fresh: Router) -> None:
    assert fresh.lease("guest3")
    assert fresh.lease("guest2")
    assert fresh.http("guest3", "198.51.100.12") == "198.51.100.10"
    fresh.send(ips(public("198.51.100.10"), public("198.51.100.9"), public("198.51.100.20", source_nat=True)))
    assert fresh.http("guest3", "198.51.100.12") == "198.51.100.20"  # the flagged one
    fresh.send(gone("198.51.100.20"))
    assert fresh.http("guest3", "198.51.100.12") == "198.51.100.10"  # the first of those left
    fresh.send(gone("198.51.100.10"))
    assert fresh.http("guest3", "198.51.100.12") == "198.51.100.9"
    assert fresh.http("guest3", "203.0.113.11") == "192.0.2.10"
    fresh.send(static_nat("198.51.100.9", "10.1.1.12"))
    assert fresh.http("guest2", "198.51.100.12") == "198.51.100.9"
    fresh.send(gone("198.51.100.9"))
    assert fresh.http("guest2", "203.0.113.11") == "192.0.2.10"


def test_sn_7_only_guests_are_translated(built: Router) -> None:
    """What the router sends keeps its address, also one of another range; a forged source does not get out."""
    argv = ("curl", "-s", "--max-time", "2", "--interface")
    assert built.sh("router", *argv, "192.0.2.12", "http://203.0.113.11/").strip() == "192.0.2.12"
    assert built.sh("router", *argv, "198.51.100.10", "http://203.0.113.11/").strip() == "198.51.100.10"
    with capture(built, "upstream", "eth0", "tcp port 80") as seen:
        inject(built, "guest3", segment("10.99.0.1", "203.0.113.11", 80, 2))
        assert built.http("guest3", "203.0.113.11") == "192.0.2.10"
        assert {line.split(" IP ")[1].split(".80")[0].split(" ")[0].rsplit(".", 1)[0] for line in seen.lines("> 203")} == {
            "192.0.2.10"
        }
