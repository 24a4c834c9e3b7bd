"""Mistakes of our own: a command that meets one is refused, the others go on, the agent lives."""

from __future__ import annotations

import json

import pytest

from tests.agent import kit
from tests.agent.commands import address, forward, forwards, host
from tests.system.kit import Document, Router, eventually, example

LAUNCHER = """
from dataclasses import replace
from vrouter import features, handlers
from vrouter.host.dnsmasq import Dnsmasq

def merge(document, bags, machine):
    raise ZeroDivisionError('in a merge')

def mistaken(handler):
    def resources(intents, machine):
        for resource in handler.resources(intents, machine):
            if '6661' in resource.key:
                raise KeyError('in a handler')
            yield resource
    return replace(handler, resources=resources)

def after(self, plan, want, settle, right=Dnsmasq.after):
    if any('6662' in resource.key for resource in plan.put):
        raise AttributeError('in apply')
    right(self, plan, want, settle)

features.COMMANDS['dhcpconfig'] = replace(features.COMMANDS['dhcpconfig'], merge=merge)
handlers.HANDLERS = tuple(mistaken(each) if each.name == 'port forwards' else each for each in handlers.HANDLERS)
Dnsmasq.after = after
"""
"""A feature, a handler and a part of apply that raise what nobody raises on purpose."""

MISTAKES: dict[str, Document] = {
    "ZeroDivisionError('in a merge')": example("dhcpconfig"),
    "KeyError('in a handler')": forwards(forward(6661)),
    "AttributeError('in apply')": forwards(forward(6662), forward(6663)),
}


@pytest.fixture
def mistaken(served: Router) -> Router:
    """A router whose agent runs code with mistakes."""
    kit.restart(served, launcher=LAUNCHER)
    return served


def test_a_command_that_meets_a_mistake_is_refused_and_changes_nothing(mistaken: Router) -> None:
    before, agent = mistaken.state(), kit.pid(mistaken)
    for said, document in MISTAKES.items():
        done = mistaken.update_config(document)
        assert done.returncode == 1 and f"internal error: {said}" in done.stderr and done.stderr.count("\n") < 4
        assert mistaken.state() == before
        assert mistaken.http("public1", "192.0.2.11:443") == "203.0.113.11"
    assert mistaken.update_config(forwards(forward(6664))).returncode == 0
    assert kit.pid(mistaken) == agent and 6664 in kit.ports(mistaken) and "Traceback" not in kit.log(mistaken)
    assert len(kit.listed(mistaken, "failed")) == 2 * len(MISTAKES)


def test_others_that_waited_with_it_are_done(mistaken: Router, reference: Router) -> None:
    """Also where they are all taken by one turn; a plan that meets a mistake is an answer as well."""
    agent = kit.pid(mistaken)
    good = [forwards(forward(6670 + number)) for number in range(5)] + [host(70), address(70)]
    documents = [one for pair in zip(good, [*MISTAKES.values()] * 3, strict=False) for one in pair]
    answers = kit.pushed(mistaken, documents, len(documents), "mixed")
    kit.push(mistaken, *((f"drop.json.{number}", document) for number, document in enumerate(documents)))
    assert eventually(lambda: kit.settled(mistaken), 10)
    for document, (status, text) in zip(documents, answers, strict=True):
        assert (status, text) == (0, "") if document in good else (status == 1 and "internal error" in text)
    failed = {name for name in kit.listed(mistaken, "failed") if name.startswith("drop") and "error" not in name}
    assert failed == {f"drop.json.{number}" for number, document in enumerate(documents) if document not in good}
    reports = [json.loads(kit.inside(mistaken, f"{kit.CACHE}/failed/{name}.error").read_text()) for name in failed]
    assert all("internal error" in str(report["faults"]) for report in reports)
    mistaken.lab.put("router", "/tmp/operator.json", json.dumps(forwards(forward(6661))).encode())
    planned = mistaken.run("vrouter", "plan", "/tmp/operator.json")
    assert planned.returncode == 1 and "internal error" in planned.stdout + planned.stderr
    reference.send(*good)
    assert kit.pid(mistaken) == agent and mistaken.state() == reference.state()
