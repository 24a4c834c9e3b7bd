"""The evaluator tells each behaviour of the contract on the isolated example and others (contract dataplane 2 to 4)."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import core
from tests.chance import examples
from tests.core import Core
from tests.generators import BUILT, DEVICES, GUESTS, PUBLIC, histories
from tests.system.rules import (
    cmdline,
    default_egress,
    egress,
    firewall,
    forward,
    forwards,
    ingress,
    public,
    static_nat,
    tier,
)  # fmt: skip
from tests.test_cases import ROOT, done
from vrouter.errors import Refused
from vrouter.explain.answer import Explanation, as_json, explain, explained
from vrouter.explain.lookup import Sets
from vrouter.explain.packet import LOCAL, Packet, of_json, parse
from vrouter.explain.text import explanation_text
from vrouter.explain.walk import Kernel
from vrouter.history import Sent

WORLD = "203.0.113.11"
MACHINE = core.machine(DEVICES)


@cache
def case(name: str) -> Core:
    return done(ROOT / name)


def built(*documents: core.Document) -> Core:
    """The isolated example's addresses without its rules, then these."""
    router = Core(MACHINE)
    router.run(cmdline(), public("192.0.2.10"), public("192.0.2.12"), public("198.51.100.10", mac=DEVICES["eth3"]))
    router.run(*documents)
    return router


def ask(router: Core, words: str, **options: str) -> Explanation:
    return explain(Kernel(router.resources), parse(*words.split(), **options))


def told(router: Core, words: str, **options: str) -> str:
    """Verdict, interface and ends; where it does not pass, the rule or reason of the last step."""
    walk = ask(router, words, **options).walk
    if not walk.passes:
        return f"{walk.verdict}: {walk.steps[-1].rule or walk.steps[-1].does}"
    return f"{walk.device or 'here'}: {walk.flow.ends}"


NOTHING = "no rule decides, so the policy of the chain does"
ISOLATED = {
    "PF-1 port": ("tcp 203.0.113.11:9 192.0.2.10:2222", "eth0: 203.0.113.11:9 > 10.1.1.12:22"),
    "PF-1 second range": ("tcp 203.0.113.11:9 198.51.100.10:8443", "eth0: 203.0.113.11:9 > 10.1.1.13:443"),
    "PF-4 ports": ("udp 203.0.113.11:9 192.0.2.10:9004", "eth0: 203.0.113.11:9 > 10.1.1.13:9004"),
    "PF-4 beyond": ("udp 203.0.113.11:9 192.0.2.10:9011", "dropped: FI-1 else nothing"),
    "PF-6 the router itself": ("tcp 192.0.2.10:9 192.0.2.10:2222", "eth0: 192.0.2.10:9 > 10.1.1.12:22"),
    "FI-1 another source": ("tcp 198.51.100.7:9 192.0.2.10:2222", "dropped: FI-1 else nothing"),
    "FI-5 no rule": ("icmp 203.0.113.11 192.0.2.12", "dropped: FI-1 else nothing"),
    "FI-5 ping": ("icmp 203.0.113.11 192.0.2.10", "here: 203.0.113.11 > 192.0.2.10"),
    "FI-6 open, unused": ("tcp 203.0.113.11:9 192.0.2.12:80", f"dropped: {NOTHING}"),
    "FI-8 guest's address": ("tcp 203.0.113.11:9 10.1.1.12:22", "dropped: FI-8 only public addresses from outside"),
    "FE-2 permit": ("tcp 10.1.1.13:9 203.0.113.11:80", "eth2: 192.0.2.10:9 > 203.0.113.11:80"),
    "FE-3 destination": ("udp 10.1.1.13:9 192.0.2.53:53", "eth2: 192.0.2.10:9 > 192.0.2.53:53"),
    "FE-5 deny": ("udp 10.1.1.13:9 203.0.113.11:53", "dropped: FE-5 denied by default"),
    "FE-6 static NAT guest": ("tcp 10.1.1.11:9 203.0.113.11:22", "dropped: FE-5 denied by default"),
    "ST-1 in": ("tcp 203.0.113.11:9 192.0.2.11:443", "eth0: 203.0.113.11:9 > 10.1.1.11:443"),
    "ST-1 firewall": ("tcp 203.0.113.11:9 192.0.2.11:80", "dropped: FI-1 else nothing"),
    "ST-2 out": ("tcp 10.1.1.11:9 203.0.113.11:80", "eth2: 192.0.2.11:9 > 203.0.113.11:80"),
    "ST-2 ping": ("icmp 10.1.1.11 203.0.113.11", "eth2: 192.0.2.11 > 203.0.113.11"),
    "SN-1 other range": ("tcp 10.1.1.13:9 198.51.100.12:80", "eth3: 198.51.100.10:9 > 198.51.100.12:80"),
    "HP-1": ("tcp 10.1.1.11:9 198.51.100.10:8443", "eth0: 10.1.1.1:9 > 10.1.1.13:443"),
    "HP-2 itself": ("tcp 10.1.1.13:9 198.51.100.10:8443", "eth0: 10.1.1.1:9 > 10.1.1.13:443"),
    "FI-3 judges hairpin": ("tcp 10.1.1.13:9 192.0.2.10:2222", "dropped: FI-1 else nothing"),
    "HP-1 untranslated": ("tcp 10.1.1.12:9 10.1.1.13:22", "eth0: 10.1.1.12:9 > 10.1.1.13:22"),
    "DN-8": ("udp 10.1.1.12:9 10.1.1.1:53", "here: 10.1.1.12:9 > 10.1.1.1:53"),
    "PO-6 SSH of a guest": ("tcp 10.1.1.12:9 10.1.1.1:3922", f"dropped: {NOTHING}"),
    "SSH on control": ("tcp 169.254.0.1:9 169.254.10.20:3922", "here: 169.254.0.1:9 > 169.254.10.20:3922"),
    "PO-1": ("udp 192.0.2.10:9 203.0.113.11:123", "eth2: 192.0.2.10:9 > 203.0.113.11:123"),
    "PO-2": ("tcp 10.1.1.12:9 169.254.0.1:22", "dropped: PO-2 control is apart"),
    "RT-4 the table of its source": ("udp 198.51.100.10:9 203.0.113.11:1", "eth3: 198.51.100.10:9 > 203.0.113.11:1"),
    "loopback": ("tcp 192.0.2.10:9 10.1.1.1:80", "here: 192.0.2.10:9 > 10.1.1.1:80"),
}  # fmt: skip


