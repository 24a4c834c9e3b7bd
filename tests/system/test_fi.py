"""The ingress firewall of public addresses, by packets (contract dataplane 3.2).

192.0.2.11 is web1's by static NAT: there only the firewall decides what arrives.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.kit import Router
from tests.system.probes import GONE, opened, reach, seen, serving
from tests.system.rules import EVERYWHERE, egress, firewall, forward, forwards, ingress, revoked

WEB1, OTHER = "192.0.2.11", "192.0.2.12"
PUBLIC1, PUBLIC2 = "203.0.113.11", "198.51.100.12"
PORTS = (*(f"tcp {port}" for port in range(3000, 3031)), "udp 3000", "udp 3001", "udp 500", "ip 50", "ip 253")


@pytest.fixture(scope="module", autouse=True)
def servers(router: Router) -> Iterator[None]:
    """What the rules let in. Every test has ports and rule ids of its own, and takes its rules away again."""
    with serving(router, "guest1", *PORTS), serving(router, "guest2", "tcp 22", "tcp 3100"):
        yield


def tcp(*ports: int, to: str = WEB1) -> list[str]:
    return [f"tcp {to} {port}" for port in ports]


def test_fi_1_a_rule_opens_its_source_protocol_and_port(router: Router) -> None:
    rule = ingress(3000, WEB1, "tcp", "3000", "203.0.113.0/24")
    wanted = f"tcp {WEB1} 3000"
    router.send(firewall(rule))
    assert reach(router, "public1", wanted, f"udp {WEB1} 3000", f"tcp {WEB1} 3001") == {
        wanted: f"{PUBLIC1} 3000", f"udp {WEB1} 3000": GONE, f"tcp {WEB1} 3001": GONE,
    }  # fmt: skip
    assert seen(router, "public2", wanted) == GONE
    router.send(firewall(revoked(rule)))
    assert seen(router, "public1", wanted) == GONE


def test_fi_1_a_source_of_all_beside_a_narrower_one(router: Router) -> None:
    """Each alone, both in one rule, and both in two: the union."""
    router.send(firewall(
        ingress(3010, WEB1, "tcp", "3002", "203.0.113.0/24", EVERYWHERE),
        ingress(3011, WEB1, "tcp", "3003", EVERYWHERE),
        ingress(3012, WEB1, "tcp", "3003", "203.0.113.0/24"),
    ))  # fmt: skip
    assert opened(router, tcp(3002, 3003), "public2") == [set(tcp(3002, 3003))]
    router.send(firewall(ingress(3011, WEB1, "tcp", revoked=True), ingress(3010, WEB1, "tcp", revoked=True)))
    assert opened(router, tcp(3002, 3003), "public2", "public1") == [set(), set(tcp(3003))]
    router.send(firewall(ingress(3012, WEB1, "tcp", revoked=True)))


def test_fi_1_nested_sources_and_overlapping_ports_are_a_union(router: Router) -> None:
    """Of rules that overlap each keeps its own when another goes."""
    rules = [
        ingress(3020, WEB1, "tcp", "3004", "203.0.113.0/24"),
        ingress(3021, WEB1, "tcp", "3004", f"{PUBLIC1}/32", "198.51.100.0/25"),
        ingress(3022, WEB1, "tcp", "3005-3008", "203.0.113.0/24"),
        ingress(3023, WEB1, "tcp", "3007-3010", "198.51.100.0/24", "203.0.113.0/28"),
        ingress(3024, WEB1, "tcp", "3006-3007", "192.0.0.0/8"),
    ]
    ports = tcp(3004, 3005, 3007, 3008, 3010, 3011)
    router.send(firewall(*rules))
    assert opened(router, ports, "public1", "public2", "upstream") == [
        set(tcp(3004, 3005, 3007, 3008, 3010)), set(tcp(3004, 3007, 3008, 3010)), set(tcp(3007)),
    ]  # fmt: skip
    router.send(firewall(*map(revoked, (rules[0], rules[2], rules[4]))))
    assert opened(router, ports, "public1", "public2") == [set(tcp(3004, 3007, 3008, 3010))] * 2
    router.send(firewall(*map(revoked, (rules[1], rules[3]))))
    assert opened(router, ports, "public1") == [set()]


def test_fi_1_the_same_content_under_two_ids_lasts_as_long_as_one(router: Router) -> None:
    one, two = (ingress(id, WEB1, "tcp", "3012", "203.0.113.0/24") for id in (3030, 3031))
    router.send(firewall(one, two))
    router.send(firewall(revoked(one)))
    assert seen(router, "public1", f"tcp {WEB1} 3012") == f"{PUBLIC1} 3012"
    router.send(firewall(revoked(two)))
    assert seen(router, "public1", f"tcp {WEB1} 3012") == GONE


def test_fi_1_a_rule_changes_under_its_id(router: Router) -> None:
    router.send(firewall(ingress(3040, WEB1, "tcp", "3013", "203.0.113.0/24")))
    router.send(firewall(ingress(3040, WEB1, "tcp", "3014", "198.51.100.0/24")))
    assert opened(router, tcp(3013, 3014), "public1", "public2") == [set(), set(tcp(3014))]
    router.send(firewall(ingress(3040, WEB1, "udp", "3001", EVERYWHERE)))
    assert opened(router, [*tcp(3013, 3014), f"udp {WEB1} 3001"], "public2") == [{f"udp {WEB1} 3001"}]
    router.send(firewall(ingress(3040, WEB1, "udp", "3001", revoked=True)))
    assert seen(router, "public2", f"udp {WEB1} 3001") == GONE


@pytest.mark.parametrize(
    ("span", "answered"),
    [("8/0", {8}), ("8/-1", {8}), ("13/0", {13}), ("-1/-1", {8, 13}), ("8/3", set()), ("3/-1", set())],
)
def test_fi_1_icmp_by_type_and_code(router: Router, span: str, answered: set[int]) -> None:
    """Echo requests are type 8, timestamp requests 13, both of code 0; -1 is any."""
    rule = ingress(3050, WEB1, "icmp", span, "203.0.113.0/24")
    router.send(firewall(rule))
    targets = {kind: f"icmp {WEB1} {kind}" for kind in (8, 13)}
    assert opened(router, [*targets.values()], "public1", "public2") == [{targets[kind] for kind in answered}, set()]
    router.send(firewall(revoked(rule)))
    assert opened(router, [*targets.values()], "public1") == [set()]


def test_fi_1_every_protocol(router: Router) -> None:
    targets = (f"tcp {WEB1} 3015", f"udp {WEB1} 3000", f"icmp {WEB1}", f"ip {WEB1} 253")
    rules = (ingress(3060, WEB1, "all", "", "203.0.113.0/24"), ingress(3061, WEB1, "tcp", "", "198.51.100.0/24"))
    router.send(firewall(*rules))
    assert opened(router, targets, "public1", "public2") == [set(targets), {targets[0]}]
    router.send(firewall(*map(revoked, rules)))
    assert opened(router, targets[:3], "public1") == [set()]  # 253 has no ports: it goes on


def test_fi_2_the_public_port_decides(router: Router) -> None:
    """A rule for the port behind the translation opens nothing."""
    translation = forward(OTHER, "3101", "10.1.1.12", "3100")
    inside, outside = ingress(3070, OTHER, "tcp", "3100"), ingress(3071, OTHER, "tcp", "3101")
    router.send(forwards(translation), firewall(inside))
    assert opened(router, tcp(3100, 3101, to=OTHER), "public1") == [set()]
    router.send(firewall(outside, revoked(inside)))
    assert opened(router, tcp(3100, 3101, to=OTHER), "public1") == [set(tcp(3101, to=OTHER))]
    router.send(forwards(revoked(translation)), firewall(revoked(outside)))


def test_fi_3_the_address_decides_and_not_the_interface(router: Router) -> None:
    """A guest is judged as any other source; what arrives on another public interface too."""
    target = f"tcp {WEB1} 443"  # the example opens it to 203.0.113.0/24 and 198.51.100.0/24
    assert seen(router, "guest2", target) == GONE
    rule = ingress(3080, WEB1, "tcp", "443", "10.1.1.12/32")
    router.send(firewall(rule))
    assert seen(router, "guest2", target) == "10.1.1.1"
    assert seen(router, "guest3", target) == GONE
    router.send(firewall(revoked(rule)))
    assert seen(router, "guest2", target) == GONE
    router.sh("public2", "ip", "route", "add", f"{WEB1}/32", "via", "198.51.100.10")
    try:
        assert reach(router, "public2", target, f"tcp {WEB1} 80") == {target: PUBLIC2, f"tcp {WEB1} 80": GONE}
    finally:
        router.sh("public2", "ip", "route", "del", f"{WEB1}/32")


def test_fi_4_established_and_related_packets_pass(router: Router) -> None:
    """A stream outlives its rule; an ICMP error about a guest's own packet comes back through a closed firewall."""
    rule, out = ingress(3090, WEB1, "tcp", "3016"), egress(3091, "udp", "3999")
    router.send(firewall(rule, out))
    with router.stream("public1", WEB1, 3016) as stream:
        assert stream.greeting == f"{PUBLIC1} 3016"
        router.send(firewall(revoked(rule)))
        assert stream.echoes()
        assert seen(router, "public1", f"tcp {WEB1} 3016") == GONE
    assert seen(router, "guest1", f"udp {PUBLIC1} 3999") == "refused"
    router.send(firewall(revoked(out)))


