"""Static NAT, by packets (contract dataplane 4.2). The example gives 192.0.2.11 to web1."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.kit import Router
from tests.system.probes import GONE, opened, reach, seen, serving
from tests.system.rules import (
    ETH2,
    ETH3,
    Entry,
    egress,
    firewall,
    forward,
    forwards,
    ingress,
    public,
    revoked,
    static_nat,
)

FIRST, SECOND = "192.0.2.21", "198.51.100.21"  # one of each range, for these tests
PUBLIC1, PUBLIC2 = "203.0.113.11", "198.51.100.12"
WEB1, WEB2, DB1 = "10.1.1.11", "10.1.1.12", "10.1.1.13"
RULES: list[Entry] = [
    ingress(6000, FIRST, "all"), ingress(6001, SECOND, "all"), ingress(6002, "192.0.2.11", "all"),
    egress(6003, "all", sources=("10.1.1.0/24",)),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def addresses(router: Router) -> Iterator[None]:
    """Two more addresses, open firewalls, guests that answer, and outside a network that takes an address only from
    the segment it belongs to: what leaves by the wrong interface is lost."""
    router.send(public(FIRST, ETH2), public(SECOND, ETH3), firewall(*RULES))
    for device in ("eth0", "eth1"):
        router.sh("upstream", "sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter=1")
    specs = ("tcp 6000", "udp 6000", "ip 254")
    with serving(router, "guest1", *specs), serving(router, "guest2", *specs), serving(router, "guest3", *specs):
        yield
    for device in ("eth0", "eth1"):
        router.sh("upstream", "sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter=0")
    router.send(firewall(*map(revoked, RULES)), public(FIRST, ETH2, add=False), public(SECOND, ETH3, add=False))


def test_st_1_any_protocol_with_the_source_kept(router: Router) -> None:
    targets = (f"tcp {FIRST} 6000", f"udp {FIRST} 6000", f"ip {FIRST} 254", f"icmp {FIRST}")
    router.send(static_nat(FIRST, WEB2))
    assert reach(router, "public1", *targets) == dict(
        zip(targets, (f"{PUBLIC1} 6000", f"{PUBLIC1} 6000", f"{PUBLIC1} 254", FIRST), strict=True)
    )
    router.send(static_nat(FIRST, WEB2, revoke=True))
    assert opened(router, targets[:3], "public1") == [set()]


def test_st_1_after_the_firewall_of_the_address(router: Router) -> None:
    targets = [f"{kind} {FIRST} 6000" for kind in ("tcp", "udp")] + [f"icmp {FIRST}"]
    router.send(static_nat(FIRST, WEB2), firewall(revoked(RULES[0])))
    assert opened(router, targets, "public1") == [set()]
    router.send(firewall(ingress(6010, FIRST, "tcp", "6000", "203.0.113.0/24")))
    assert opened(router, targets, "public1", "public2") == [{targets[0]}, set()]
    router.send(firewall(ingress(6010, FIRST, "tcp", revoked=True), RULES[0]), static_nat(FIRST, WEB2, revoke=True))


def test_st_2_a_guest_leaves_with_its_address_by_its_interface(router: Router) -> None:
    """Two on two ranges at once: web1 by eth2, web2 by eth3, whatever network they want to reach; db1 as all others."""
    router.send(static_nat(SECOND, WEB2))
    web = (f"tcp {PUBLIC1} 80", f"tcp {PUBLIC2} 80", f"udp {PUBLIC1} 7", "tcp 192.0.2.1 80")
    assert set(reach(router, "guest1", *web).values()) == {"192.0.2.11"}
    assert set(reach(router, "guest2", *web).values()) == {SECOND}
    assert list(reach(router, "guest3", *web).values()) == ["192.0.2.10", "198.51.100.10", "192.0.2.10", "192.0.2.10"]
    assert seen(router, "public1", f"tcp {SECOND} 6000") == f"{PUBLIC1} 6000"
    router.send(static_nat(SECOND, WEB2, revoke=True))
    assert list(reach(router, "guest2", *web).values()) == ["192.0.2.10", "198.51.100.10", "192.0.2.10", "192.0.2.10"]


def test_st_2_subject_to_the_egress_policy(router: Router) -> None:
    targets = [f"tcp {PUBLIC1} 80", f"udp {PUBLIC1} 7"]
    router.send(firewall(revoked(RULES[3])))
    assert opened(router, targets, "guest1") == [{targets[0]}]  # the example's egress rules
    router.send(firewall(RULES[3]))
    assert opened(router, targets, "guest1") == [set(targets)]


def test_st_3_towards_the_router_a_guest_keeps_its_own_source(router: Router) -> None:
    """What is not for a public network follows the main table; tiers and gateways come with the VPC."""
    assert router.dig("guest1", "@10.1.1.1", "web2.tenant1.example.com") == [WEB2]
    assert seen(router, "guest1", "icmp 10.1.1.1") == "10.1.1.1"


def test_st_5_before_forwards_and_source_nat(router: Router) -> None:
    """A forward beside it waits until the static NAT is gone (a revoke takes both, contract commands 4.13)."""
    beside = forward(FIRST, "6000", DB1, "80")
    router.send(static_nat(FIRST, WEB2), forwards(beside))
    assert seen(router, "public1", f"tcp {FIRST} 6000") == f"{PUBLIC1} 6000"
    assert seen(router, "guest2", f"tcp {PUBLIC1} 80") == FIRST
    router.send(static_nat(FIRST, WEB2, revoke=True))
    assert seen(router, "public1", f"tcp {FIRST} 6000") == GONE
    assert seen(router, "guest2", f"tcp {PUBLIC1} 80") == "192.0.2.10"
    router.send(forwards(beside))
    assert seen(router, "public1", f"tcp {FIRST} 6000") == PUBLIC1
    router.send(forwards(revoked(beside)))


def test_st_6_moves_to_another_guest_at_once(router: Router) -> None:
    """By a revoke and a new rule, and by a new rule alone; the old guest's connections end, others do not."""
    router.send(static_nat(FIRST, WEB2))
    for guest, (target, revoke) in {"guest3": (DB1, True), "guest2": (WEB2, False)}.items():
        old = "guest2" if guest == "guest3" else "guest3"
        with (
            router.stream("public1", FIRST, 6000) as inbound,
            router.stream("public1", "192.0.2.11", 6000) as other,
            serving(router, "public1", "tcp 6001"),
            router.stream(old, PUBLIC1, 6001) as outbound,
        ):
            assert outbound.greeting == f"{FIRST} 6001"
            router.send(*[static_nat(FIRST, WEB2, revoke=True)] * revoke, static_nat(FIRST, target))
            assert seen(router, "public1", f"tcp {FIRST} 6000") == f"{PUBLIC1} 6000"
            assert seen(router, guest, f"tcp {PUBLIC1} 80") == FIRST
            assert seen(router, old, f"tcp {PUBLIC1} 80") == "192.0.2.10"
            assert (inbound.echoes(), outbound.echoes(), other.echoes()) == (False, False, True)
    router.send(static_nat(FIRST, WEB2, revoke=True))