@pytest.mark.parametrize("behaviour", ISOLATED)
def test_the_isolated_example(behaviour: str) -> None:
    words, expected = ISOLATED[behaviour]
    assert told(case("isolated"), words) == expected


def test_fi_5_an_answer_to_nothing_is_invalid() -> None:
    assert told(case("isolated"), "icmp 203.0.113.11 192.0.2.10", type="0") == "dropped: PO-5"
    assert told(case("isolated"), "icmp 10.1.1.12 203.0.113.11", type="3/1") == "dropped: PO-5"


def test_pf_3_rt_3_the_answer_leaves_where_the_request_came_in() -> None:
    for words, device in (("198.51.100.10:8443", "eth3"), ("192.0.2.10:2222", "eth2")):
        found = ask(case("isolated"), f"tcp 203.0.113.11:9 {words}", device=device)
        assert found.answer and found.answer.device == device and found.answer.passes
        assert str(found.answer.flow.ends) == f"{words} > 203.0.113.11:9"


def test_pf_4_pf_5_the_narrower_and_those_with_sources_come_first() -> None:
    router = built(
        firewall(ingress(1, "192.0.2.12", "all")),
        forwards(
            forward("192.0.2.12", "5010-5030", GUESTS[0], "5010-5030"),
            forward("192.0.2.12", "5020", GUESTS[1], "99"),
            forward("192.0.2.12", "5015-5016", GUESTS[1], "6015-6016"),
            forward("192.0.2.12", "5011", GUESTS[2], "7", sources="203.0.113.0/24"),
        ),
    )
    found = {port: told(router, f"tcp 203.0.113.11:9 192.0.2.12:{port}").rpartition(" ")[2] for port in
             (5010, 5011, 5015, 5016, 5020, 5030)}  # fmt: skip
    assert found == {5010: f"{GUESTS[0]}:5010", 5011: f"{GUESTS[2]}:7", 5015: f"{GUESTS[1]}:6015",
                     5016: f"{GUESTS[1]}:6016", 5020: f"{GUESTS[1]}:99", 5030: f"{GUESTS[0]}:5030"}  # fmt: skip
    assert told(router, "tcp 198.51.100.7:9 192.0.2.12:5011").endswith(f"{GUESTS[0]}:5011")


