"""What a plan tells beyond its changes."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from tests.core import Core, Document, documents
from tests.unit.show.kit import EXAMPLE, example
from tests.unit.show.test_status import FLAG, NUMBER, TEXT, TEXTS, many, maybe, shape
from vrouter.connections import ending
from vrouter.plan import Plan
from vrouter.show.layout import PLAIN, Screen
from vrouter.show.plan_text import plan_text
from vrouter.show.planned import Serving, detail

RUNS = Serving(runs=True)
DETAIL = shape(
    diffs=many(shape(path=TEXT, diff=TEXT)), daemons=many(shape(name=TEXT, action=TEXT, why=TEXT)),
    ends=shape(rules=TEXTS, connections=maybe(NUMBER), complete=FLAG), expected_ms=NUMBER,
)  # fmt: skip


def planned(core: Core, document: Document, serving: Serving = RUNS) -> tuple[Plan, dict[str, Any]]:
    plan = core.run(document)
    found = detail(plan, ending(plan, core.resources), (2, True), serving, resident=True)
    assert not list(Draft202012Validator(DETAIL).iter_errors(json.loads(json.dumps(found))))
    return plan, found


def answer(*plans: tuple[Plan, dict[str, Any]]) -> dict[str, Any]:
    files = [
        {"file": f"{number}.json", "type": "x", "refused": False, "faults": [], "changes": len(plan.changes), **more}
        for number, (plan, more) in enumerate(plans)
    ]
    return {"changes": [line for plan, _ in plans for line in plan.changes_tree()], "files": files, "pending": []}


def host(address: str, mac: str, name: str) -> Document:
    return {"type": "dhcpentry", "host_name": name, "mac_address": mac, "ipv4_address": address,
            "default_gateway": "10.1.1.1", "default_entry": True}  # fmt: skip


def revoke() -> Document:
    return {"type": "forwardrules", "rules": [{
        "revoke": True, "protocol": "tcp", "source_ip_address": "192.0.2.10", "source_port_range": "2222:2222",
        "destination_ip_address": "10.1.1.12", "destination_port_range": "22:22", "source_cidr_list": "",
    }]}  # fmt: skip


def domain(name: str) -> Document:
    """The example's boot arguments with another domain."""
    first = documents(EXAMPLE)[0]
    return {**first, "cmd_line": {**first["cmd_line"], "domain": name}}


def test_a_file_is_a_diff_and_its_daemon_restarts() -> None:
    core = example()
    _, found = planned(core, domain("other.example.com"))
    diff = next(item["diff"] for item in found["diffs"] if item["path"].endswith("cloud.conf"))
    assert "-domain=tenant1.example.com" in diff and "+domain=other.example.com" in diff
    assert [(one["name"], one["action"]) for one in found["daemons"]] == [("dnsmasq", "restart")]


def test_a_new_guest_needs_no_reload_a_changed_one_does() -> None:
    core = example()
    assert planned(core, host("10.1.1.50", "02:00:00:00:00:50", "new"))[1]["daemons"] == []
    changed = host("10.1.1.11", "02:00:00:00:00:51", "other")
    assert [one["action"] for one in planned(core, changed)[1]["daemons"]] == ["reload"]


def test_a_withdrawn_address_is_remembered_for_the_next_file() -> None:
    core = example()
    plan, _ = planned(core, {**host("10.1.1.11", "02:00:00:00:00:51", "other"), "add": False})
    after = RUNS.after(plan)
    assert after.stale == {"10.1.1.11"}
    again = planned(core, host("10.1.1.11", "02:00:00:00:00:52", "next"), after)[1]
    assert [one["action"] for one in again["daemons"]] == ["reload"]


def test_a_revoked_forward_names_what_ends() -> None:
    _, found = planned(example(), revoke())
    assert found["ends"]["rules"][0].startswith("through the forward tcp 192.0.2.10:2222 to 10.1.1.12")
    assert found["ends"]["connections"] == 2


def test_nothing_to_change_costs_next_to_nothing() -> None:
    core = example()
    core.run(revoke())
    plan, found = planned(core, revoke())
    assert not plan and found["expected_ms"] < 10
    assert plan_text(answer((plan, found)), PLAIN) == "0.json: nothing to change"


def test_text_is_grouped_and_fits() -> None:
    core = example()
    found = answer(planned(core, domain("other.example.com")), planned(core, revoke()))
    text = plan_text(found, Screen(80))
    assert "  files: 2 changed" in text and "      -domain=tenant1.example.com" in text
    assert "  elements: 1 removed" in text and "  connections that end: 2 now" in text
    assert "  daemon: dnsmasq would restart" in text
    assert "\x1b[31m" in plan_text(found, Screen(80, colour=True)) and "\x1b" not in text


def test_long_plans_are_cut_unless_asked_for() -> None:
    core = example()
    rules = [{"id": 900 + n, "src_ip": "192.0.2.10", "protocol": "tcp", "src_port_range": [n + 1, n + 1],
              "revoked": False, "source_cidr_list": [], "traffic_type": "Ingress"} for n in range(30)]  # fmt: skip
    found = answer(planned(core, {"type": "firewallrules", "rules": rules}))
    assert "and 10 more lines: --all" in plan_text(found, Screen(200))
    assert plan_text(found, Screen(200), every=True).count("ingress_port") == 30
    assert plan_text(found, PLAIN).count("ingress_port") == 30
