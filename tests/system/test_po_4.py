"""Which connections a change ends, and which it must not (contract dataplane 3.1, PO-4; design 4a)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.commands import egress, forward, gone, ingress, ips, public, static_nat
from tests.system.kit import Router, eventually, example
from tests.system.wire import connections


@pytest.fixture
def served(own: Router) -> Iterator[Router]:
    """Guests have leases, everything may leave; guest2 serves on port 22, the others on 8001, public hosts on 8000."""
    for guest in ("guest1", "guest2", "guest3"):
        assert own.lease(guest)
    own.send(
        egress(901, "tcp"), ingress(902, "192.0.2.11", "tcp", 8001), ingress(903, "192.0.2.12", "tcp", 8001),
        ingress(904, "198.51.100.10", "tcp", 8001), forward("192.0.2.12", 8001, "10.1.1.13", 8001),
        forward("198.51.100.10", 8001, "10.1.1.13", 8001),
    )  # fmt: skip
    with (
        own.tcp_server("guest1", 8001), own.tcp_server("guest2", 22), own.tcp_server("guest3", 8001),
        own.tcp_server("public1", 8000), own.tcp_server("public2", 8000),
    ):  # fmt: skip
        yield own


def test_po_4_a_withdrawn_firewall_rule_ends_nothing(served: Router) -> None:
    with served.stream("public1", "192.0.2.10", 2222) as running:
        rules = [{**rule, "revoked": True} for rule in example("isolated/06-firewallrules-ingress")["rules"]]
        served.send({"type": "firewallrules", "rules": rules})
        assert running.echoes()
        assert served.tcp("public1", "192.0.2.10", 2222) == ""


def test_po_4_a_removed_forward_ends_its_connections_and_no_others(served: Router) -> None:
    with (
        served.stream("public1", "192.0.2.10", 2222) as ended, served.stream("public1", "192.0.2.12", 8001) as other,
        served.stream("public1", "192.0.2.11", 8001) as static, served.stream("guest2", "203.0.113.11", 8000) as out,
    ):  # fmt: skip
        served.send(forward("192.0.2.10", 2222, "10.1.1.12", 22, revoke=True))
        assert not connections(served, "-p", "tcp", "--orig-port-dst", "2222")
        assert not ended.echoes()
        assert [stream.echoes() for stream in (other, static, out)] == [True, True, True]
        assert served.tcp("public1", "192.0.2.10", 2222) == ""


def test_po_4_a_forward_to_another_guest_ends_those_of_the_old_one(served: Router) -> None:
    with (
        served.stream("public1", "192.0.2.12", 8001) as ended, served.stream("public1", "198.51.100.10", 8001) as other,
    ):  # fmt: skip
        served.send(forward("192.0.2.12", 8001, "10.1.1.11", 8001))
        assert not ended.echoes()
        assert other.echoes()
        assert served.tcp("public1", "192.0.2.12", 8001) == "203.0.113.11 8001"


def test_po_4_the_end_of_a_static_nat_ends_both_directions(served: Router) -> None:
    with (
        served.stream("public1", "192.0.2.11", 8001) as into, served.stream("guest1", "203.0.113.11", 8000) as out,
        served.stream("public1", "192.0.2.10", 2222) as other, served.stream("guest2", "203.0.113.11", 8000) as others,
    ):  # fmt: skip
        assert (into.greeting, out.greeting) == ("203.0.113.11 8001", "192.0.2.11 8000")
        served.send(static_nat("192.0.2.11", "10.1.1.11", revoke=True))
        assert not [line for line in connections(served, "-p", "tcp") if "192.0.2.11" in line]
        assert [stream.echoes() for stream in (other, others)] == [True, True]
        assert [stream.echoes() for stream in (into, out)] == [False, False]


def test_po_4_a_removed_address_ends_its_connections_and_no_others(served: Router) -> None:
    with (
        served.stream("public1", "198.51.100.10", 8001) as into, served.stream("guest3", "198.51.100.12", 8000) as out,
        served.stream("public1", "192.0.2.10", 2222) as other, served.stream("guest2", "203.0.113.11", 8000) as others,
        served.stream("public1", "192.0.2.11", 8001) as static,
    ):  # fmt: skip
        assert out.greeting == "198.51.100.10 8000"
        served.send(gone("198.51.100.10"))
        assert not [line for line in connections(served, "-p", "tcp") if "198.51.100.10" in line]
        assert [stream.echoes() for stream in (other, others, static)] == [True, True, True]
        assert [stream.echoes() for stream in (into, out)] == [False, False]


def test_po_4_an_address_that_comes_ends_nothing(served: Router) -> None:
    """Nor does one that changes its place: the first of its device, as which the kernel briefly takes others away."""
    with served.stream("public1", "192.0.2.10", 2222) as into, served.stream("guest2", "203.0.113.11", 8000) as out:
        served.send(ips(public("192.0.2.9", source_nat=True), public("198.51.100.9", source_nat=True)))
        assert into.echoes()
        assert out.echoes()
        served.send(gone("192.0.2.9"))
        assert into.echoes()
        assert out.echoes()


def test_po_4_datagrams_of_a_removed_forward_end_too(served: Router) -> None:
    """A flow of UDP that never pauses would live on for ever."""
    with served.udp_server("guest3", 9000):
        assert served.udp("public1", "192.0.2.10", 9000).startswith("203.0.113.11")
        document = example("isolated/07-forwardrules")
        served.send({**document, "rules": [{**document["rules"][1], "revoke": True}]})
        assert eventually(lambda: not connections(served, "-p", "udp", "--orig-port-dst", "9000"))
        assert served.udp("public1", "192.0.2.10", 9000) == ""
