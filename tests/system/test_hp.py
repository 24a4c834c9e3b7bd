"""Hairpin: guests that use the public addresses of their own network (contract dataplane 4.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.kit import Router
from tests.system.probes import GONE, opened, reach, seen, serving
from tests.system.rules import firewall, forward, forwards, ingress, revoked

SHARED, SECOND, STATIC = "192.0.2.12", "198.51.100.10", "192.0.2.11"  # the last is web1's
WEB2, DB1 = "10.1.1.12", "10.1.1.13"
ROUTER = "10.1.1.1"


@pytest.fixture(scope="module", autouse=True)
def servers(router: Router) -> Iterator[None]:
    """Firewalls as open as they can be, and guests that answer."""
    rules = [ingress(7000 + place, to, "all") for place, to in enumerate((SHARED, SECOND, STATIC))]
    router.send(firewall(*rules))
    specs = ("tcp 7000", "udp 7000", "ip 251", "ip 252")
    with serving(router, "guest1", *specs), serving(router, "guest2", *specs), serving(router, "guest3", *specs):
        yield
    router.send(firewall(*map(revoked, rules)))


def test_hp_1_a_forward_reaches_a_guest_of_the_same_network(router: Router) -> None:
    """By addresses of either public interface; the guest sees the router, through which the answer returns."""
    rules = [
        forward(SHARED, "7001", WEB2, "7000"), forward(SHARED, "7001", DB1, "7000", "udp"),
        forward(SECOND, "7002", DB1, "7000"),
    ]  # fmt: skip
    targets = (f"tcp {SHARED} 7001", f"udp {SHARED} 7001", f"tcp {SECOND} 7002")
    router.send(forwards(*rules))
    for guest in ("guest1", "guest2", "guest3"):
        assert set(reach(router, guest, *targets).values()) == {f"{ROUTER} 7000"}
    router.send(forwards(*map(revoked, rules)))
    assert opened(router, targets, "guest1", "guest2") == [set(), set()]


def test_hp_1_static_nat_of_the_same_network(router: Router) -> None:
    targets = (f"tcp {STATIC} 7000", f"udp {STATIC} 7000")
    assert set(reach(router, "guest2", *targets).values()) == {f"{ROUTER} 7000"}


def test_hp_1_the_firewall_applies_to_the_private_source(router: Router) -> None:
    """As FI-3 says; and no egress rule is needed, since nothing leaves (FE-1)."""
    rule, some = forward("192.0.2.10", "7003", WEB2, "7000"), ingress(7010, "192.0.2.10", "tcp", "7003", f"{DB1}/32")
    router.send(forwards(rule), firewall(some))
    assert opened(router, ["tcp 192.0.2.10 7003"], "guest1", "guest3") == [set(), {"tcp 192.0.2.10 7003"}]
    router.send(forwards(revoked(rule)), firewall(revoked(some)))


def test_hp_2_a_guest_reaches_itself(router: Router) -> None:
    rule = forward(SHARED, "7004", WEB2, "7000")
    router.send(forwards(rule))
    assert seen(router, "guest2", f"tcp {SHARED} 7004") == f"{ROUTER} 7000"
    router.send(forwards(revoked(rule)))
    assert seen(router, "guest2", f"tcp {SHARED} 7004") == GONE
    targets = (f"tcp {STATIC} 7000", f"udp {STATIC} 7000")
    assert set(reach(router, "guest1", *targets).values()) == {f"{ROUTER} 7000"}


def test_hp_5_static_nat_hairpins_every_protocol(router: Router) -> None:
    """Ping with an ingress rule for ICMP, and protocols without ports; from another guest and from its own.

    Of a protocol without ports the router can hold one such connection: the target sees both guests as one source.
    """
    for guest, protocol in (("guest2", 251), ("guest1", 252)):
        assert reach(router, guest, f"icmp {STATIC}", f"ip {STATIC} {protocol}") == {
            f"icmp {STATIC}": STATIC, f"ip {STATIC} {protocol}": f"{ROUTER} {protocol}",
        }  # fmt: skip
    closed, ping = ingress(7002, STATIC, "all"), ingress(7011, STATIC, "icmp", "8/-1", "10.1.1.0/24")
    router.send(firewall(revoked(closed)))
    assert seen(router, "guest3", f"icmp {STATIC}") == GONE
    router.send(firewall(ping))
    assert reach(router, "guest3", f"icmp {STATIC}", f"tcp {STATIC} 7000") == {
        f"icmp {STATIC}": STATIC, f"tcp {STATIC} 7000": GONE,
    }  # fmt: skip
    router.send(firewall(revoked(ping), closed))


def test_hp_6_the_source_is_the_gateway_of_the_guests(router: Router) -> None:
    """On a router without a second one its own address is the gateway."""
    gateway = router.lease("guest2")["router"]
    assert seen(router, "guest2", f"tcp {STATIC} 7000") == f"{gateway} 7000"
