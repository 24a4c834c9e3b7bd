"""From bytes that a kernel told (Linux 6.18, one message a line in `traced/`) to what is said of a packet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chance import examples
from vrouter.agent.questions import question
from vrouter.errors import VrouterError
from vrouter.host.nft_trace import events
from vrouter.model.traced import Event
from vrouter.trace.question import merge, of_ways
from vrouter.trace.rules import NamedRule, rules
from vrouter.trace.text import end_text, way_text
from vrouter.trace.walk import Way, Ways

TRACED = Path(__file__).parent / "traced"
TRACE = "ip vrouter_trace"
DEVICES = {1: "lo", 2: "eth0", 3: "eth1", 4: "eth2", 5: "eth3"}
RULES = rules((TRACED / "rules.nft").read_text())


def told(name: str) -> Iterator[Event]:
    for line in (TRACED / f"{name}.hex").read_text().split():
        yield from events(bytes.fromhex(line))


def ways(name: str, most: int = 20) -> list[Way]:
    walks, ended = Ways(lambda index: DEVICES.get(index, ""), most), list[Way]()
    for event in told(name):
        ended += walks.take(event, RULES, 0.0)
    ended += walks.quiet(1.0)
    assert not list(walks.quiet(9.0)) and walks.begun == len(ended)
    return ended


def test_one_event() -> None:
    first = next(told("forward"))
    assert (first.table, first.chain, first.kind, first.verdict) == (
        "ip vrouter_trace", "prerouting", "rule", "continue",
    )  # fmt: skip
    assert first.header and first.header.protocol == "tcp" and first.header.ports[1] == 2222
    assert (str(first.header.source), str(first.header.destination)) == ("203.0.113.11", "192.0.2.10")
    assert (DEVICES[first.device_in], first.device_out, first.mark) == ("eth2", 0, 0)


def test_verdicts_have_names() -> None:
    found = {
        event.verdict for name in ("forward", "foreign", "noway") for event in told(name) if event.table[-1] != "e"
    }
    assert found == {"accept", "continue", "drop", "goto ingress", "goto translate", "return"}


@examples()
@given(st.binary(max_size=200), st.integers(0, 200))
def test_what_is_cut_or_no_message_is_no_error(noise: bytes, cut: int) -> None:
    list(events(noise))
    line = bytes.fromhex((TRACED / "forward.hex").read_text().split()[0])
    list(events(line[:cut] + noise))


def test_a_forwarded_packet_and_its_answer() -> None:
    first, answer = ways("forward")
    assert (first.verdict, first.device, first.device_out, first.state) == ("accepted", "eth2", "eth0", "new")
    assert first.passed == ["prerouting", "forward", "postrouting"]
    assert [(step.hook, step.chain) for step in first.steps] == [
        ("prerouting", "prerouting"), ("prerouting", "prerouting"), ("prerouting", "ingress"),
        ("prerouting", "prerouting"), ("prerouting", "dstnat"), ("prerouting", "translate"),
        ("forward", "forward"), ("postrouting", "srcnat"),
    ]  # fmt: skip
    assert first.ends and (str(first.ends.destination), first.ends.ports[1]) == ("10.1.1.12", 22)
    assert (answer.verdict, answer.device, answer.device_out) == ("accepted", "eth0", "eth2")
    assert answer.ends and (str(answer.ends.source), answer.ends.ports[0]) == ("192.0.2.10", 2222)


def test_no_more_than_were_asked_for() -> None:
    assert len(ways("forward", most=1)) == 1


def test_a_foreign_table_that_drops() -> None:
    [way] = ways("foreign")
    [tree] = [way.as_json()]
    merge([tree], None)
    lines = way_text(tree).splitlines()
    assert lines[0] == "icmp 10.1.1.12 > 203.0.113.11 type 8 code 0, new, in eth0"
    assert lines[-2:] == [
        '  forward      inet other mine: ip saddr 10.1.1.12 drop comment "not today": dropped',
        "  does not pass: dropped by the foreign table inet other, chain mine, rule: "
        'ip saddr 10.1.1.12 drop comment "not today"',
    ]
    assert not tree["passes"] and "tag" not in tree["steps"][-1]


def explained(**more: object) -> dict[str, Any]:
    return {
        "verdict": "not routed",
        "passes": False,
        "hint": "",
        "steps": [{"does": "the way back", "because": []}],
        **more,
    }


@pytest.mark.parametrize(
    ("explanation", "why"),
    [
        (explained(), "the way back"),
        (explained(verdict="accepted", passes=True), "ip route get 10.1.1.1 from 10.9.9.9 iif eth0"),
        (None, "ip route get 10.1.1.1 from 10.9.9.9 iif eth0"),
    ],
)
def test_a_packet_that_ends_between_the_hooks(explanation: Any, why: str) -> None:
    tree = ways("noway")[0].as_json()
    asked = of_ways([tree])
    assert asked["packets"][0]["why"] and asked["packets"][0]["packet"]["in"] == "eth0"
    merge([tree], {"packets": [{"steps": [], "explained": explanation}]})
    lines = way_text(tree).splitlines()
    assert lines[-2] == "  does not pass: not routed; every rule at prerouting let it go on"
    assert why in lines[-1]


def test_a_packet_that_something_else_takes() -> None:
    events_ = [event for event in told("forward") if event.chain != "prerouting_end"][:6]
    walks = Ways(lambda index: DEVICES.get(index, ""), 1)
    for event in events_:
        assert not list(walks.take(event, RULES, 0.0))
    [way] = walks.quiet(1.0)
    assert way.verdict == "taken" and walks.full


def test_what_the_databags_know_goes_to_its_step() -> None:
    tree = ways("forward")[0].as_json()
    asked = of_ways([tree])["packets"][0]
    assert not asked["why"]
    assert asked["steps"][2] | {"source_port": 0} == {
        "chain": "ingress", "tag": "FI-1 port, from [979c2199]", "protocol": "tcp", "in": "eth2", "out": "",
        "source": "203.0.113.11", "source_port": 0, "destination": "192.0.2.10", "destination_port": 2222,
    }  # fmt: skip
    sent = {"file": "f.json", "type": "firewallrules", "time": "2026-01-02T03:04:05Z"}
    because = {
        "kind": "element",
        "name": "ingress_from 1 tcp",
        "value": "",
        "origin": "firewallrules 101",
        "command": sent,
    }
    known: list[Any] = [None] * len(asked["steps"])
    known[2] = {"says": "FI-1 port", "does": "return", "because": [because], "missing": ["other"]}
    merge([tree], {"packets": [{"steps": known, "explained": None}]})
    lines = [line.strip() for line in way_text(tree).splitlines()]
    place = lines.index("ip vrouter ingress: FI-1 port: lets it go on")
    assert lines[place + 1 : place + 3] == [
        "by ingress_from 1 tcp (firewallrules 101, f.json of 2026-01-02T03:04:05Z)",
        "by an element of other that no databag asks for",
    ]


def test_rules_by_handle() -> None:
    found = rules(
        "table inet x { # handle 9\n\tset s {\n\t\ttype mark\n\t}\n\n\tchain c { # handle 1\n"
        "\t\ttype filter hook forward priority filter; policy drop;\n"
        '\t\tcounter packets 1 bytes 20 tcp dport 1 drop comment "x # handle 7" # handle 12\n\t}\n}\n'
    )
    assert found.hooks == {("inet x", "c"): "forward"}
    assert found.rules == {("inet x", 12): NamedRule('tcp dport 1 drop comment "x # handle 7"', "x # handle 7")}


def test_how_it_ends() -> None:
    found = {"note": "", "lost": True, "packets": [], "seconds": 2.0, "asked": "tcp any > any", "hint": "look"}
    assert end_text(found).splitlines() == [
        "some events were lost: more came than could be read; ways may have gaps",
        "no packet seen in 2 s: tcp any > any", "hint: look",
    ]  # fmt: skip


@pytest.mark.parametrize("asked", [
    {}, {"packets": 1}, {"packets": [1]}, {"packets": [{}]}, [],
    {"packets": [{"packet": None, "why": 1, "steps": [{}]}]},
    {"packets": [{"packet": None, "why": 1, "steps": [{"protocol": [], "source": "x"}]}]},
    {"packets": [{"packet": {"protocol": "x"}, "why": 1, "steps": []}]},
])  # fmt: skip
def test_the_agent_takes_no_other_question(asked: object) -> None:
    with pytest.raises(VrouterError):
        question("trace", json.dumps(asked))
