"""Egress of the guest network, by packets (contract dataplane 3.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.kit import Router
from tests.system.probes import GONE, knocking, opened, reach, seen, serving
from tests.system.rules import EVERYWHERE, Entry, default_egress, egress, firewall, revoked

PUBLIC1, PUBLIC2 = "203.0.113.11", "198.51.100.12"
WEB, TLS, ECHO, PING = (f"tcp {PUBLIC1} 80", f"tcp {PUBLIC1} 443", f"udp {PUBLIC1} 7", f"icmp {PUBLIC1}")
ALL = (WEB, TLS, ECHO, PING)
EXAMPLE = [egress(id, "tcp") for id in (201, 202, 203, 204)]


@pytest.fixture(scope="module", autouse=True)
def servers(router: Router) -> Iterator[None]:
    """What guests want to reach: ports 4000 to 4019 of public1 and public2 beside the web hosts."""
    ports = [f"{kind} {port}" for kind in ("tcp", "udp") for port in range(4000, 4020)]
    with serving(router, "public1", *ports, "ip 253"), serving(router, "public2", *ports):
        yield


@pytest.fixture
def policy(router: Router) -> Iterator[Router]:
    """The router without any egress entry; the example's come back."""
    router.send(firewall(*map(revoked, EXAMPLE)))
    yield router
    router.send(firewall(revoked(default_egress(True)), *EGRESS))


EGRESS: list[Entry] = [
    egress(201, "tcp", "80"),
    egress(202, "tcp", "443", to=(EVERYWHERE,)),
    egress(203, "udp", "53", to=("192.0.2.53/32", "198.51.100.53/32")),
    egress(204, "icmp"),
]


def tcp(*ports: int, to: str = PUBLIC1) -> list[str]:
    return [f"tcp {to} {port}" for port in ports]


def test_fe_1_judges_what_leaves_by_any_public_interface(router: Router) -> None:
    """public1 is behind eth2, public2 on eth3's segment; UDP 7 is not permitted."""
    targets = (f"tcp {PUBLIC1} 80", f"tcp {PUBLIC2} 80", f"udp {PUBLIC1} 7", f"udp {PUBLIC2} 7")
    found = reach(router, "guest2", *targets)
    assert [found[target] for target in targets] == ["192.0.2.10", "198.51.100.10", GONE, GONE]


def test_fe_1_not_what_the_router_itself_serves_and_not_hairpin(policy: Router) -> None:
    """With nothing permitted: names, DHCP, and a guest behind a public address of the same network."""
    assert opened(policy, [*ALL, f"tcp {PUBLIC2} 80"], "guest2") == [set()]
    assert policy.dig("guest2", "@10.1.1.1", "web1.tenant1.example.com") == ["10.1.1.11"]
    assert policy.lease("guest2")["ip"] == "10.1.1.12"
    with serving(policy, "guest3", "udp 9000"):
        assert seen(policy, "guest2", "udp 192.0.2.10 9000") == "10.1.1.1 9000"


def test_fe_2_denied_by_default_rules_permit(policy: Router) -> None:
    rules = (egress(4001, "tcp", "80"), egress(4002, "icmp", "8/-1"), egress(4003, "udp", "4000-4005"))
    policy.send(firewall(*rules))
    wanted = {WEB, PING, f"udp {PUBLIC1} 4000", f"udp {PUBLIC1} 4005"}
    targets = [*wanted, TLS, ECHO, f"udp {PUBLIC1} 4006"]
    assert opened(policy, targets, "guest2") == [wanted]
    policy.send(firewall(*map(revoked, rules)))
    assert opened(policy, targets, "guest2") == [set()]


def test_fe_2_allowed_by_default_rules_block(policy: Router) -> None:
    rules = [egress(4010, "tcp", "443", allow=True), egress(4011, "udp", "4000-4005", allow=True)]
    policy.send(firewall(default_egress(True), *rules))
    targets = [*ALL, f"udp {PUBLIC1} 4003", f"ip {PUBLIC1} 253"]
    assert opened(policy, targets, "guest2") == [{WEB, ECHO, PING, f"ip {PUBLIC1} 253"}]
    everything = egress(4012, "all", allow=True)
    policy.send(firewall(everything, egress(4013, "icmp", allow=True)))
    assert opened(policy, ALL, "guest2") == [set()]
    policy.send(firewall(*map(revoked, (everything, egress(4013, "icmp"), *rules))))
    assert opened(policy, targets, "guest2") == [set(targets)]


def test_fe_3_sources_destinations_and_ports_must_all_match(policy: Router) -> None:
    rules = [
        egress(4020, "tcp", "4001", sources=("10.1.1.12/32",)),
        egress(4021, "tcp", "4002", sources=("10.1.1.12/32", "10.1.1.12/30"), to=("203.0.113.0/24",)),
        egress(4022, "tcp", "4003", sources=(EVERYWHERE,), to=(f"{PUBLIC1}/32", EVERYWHERE)),
        egress(4023, "tcp", "4004", sources=(), to=("198.51.100.0/25", f"{PUBLIC2}/32")),
        egress(4024, "tcp", "4005", to=("192.0.2.0/24", "203.0.113.8/29")),
    ]
    policy.send(firewall(*rules))
    targets = [*tcp(*range(4001, 4007)), *tcp(*range(4001, 4007), to=PUBLIC2)]
    anyone = {*tcp(4003, 4005), *tcp(4003, 4004, to=PUBLIC2)}
    assert opened(policy, targets, "guest2", "guest3") == [
        anyone | {*tcp(4001, 4002), *tcp(4001, to=PUBLIC2)}, anyone | {*tcp(4002)},
    ]  # fmt: skip
    policy.send(firewall(*map(revoked, rules)))
    assert opened(policy, targets, "guest2") == [set()]


