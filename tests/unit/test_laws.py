"""Laws of the pure core, over random histories of valid commands."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chance import examples
from tests.core import Core, Document, machine
from tests.generators import COMMANDS, DEVICES, commands, histories
from vrouter.errors import Refused
from vrouter.features import BAGS
from vrouter.handlers import HANDLERS
from vrouter.model.resources import Key, Resource
from vrouter.plan import diff
from vrouter.wanted import Asked, Wanted

MACHINE = machine(DEVICES)
Held = dict[Key, tuple[Resource, str]]
slow = examples(150)


def after(*documents: Document) -> Core:
    """A router after these commands; a refused one changes nothing."""
    core = Core(MACHINE)
    take(core, documents)
    return core


def take(core: Core, documents: Iterable[Document]) -> None:
    for document in documents:
        with contextlib.suppress(Refused):
            core.run(document)


def held(core: Core) -> Held:
    """All that is wanted, each with what it says of its origin."""
    return {key: (resource, resource.origin) for key, resource in core.resources.items()}


def asked(core: Core) -> Asked:
    return {source: core.asked(source[0], entry) for source, entry in core.entries()}


def test_every_command_is_drawn() -> None:
    from vrouter.features import COMMANDS as built

    assert set(COMMANDS) == set(built) - {"restore"}  # see test_history.py


@pytest.mark.parametrize("type", sorted(COMMANDS))
@examples(80)
@given(data=st.data(), history=histories)
def test_merging_twice_is_merging_once(type: str, data: st.DataObject, history: list[Document]) -> None:
    core = after(*history)
    document = data.draw(COMMANDS[type])
    take(core, [document])
    once, saved = held(core), core.saved()
    with contextlib.suppress(Refused):
        assert not any(core.merged(document).values())
        assert not core.run(document)
    assert (held(core), core.saved()) == (once, saved)


@slow
@given(histories, histories)
def test_a_change_of_what_is_wanted_equals_building_it_anew(history: list[Document], more: list[Document]) -> None:
    core = after(*history)
    for document in more:
        take(core, [document])
        anew = Wanted(HANDLERS, MACHINE)
        anew.change(asked(core))
        assert core.wanted.resources == anew.resources
        assert held(core) == {key: (resource, resource.origin) for key, resource in anew.resources.items()}


@slow
@given(histories, st.randoms(use_true_random=False))
def test_what_is_wanted_does_not_depend_on_the_order_of_entries(history: list[Document], random: object) -> None:
    core = after(*history)
    sources = sorted(asked(core))
    assert hasattr(random, "shuffle")
    random.shuffle(sources)
    anew = Wanted(HANDLERS, MACHINE)
    for source in sources:
        anew.change({source: asked(core)[source]})
    assert anew.resources == core.resources


@slow
@given(histories, commands)
def test_the_keys_of_a_change_are_all_that_differs(history: list[Document], document: Document) -> None:
    core = after(*history)
    before = dict(core.resources)
    try:
        touched = core.change(core.merged(document))
    except Refused:
        assert core.resources == before
        return
    assert diff(before, core.resources, touched) == diff(before, core.resources)


@slow
@given(histories, histories)
def test_applying_a_plan_to_the_old_state_gives_the_new_one(one: list[Document], other: list[Document]) -> None:
    old, new = after(*one).resources, after(*other).resources
    lasting = {key: r for key, r in old.items() if r.lasting and key not in new}
    plan = diff(old, new)
    assert plan.applied(old) == new | lasting
    assert not diff(plan.applied(old), new)
    assert not diff(old, copy.deepcopy(old)) and not diff(new, dict(new))
    assert [change.key for change in plan.changes] == sorted({change.key for change in plan.changes})


@slow
@given(histories, commands)
def test_a_rollback_restores_what_was_wanted(history: list[Document], document: Document) -> None:
    """As the pipeline does it: the entries' old intents are given back."""
    core = after(*history)
    before = held(core)
    try:
        changes = core.merged(document)
    except Refused:
        return
    sources = [(name, key) for name, change in changes.items() for key in change]
    old = {source: core.asked(source[0], core.bags[source[0]].get(source[1])) for source in sources}
    core.wanted.change({source: core.asked(source[0], changes[source[0]][source[1]]) for source in sources})
    core.wanted.change(old)
    assert held(core) == before


@slow
@given(histories)
def test_a_saved_bag_comes_back_as_it_was(history: list[Document]) -> None:
    core = after(*history)
    saved = core.saved()
    again = Core(MACHINE, saved)
    assert again.saved() == saved
    assert again.bags == core.bags
    assert again.resources == core.resources


@slow
@given(histories, st.booleans())
def test_a_reference_bag_loads_without_loss(history: list[Document], with_id: bool) -> None:
    """`id` may be missing, removed entries stay as tombstones, numbers may be texts (contract commands 4.1 to 4.4)."""
    core = after(*history)
    saved = core.saved()
    for name, bag in saved.items():
        assert bag.pop("id") == name
        if with_id:
            bag["id"] = name
    for device, listed in saved["ips"].items():
        if device != "id":
            gone = {"public_ip": "192.0.2.99", "netmask": "255.255.255.0", "add": False, "source_nat": True}
            listed.insert(0, gone)
            for entry in listed:
                entry |= {"nic_dev_id": str(entry.get("nic_dev_id", "7"))}
    saved["dhcpentry"]["10.1.1.98"] = {"remove": True, "mac_address": "02:00:4c:01:00:98", "ipv4_address": "10.1.1.98"}
    saved["forwardingrules"]["192.0.2.99"] = []
    saved["guestnetwork"]["eth9"] = []
    nowhere = {"public_ip": "203.0.113.99", "netmask": "255.255.255.0"}
    saved["ips"]["ethNone"] = [*saved["ips"].get("ethNone", []), nowhere]
    again = Core(MACHINE, saved)
    for name in BAGS:
        assert core.bags[name].keys() <= again.bags[name].keys()
    assert {key: core.resources[key] for key in core.resources} == {
        key: again.resources[key] for key in core.resources if key in again.resources
    }
    assert again.bags["ips"].keys() - core.bags["ips"].keys() == {"203.0.113.99"}
    assert again.bags["dhcpentry"].keys() == core.bags["dhcpentry"].keys()