def test_fi_5_ping_needs_a_rule(router: Router) -> None:
    assert opened(router, [f"icmp {OTHER}", "icmp 198.51.100.10", f"icmp {WEB1}"], "public1") == [set()]
    rule = ingress(3100, OTHER, "icmp", "8/-1")
    router.send(firewall(rule))
    assert opened(router, [f"icmp {OTHER}", "icmp 198.51.100.10"], "public1") == [{f"icmp {OTHER}"}]
    router.send(firewall(revoked(rule)))
    assert seen(router, "public1", f"icmp {OTHER}") == GONE


def test_fi_6_what_is_let_in_is_not_thereby_delivered(router: Router) -> None:
    """The example opens 192.0.2.12:80, which nothing serves: silence, not a refusal."""
    assert seen(router, "public1", f"tcp {OTHER} 80") == GONE


def test_fi_7_vpn_ports_are_ordinary_rules(router: Router) -> None:
    """No VPN is configured: IKE needs its rule, and ESP has no way around the firewall."""
    rule = ingress(3110, WEB1, "udp", "500")
    assert opened(router, [f"udp {WEB1} 500", f"ip {WEB1} 50"], "public1") == [set()]
    router.send(firewall(rule))
    assert opened(router, [f"udp {WEB1} 500", f"ip {WEB1} 50"], "public1") == [{f"udp {WEB1} 500"}]
    router.send(firewall(revoked(rule)))


def test_fi_8_no_way_to_a_private_address_from_outside(router: Router) -> None:
    """Not to a port that a forward leads to, not to a static NAT guest, not to the router's own guest address."""
    targets = ("tcp 10.1.1.12 22", "tcp 10.1.1.13 443", "tcp 10.1.1.11 443", "icmp 10.1.1.11", "udp 10.1.1.1 53")
    rule = ingress(3120, WEB1, "all")
    router.send(firewall(rule))
    for node, via in (("upstream", "192.0.2.10"), ("public2", "198.51.100.10")):
        router.sh(node, "ip", "route", "add", "10.1.1.0/24", "via", via)
        try:
            assert opened(router, targets, node) == [set()]
            assert opened(router, tcp(443), node) == [set(tcp(443))]  # the router is there
        finally:
            router.sh(node, "ip", "route", "del", "10.1.1.0/24")
    router.send(firewall(revoked(rule)))
