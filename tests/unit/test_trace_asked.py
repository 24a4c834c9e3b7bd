"""Which packets are traced: the arguments, the table that chooses, and what the databags know of a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import core
from tests.generators import DEVICES
from tests.system.rules import cmdline, firewall, forward, forwards, ingress, public
from vrouter import __main__ as vrouter
from vrouter.model.table import Chain
from vrouter.trace.answer import named, told
from vrouter.trace.asked import own, parse, table


@pytest.mark.parametrize(
    ("words", "said", "exact"),
    [
        ("any any any", "any any > any", False),
        ("tcp any:any 192.0.2.10:80", "tcp any > 192.0.2.10:80", False),
        ("udp 10.1.1.9/24 :53", "udp 10.1.1.0/24 > any:53", False),
        ("tcp 203.0.113.11:4 192.0.2.10:80", "tcp 203.0.113.11:4 > 192.0.2.10:80", True),
        ("tcp 203.0.113.11 192.0.2.10", "tcp 203.0.113.11 > 192.0.2.10", False),
        ("icmp 203.0.113.11 192.0.2.10", "icmp 203.0.113.11 > 192.0.2.10", True),
    ],
)
def test_what_is_asked(words: str, said: str, exact: bool) -> None:
    asked = parse(*words.split())
    assert (str(asked), asked.exact) == (said, exact)


@pytest.mark.parametrize("words", ["gre any any", "tcp 1.2.3 any", "tcp any any:65536", "tcp any any:x",
                                   "icmp any any:1", "tcp 1.2.3.4/33 any"])  # fmt: skip
def test_what_cannot_be_asked(words: str) -> None:
    with pytest.raises(ValueError):
        parse(*words.split())
    assert vrouter.main(["trace", *words.split()]) == 64
    with pytest.raises(ValueError, match="is not the name"):
        parse("tcp", "any", "any", device='x" accept')


def test_the_table_lets_all_go_on() -> None:
    text = table(parse("tcp", "203.0.113.0/24", "192.0.2.10:80", device="eth2", both=True), 20)
    rules = [line for line in text.splitlines() if "meta nftrace" in line]
    limit = "limit rate 20/second burst 20 packets meta nftrace set 1"
    tracked = (
        "ct direction reply ct protocol tcp ct original ip saddr 203.0.113.0/24 "
        "ct original ip daddr 192.0.2.10/32 ct original proto-dst 80 "
    )
    assert rules == [
        f'iifname "eth2" meta l4proto tcp ip saddr 203.0.113.0/24 ip daddr 192.0.2.10/32 tcp dport 80 {limit}',
        tracked + limit, tracked + limit,
    ]  # fmt: skip
    assert "flags owner;" in text and "drop" not in text and text.count("policy accept") == 8


def test_the_connection_of_the_one_who_asks_is_not_traced() -> None:
    mine = own("198.51.100.7 50000 169.254.1.9 3922")
    text = table(parse("any", "any", "any"), 5, mine)
    assert "ip saddr 198.51.100.7 tcp sport 50000 tcp dport 3922 accept" in text
    assert "ip daddr 198.51.100.7 tcp dport 50000 tcp sport 3922 accept" in text
    assert own("") is None and own("fe80::1 1 fe80::2 22") is None


def router() -> core.Core:
    made = core.Core(core.machine(DEVICES))
    made.run(cmdline(), public("192.0.2.10"))
    made.run(forwards(forward("192.0.2.10", "2222", "10.1.1.12", "22")))
    made.run(firewall(ingress(101, "192.0.2.10", "tcp", "2222", "203.0.113.0/24")))
    return made


def step(made: core.Core, chain: str, rule: str, **more: object) -> dict[str, Any]:
    found = made.resources["chain", chain]
    assert isinstance(found, Chain)
    [tag] = [tag for tag in found.tags[1:] if tag.startswith(rule)]
    return {"chain": chain, "tag": tag, "protocol": "tcp", "in": "eth2", "out": "", "source": "203.0.113.11",
            "source_port": 4000, "destination": "192.0.2.10", "destination_port": 2222, **more}  # fmt: skip


def asked(made: core.Core, *steps: dict[str, Any]) -> list[Any]:
    found = named(made.resources, told({"packets": [{"packet": None, "why": False, "steps": steps}]}), {})
    steps_of: list[Any] = found["packets"][0]["steps"]
    return steps_of


def test_elements_and_origins_of_our_rules() -> None:
    made = router()
    ingress_, dnat, mark = asked(
        made, step(made, "ingress", "FI-1 port, from"), step(made, "translate", "PF-1 port"),
        step(made, "prerouting", "RT-3 restore", **{"in": "eth0"}),
    )  # fmt: skip
    assert (ingress_["says"], ingress_["does"], ingress_["missing"]) == ("FI-1 port, from", "return", [])
    assert [item["origin"] for item in ingress_["because"]] == ["firewallrules 101"]
    assert dnat["does"] == "destination becomes 10.1.1.12:22"
    assert [item["origin"] for item in dnat["because"]] == ["forwardingrules 192.0.2.10 tcp 2222:2222"]
    assert mark["does"] == "mark of the connection"


def test_a_rule_or_element_that_nobody_wants() -> None:
    made = router()
    other = step(made, "ingress", "FI-1 port, from", source="198.51.100.1")
    [found] = asked(made, other)
    assert found["missing"] == ["ingress_from"] and found["because"] == []
    [found] = asked(made, step(made, "translate", "PF-1 port", destination_port=1))
    assert found["missing"] == ["forward_port"] and found["does"] == "dnat"
    assert asked(made, other | {"tag": "x"}, other | {"chain": "x"}) == [None, None]


def test_help_says_how_it_ends(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert vrouter.main(["trace", "--help"]) == 0
    said = capsys.readouterr().out
    assert "Exit status: 0 packets were seen, 2 none" in said and "Example: vrouter trace" in said