def test_st_7_several_guests_on_several_interfaces(router: Router) -> None:
    """A guest that is given a second address answers at both and leaves with one of them."""
    router.send(static_nat(FIRST, DB1), static_nat(SECOND, WEB2))
    targets = {FIRST: f"tcp {FIRST} 6000", SECOND: f"tcp {SECOND} 6000", "192.0.2.11": "tcp 192.0.2.11 6000"}
    assert set(reach(router, "public1", *targets.values()).values()) == {f"{PUBLIC1} 6000"}
    out = {guest: seen(router, guest, f"tcp {PUBLIC1} 80") for guest in ("guest1", "guest2", "guest3")}
    assert out == {"guest1": "192.0.2.11", "guest2": SECOND, "guest3": FIRST}
    router.send(static_nat(SECOND, DB1))
    assert set(reach(router, "public1", *targets.values()).values()) == {f"{PUBLIC1} 6000"}
    assert seen(router, "guest3", f"tcp {PUBLIC1} 80") in (FIRST, SECOND)
    router.send(static_nat(FIRST, DB1, revoke=True))
    assert seen(router, "guest3", f"tcp {PUBLIC1} 80") == SECOND
    router.send(static_nat(SECOND, DB1, revoke=True))
    assert seen(router, "guest3", f"tcp {PUBLIC1} 80") == "192.0.2.10"


def test_st_8_an_address_without_device_waits_alone(router: Router) -> None:
    """The rule is pending, what came with it works, and it takes effect with its address (design 4a)."""
    later = "192.0.2.29"
    both = {"type": "staticnatrules", "rules": [*static_nat(later, DB1)["rules"], *static_nat(FIRST, WEB2)["rules"]]}
    answer = router.send(both, firewall(ingress(6020, later, "tcp", "6000")))
    assert any(later in str(item) for item in answer["pending"])
    assert opened(router, [f"tcp {later} 6000", f"tcp {FIRST} 6000"], "public1") == [{f"tcp {FIRST} 6000"}]
    assert seen(router, "guest3", f"tcp {PUBLIC1} 80") == "192.0.2.10"
    router.send(public(later))
    assert seen(router, "public1", f"tcp {later} 6000") == f"{PUBLIC1} 6000"
    assert seen(router, "guest3", f"tcp {PUBLIC1} 80") == later
    router.send(public(later, add=False))
    assert seen(router, "guest3", f"tcp {PUBLIC1} 80") == "192.0.2.10"
    router.send(
        static_nat(later, DB1, revoke=True), static_nat(FIRST, WEB2, revoke=True),
        firewall(ingress(6020, later, "tcp", revoked=True)),
    )  # fmt: skip