def test_fe_3_overlapping_rules_are_a_union(policy: Router) -> None:
    """Each keeps its own when another goes, also one that says the same."""
    same = [egress(id, "tcp", "4010", to=(f"{PUBLIC1}/32",)) for id in (4030, 4031)]
    wide = egress(4032, "tcp", "4008-4012", sources=("10.1.1.12/32",))
    wider = egress(4033, "tcp", "4011-4015", to=("203.0.113.0/24",))
    policy.send(firewall(*same, wide, wider))
    targets = [*tcp(4008, 4010, 4012, 4015), *tcp(4010, to=PUBLIC2)]
    assert opened(policy, targets, "guest2", "guest3") == [set(targets), set(tcp(4010, 4012, 4015))]
    policy.send(firewall(revoked(same[0]), revoked(wide)))
    assert opened(policy, targets, "guest2", "guest3") == [set(tcp(4010, 4012, 4015))] * 2
    policy.send(firewall(revoked(same[1]), revoked(wider)))
    assert opened(policy, targets, "guest2") == [set()]


def test_fe_3_a_rule_changes_under_its_id(policy: Router) -> None:
    policy.send(firewall(egress(4040, "tcp", "4016", to=("203.0.113.0/24",))))
    policy.send(firewall(egress(4040, "tcp", "4016", to=("198.51.100.0/24",))))
    targets = [*tcp(4016), *tcp(4016, to=PUBLIC2)]
    assert opened(policy, targets, "guest2") == [set(tcp(4016, to=PUBLIC2))]
    policy.send(firewall(revoked(egress(4040, "tcp"))))


def test_fe_4_the_system_rule_is_the_default_and_comes_last(policy: Router) -> None:
    """It lets everything out except what a rule blocks, whichever was sent first; without it nothing leaves."""
    block = egress(4050, "tcp", "80", allow=True)
    policy.send(firewall(block))
    policy.send(firewall(default_egress(True)))
    assert opened(policy, ALL, "guest2") == [{TLS, ECHO, PING}]
    policy.send(firewall(revoked(default_egress(True))))
    assert opened(policy, ALL, "guest2") == [set()]
    policy.send(firewall(default_egress(True)))
    policy.send(firewall(revoked(block)))
    assert opened(policy, ALL, "guest2") == [set(ALL)]
    policy.send(firewall(default_egress(False)))
    assert opened(policy, ALL, "guest2") == [set()]


def test_fe_5_nothing_leaves_without_any_entry(policy: Router) -> None:
    assert opened(policy, [*ALL, f"tcp {PUBLIC2} 80"], "guest1", "guest2") == [set(), set()]


def test_fe_6_a_static_nat_guest_is_no_exception(router: Router) -> None:
    rule = egress(4060, "udp", "7", sources=("10.1.1.11/32",))
    assert reach(router, "guest1", WEB, ECHO) == {WEB: "192.0.2.11", ECHO: GONE}
    router.send(firewall(rule))
    assert reach(router, "guest1", WEB, ECHO) == {WEB: "192.0.2.11", ECHO: "192.0.2.11"}
    router.send(firewall(revoked(rule)))
    assert seen(router, "guest1", ECHO) == GONE


def test_fe_7_established_connections_survive_every_change(policy: Router) -> None:
    rule = egress(4070, "tcp", "4017")
    policy.send(firewall(rule))
    with policy.stream("guest2", PUBLIC1, 4017) as stream:
        assert stream.greeting == "192.0.2.10 4017"
        policy.send(firewall(revoked(rule)))
        assert opened(policy, tcp(4017), "guest2") == [set()]
        assert stream.echoes()
        policy.send(firewall(egress(4071, "tcp", "4000-4019", allow=True), default_egress(True)))
        assert stream.echoes()
        policy.send(firewall(revoked(egress(4071, "tcp"))))
        assert stream.echoes()


def test_fe_7_no_new_connection_is_refused_during_a_change(router: Router) -> None:
    """50 changes, from an element to another default, under a guest that connects without pause."""
    changes = []
    for id in range(4080, 4090):
        rule = egress(id, "tcp", f"80-{id}", to=(f"203.0.{112 + id % 2}.0/24", f"{PUBLIC1}/32"))
        changes += [
            firewall(rule), firewall(egress(id, "tcp", "79-81")), firewall(revoked(rule)),
            firewall(default_egress(True)), firewall(revoked(default_egress(True))),
        ]  # fmt: skip
    with knocking(router, "guest2", PUBLIC1, 80) as loop:
        answer = router.send(*changes)
    assert len([file for file in answer["files"] if file["changes"]]) == len(changes) == 50
    assert loop.failed == 0
    assert loop.count >= 50
