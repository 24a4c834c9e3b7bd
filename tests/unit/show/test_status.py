"""What `status` calls wrong, and the shape of its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.unit.show.kit import NOW, empty, example, facts, large, refused, view, waits
from tests.unit.show.test_rows import FORWARD, RULESET
from vrouter.model.observed import Interface, Process, RouteLine, RuleLine
from vrouter.show import foreign
from vrouter.show.status import status
from vrouter.show.tables import TABLES

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
TEXTS = {"type": "array", "items": TEXT}


def maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def shape(**members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": sorted(members), "additionalProperties": False}


def many(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


PROCESS = {"state": TEXT, "pid": maybe(NUMBER), "since": maybe(TEXT), "memory_bytes": maybe(NUMBER)}
STATUS = shape(
    well=FLAG, problems=many(shape(what=TEXT, says=TEXT, look=TEXT)), notes=TEXTS, told=FLAG,
    router=shape(kind=TEXT, name=TEXT, domain=TEXT, addresses=NUMBER, guests=NUMBER, forwards=NUMBER,
                 static_nats=NUMBER, rules=NUMBER),
    networks=many(TABLES["networks"].schema()),
    interfaces=many(shape(device=TEXT, role=TEXT, state=TEXT, mac=TEXT, mtu=NUMBER, addresses=TEXTS)),
    daemons=many(shape(name=TEXT, **PROCESS)), agent=shape(**PROCESS),
    commands=many(shape(file=TEXT, type=TEXT, time=TEXT, result={"enum": ["done", "refused"]}, faults=TEXTS,
                        changes=maybe(NUMBER), took_ms=maybe(NUMBER))),
    queue=many(shape(file=TEXT, claimed=FLAG, age_s=NUMBER)),
    connections=shape(count=maybe(NUMBER), most=maybe(NUMBER)),
    disks=many(shape(directory=TEXT, free_bytes=maybe(NUMBER))),
    drift=shape(count=NUMBER, changes=many({"type": "object"})),
    pending=many(shape(origin=TEXT, needs=TEXT)),
    foreign=many(shape(name=TEXT, says=TEXT, stops=FLAG, look=TEXT)),
)  # fmt: skip


def problems(**more: Any) -> list[tuple[str, str]]:
    found = status(view(example()), facts(**more))
    assert not list(Draft202012Validator(STATUS).iter_errors(json.loads(json.dumps(found))))
    assert found["well"] == (not found["problems"])
    return [(problem["what"], problem["says"]) for problem in found["problems"]]


def process(state: str) -> Process:
    return Process(pid=45, state=state, since=NOW - 60, memory_bytes=1)


@pytest.mark.parametrize("core", [empty(), example(), large()], ids=["empty", "example", "large"])
def test_shape(core: Any) -> None:
    found = status(view(core, lost=[FORWARD]), facts(agent=None, answering=False, commands=(refused(),)))
    assert not list(Draft202012Validator(STATUS).iter_errors(json.loads(json.dumps(found))))


def test_a_router_on_which_all_is_well() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("state", "says"), [("T", "is stopped by a signal"), ("t", "is stopped"), ("Z", "does not run")]
)
def test_a_daemon_that_is_stopped_or_dead(state: str, says: str) -> None:
    [(what, text)] = problems(daemons={"dnsmasq": process(state)})
    assert what == "daemon" and "dnsmasq" in text and says in text


def test_a_daemon_that_is_gone() -> None:
    assert problems(daemons={"dnsmasq": None})[0][0] == "daemon"


def test_drift_names_the_entries() -> None:
    found = status(view(example(), lost=[FORWARD]), facts())
    [problem] = found["problems"]
    assert problem["what"] == "drift" and "forwardingrules 192.0.2.10 tcp 2222:2222" in problem["says"]
    assert found["drift"]["count"] == 1 and found["drift"]["changes"][0]["action"] == "add"


def test_a_policy_that_was_flushed_is_said_to_be_gone() -> None:
    core = example()
    policy = [key for key in core.resources if key[0] in ("chain", "set", "map", "element", "helper")]
    [problem] = status(view(core, lost=policy), facts())["problems"]
    assert problem["says"].startswith("the packet policy is gone or was changed: ")


def test_a_refused_command_says_why() -> None:
    [(what, says)] = problems(commands=(refused(),))
    assert what == "command" and says.endswith("'tpc' is not tcp or udp")


def test_a_file_that_waits_is_a_fault_only_after_a_while() -> None:
    assert problems(waiting=(waits(5),)) == []
    assert problems(waiting=(waits(3600),)) == [("queue", "1 command file not done, the oldest for 1 h: ips.json.12")]


def test_an_agent_that_hangs_or_is_stopped() -> None:
    assert problems(answering=False)[0][1].startswith("the agent (pid 44) does not answer")
    assert "is stopped by a signal" in problems(answering=False, agent=process("T"))[0][1]
    assert problems(agent=None, answering=False) == []
    assert problems(agent=None, answering=False, busy=True)[0][0] == "lock"


def test_a_link_without_carrier() -> None:
    held = (Interface(device="eth2", carrier=False), Interface(device="tun0", carrier=False))
    assert problems(interfaces=held) == [("interface", "eth2 (public) has no carrier")]


def test_what_runs_out() -> None:
    assert problems(connections=(94, 100), free_bytes={"/etc/cloudstack": 5_000_000, "/nowhere": None}) == []
    [(what, says)] = problems(connections=(96, 100))
    assert what == "connections" and says.startswith("96 of 100")
    assert problems(free_bytes={"/etc/cloudstack": 4096})[0][0] == "disk"


def test_a_forward_that_no_rule_opens_is_noted() -> None:
    core = example()
    core.run({"type": "forwardrules", "rules": [{
        "protocol": "tcp", "source_ip_address": "192.0.2.10", "source_port_range": "81:81",
        "destination_ip_address": "10.1.1.12", "destination_port_range": "81:81", "source_cidr_list": "",
    }]})  # fmt: skip
    found = status(view(core), facts())
    assert found["well"] and "tcp 192.0.2.10:81" in found["notes"][0]


@pytest.mark.parametrize(
    ("ruleset", "stops"),
    [
        ("type filter hook forward priority filter - 5; policy drop;", True),
        ("type filter hook prerouting priority raw; policy accept;\n\t\tip saddr 10.1.1.0/24 reject", True),
        ("type nat hook postrouting priority srcnat; policy accept;\n\t\tmasquerade", False),
        ('type filter hook input priority filter; policy accept;\n\t\tip saddr 1.1.1.1 accept comment "no drop"', None),
    ],
)
def test_tables_of_others(ruleset: str, stops: bool | None) -> None:
    text = f"table ip vrouter {{\n\tchain input {{\n\t\ttype filter hook input priority 0; policy drop;\n\t}}\n}}\ntable inet bad {{\n\tchain f {{\n\t\t{ruleset}\n\t}}\n}}\n"  # noqa: E501
    found = list(foreign.tables(foreign.chains(text)))
    assert [row["stops"] for row in found] == ([] if stops is None else [stops])
    assert all(row["look"] == "nft list table inet bad" for row in found)


def test_a_chain_that_a_base_chain_reaches_counts() -> None:
    text = (
        "table ip other {\n\tchain deny {\n\t\tip saddr 1.2.3.4 drop\n\t}\n\tchain f {\n"
        "\t\ttype filter hook forward priority filter; policy accept;\n\t\tjump deny\n\t}\n}\n"
    )
    [row] = foreign.tables(foreign.chains(text))
    assert row["stops"] and row["name"] == "nft table ip other, chain f"


def test_tables_that_sleep_or_are_of_ipv6_stop_nothing() -> None:
    body = "\tchain f {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}\n"
    text = f"table ip off {{\n\tflags dormant\n{body}table ip6 six {{\n{body}"
    assert list(foreign.chains(text)) == []
    assert RULESET


def test_the_older_iptables() -> None:
    saved = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n-A INPUT -s 1.2.3.4/32 -j DROP\nCOMMIT\n"
    [row] = foreign.legacy(saved)
    assert row["stops"] and "chain FORWARD drops" in row["says"] and "-s 1.2.3.4/32" in row["says"]
    [unknown] = foreign.legacy("*filter\n*nat")
    assert not unknown["stops"] and "filter, nat" in unknown["name"]
    assert list(foreign.legacy("")) == []


def test_routes_rules_queues_and_programs_of_others() -> None:
    found = list(
        foreign.network(
            [Interface(device="eth2", shaping=("netem",), xdp=True)],
            [RouteLine(table=254, to="10.1.1.12/32", kind="blackhole"),
             RouteLine(table=254, to="10.0.0.0/8", device="eth1", protocol=3),
             RouteLine(table=254, to="10.1.1.0/24", device="eth0", protocol=2)],
            [RuleLine(priority=5, match="from 10.1.1.12/32", action="prohibit"), RuleLine(priority=0, match="all"),
             RuleLine(priority=9, match="all", table=7), RuleLine(priority=1102, match="mark 102", ours=True)],
        )
    )  # fmt: skip
    assert [(row["name"], row["stops"]) for row in found] == [
        ("queue of eth2", False), ("XDP program of eth2", False), ("route blackhole 10.1.1.12/32", True),
        ("route 10.0.0.0/8", False), ("routing rule 5 from 10.1.1.12/32", True), ("routing rule 9 all", False),
    ]  # fmt: skip