def test_st_5_static_nat_comes_before_forwards() -> None:
    rules = firewall(ingress(1, "192.0.2.12", "all"))
    nat, ahead = static_nat("192.0.2.12", GUESTS[1]), forwards(forward("192.0.2.12", "80", GUESTS[2], "8080"))
    assert told(built(rules, nat, ahead), "tcp 203.0.113.11:9 192.0.2.12:80").endswith(f"{GUESTS[1]}:80")


def test_st_2_rt_5_leaves_by_the_interface_of_its_address() -> None:
    router = built(static_nat("198.51.100.10", GUESTS[1]), firewall(default_egress(allow=True)))
    assert told(router, f"tcp {GUESTS[1]}:9 203.0.113.11:80") == "eth3: 198.51.100.10:9 > 203.0.113.11:80"
    assert told(router, f"tcp {GUESTS[2]}:9 203.0.113.11:80") == "eth2: 192.0.2.10:9 > 203.0.113.11:80"


def test_fe_2_fe_4_default_allow_and_what_is_blocked() -> None:
    router = built(firewall(default_egress(allow=True), egress(2, "tcp", "25", allow=True)))
    assert told(router, f"tcp {GUESTS[0]}:9 203.0.113.11:25") == "dropped: FE-2 block port"
    assert told(router, f"udp {GUESTS[0]}:9 203.0.113.11:25").startswith("eth2")


def test_rp_1_rp_2_strict_inside() -> None:
    router = case("isolated")
    assert told(router, "icmp 203.0.113.11 192.0.2.53", device="eth0").startswith("not routed: the way back to 203.")
    assert told(router, "icmp 10.1.1.50 169.254.10.20", device="eth1").startswith("not routed: the way back to 10.")


def test_rp_3_public_interfaces_look_into_their_own_table() -> None:
    asymmetric, inside = "icmp 198.51.100.12 192.0.2.10", "icmp 169.254.0.1 192.0.2.10"
    assert told(case("isolated"), inside, device="eth2").startswith("here")
    strict = done(ROOT / "isolated")
    strict.run(cmdline(disable_rp_filter=""))
    assert told(strict, inside, device="eth2") == "dropped: RP-3 strict reverse path"
    assert told(strict, asymmetric, device="eth2") == "here: 198.51.100.12 > 192.0.2.10"


def test_rp_5_a_guests_source_is_not_taken_from_outside() -> None:
    found = told(case("isolated"), "tcp 10.1.1.12:9 192.0.2.10:2222", device="eth2")
    assert found == "dropped: RP-5 no guest's source from outside"


@pytest.mark.parametrize(
    ("words", "device", "reason"),
    [
        ("icmp 224.0.0.1 192.0.2.10", "eth2", "224.0.0.1 cannot be a source (martian)"),
        ("icmp 255.255.255.255 192.0.2.10", "eth2", "255.255.255.255 cannot be a source (martian)"),
        ("icmp 127.0.0.1 10.1.1.1", "eth0", "127.0.0.1 is of the loopback (martian)"),
        ("icmp 10.1.1.12 127.0.0.1", "eth0", "127.0.0.1 is of the loopback (martian)"),
        ("icmp 10.1.1.1 10.1.1.1", "eth0", "10.1.1.1 is an address of the router itself"),
        ("icmp 10.1.1.255 10.1.1.1", "eth0", "10.1.1.255 is a broadcast address"),
        ("icmp 10.1.1.12 10.1.1.1", "eth9", "eth9 is no interface that this router wants up"),
        ("udp 203.0.113.11:9 203.0.113.12:9", LOCAL, "203.0.113.11 is no address of this router"),
    ],
)  # fmt: skip
def test_what_is_never_routed(words: str, device: str, reason: str) -> None:
    assert told(case("isolated"), words, device=device) == f"not routed: {reason}"


def test_broadcasts_are_for_the_router_itself() -> None:
    assert told(case("isolated"), "udp 0.0.0.0:68 255.255.255.255:67", device="eth0").startswith("here")
    assert told(case("isolated"), "udp 10.1.1.12:68 10.1.1.255:67", device="eth0").startswith("here")


def test_both_addresses_of_a_31_are_hosts() -> None:
    element = public("192.0.2.32")["ip_address"][0] | {"netmask": "255.255.255.254", "gateway": "192.0.2.33"}
    router = Core(MACHINE)
    router.run(BUILT[0], {"type": "ips", "ip_address": [element]}, firewall(default_egress(allow=True)))
    assert told(router, "tcp 10.1.1.12:9 192.0.2.33:80") == "eth2: 192.0.2.32:9 > 192.0.2.33:80"


def test_no_route() -> None:
    router = Core(MACHINE)
    router.run(BUILT[0], firewall(default_egress(allow=True)))  # no public address yet
    assert told(router, "tcp 10.1.1.12:9 203.0.113.11:80", device="eth0") == "no route: no route to 203.0.113.11"


def test_nothing_configured_lets_nothing_through() -> None:
    assert told(Core(MACHINE), "tcp 10.1.1.12:9 203.0.113.11:80").startswith("not routed: ")


def test_established_goes_on_when_the_rule_is_gone() -> None:
    """FE-7, PO-4: the translation counts, the filter does not."""
    router = built(forwards(forward("192.0.2.12", "80", GUESTS[0], "8080")))
    words = "tcp 203.0.113.11:9 192.0.2.12:80"
    assert told(router, words) == "dropped: FI-1 else nothing"
    assert told(router, words, state="established") == f"eth0: 203.0.113.11:9 > {GUESTS[0]}:8080"


def test_tiers_are_apart() -> None:
    router = built(tier("10.8.1.1", "vpc.example.com"), firewall(default_egress(allow=True)))
    assert told(router, "tcp 10.8.1.9:9 10.1.1.12:80", device="eth4").startswith("dropped: ")


# -- laws --------------------------------------------------------------------------------------------------------------

_addresses = st.sampled_from([*PUBLIC, *GUESTS, WORLD, "198.51.100.12", "10.1.1.1", "10.3.1.2", "10.8.1.9"])
packets = st.builds(
    Packet,
    protocol=st.sampled_from(["tcp", "udp", "icmp"]),
    source=_addresses.map(IPv4Address),
    destination=_addresses.map(IPv4Address),
    source_port=st.just(4000),
    destination_port=st.sampled_from([22, 53, 80, 85, 3922]),
    icmp_type=st.sampled_from([0, 3, 8]),
    device=st.sampled_from(["", LOCAL, *sorted(DEVICES)]),
)


def after(documents: list[dict[str, Any]]) -> Core:
    router = Core(MACHINE)
    for document in documents:
        try:
            router.run(document)
        except Refused:
            continue
    return router


def guest_outside(sets: Sets, device: str, address: IPv4Address) -> bool:
    """Whether commands contradict each other: a guest's network, but by a public interface. RP-5 stops it there."""
    return bool(sets.find("public_if", (device,)) and sets.find("guest_net", (str(address),)))


@examples(150)
@given(histories, st.lists(packets, min_size=1, max_size=20))
def test_of_an_accepted_connection_the_next_packet_and_the_answer_pass(
    history: list[dict[str, Any]], sent: list[Packet]
) -> None:
    resources = after(history).resources
    kernel, sets = Kernel(resources), Sets(resources)
    for packet in sent:
        walk = kernel.first(packet)
        later = kernel.next(packet, kernel.connection(packet))
        if walk.passes and packet.device:
            assert (later.verdict, later.device, later.flow.ends) == (walk.verdict, walk.device, walk.flow.ends)
            answer = kernel.answer(packet, walk)
            if answer and not guest_outside(sets, walk.device, walk.flow.ends.destination):
                assert answer.passes and answer.flow.ends == walk.flow.connection.original.reversed()  # type: ignore[union-attr]


@examples(100)
@given(histories, packets)
def test_every_answer_can_be_said(history: list[dict[str, Any]], packet: Packet) -> None:
    resources = after(history).resources
    before = dict(resources)
    found = explained(resources, packet)
    assert resources == before
    assert found["steps"] and all(step["does"] for step in found["steps"])
    [result] = [line for line in explanation_text(found).splitlines() if line.startswith(("passes:", "does not pass:"))]
    assert result.startswith("passes:") is found["passes"]
    assert of_json(packet.as_json()).as_json() == packet.as_json()


def test_the_command_behind_a_decision_is_told() -> None:
    found = ask(case("isolated"), "tcp 203.0.113.11:9 192.0.2.10:2222")
    origin = "forwardingrules 192.0.2.10 tcp 2222:2222"
    told_of = as_json(found, {origin: Sent("forwarding_rules.json.7", "forwardrules", "2026-01-02T03:04:05Z")})
    [element] = [item for step in told_of["steps"] for item in step["because"] if item["origin"] == origin]
    assert element["command"]["type"] == "forwardrules"
    assert f"({origin}, forwarding_rules.json.7 of 2026-01-02T03:04:05Z)" in explanation_text(told_of)
