"""The way back: laws over random histories, and the record on disk."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chance import examples
from tests.core import Core, Document, machine
from tests.generators import DEVICES, commands
from vrouter.errors import HistoryError, Refused
from vrouter.history import History
from vrouter.intake import Claimed
from vrouter.model.history import Edit, Entries, Packed, Place, State, back_to, between, loaded, pack, without
from vrouter.model.settings import Settings
from vrouter.past import answer as past

MACHINE = machine(DEVICES)
histories = st.lists(commands, min_size=1, max_size=12)


class Recorded(Core):
    """A core that keeps its states, and what the bags and the wanted resources were in each."""

    def __init__(self) -> None:
        super().__init__(MACHINE)
        self.states: list[State] = []
        self.seen = [(self.saved(), dict(self.resources))]

    def now(self, place: Place) -> Packed:
        return pack(self.bags[place[0]].get(place[1]))

    def take(self, document: Document) -> None:
        try:
            changes = self.merged(document)
        except Refused:
            return
        edits = {
            (name, key): Edit(self.now((name, key)), pack(entry))
            for name, change in changes.items()
            for key, entry in change.items()
        }
        self.change(changes)
        if edits:
            number = len(self.states) + 1
            state = State(number, "2026-01-01T00:00:00Z", f"c{number}.json", str(document["type"]), number, edits)
            self.states.append(loaded(json.loads(json.dumps(state.as_json()))))
            self.seen.append((self.saved(), dict(self.resources)))


def order_free(bags: object) -> object:
    """Order inside a bag's lists does not count (design 4a)."""
    if isinstance(bags, dict):
        return {key: order_free(value) for key, value in bags.items()}
    return sorted((order_free(value) for value in bags), key=repr) if isinstance(bags, list) else bags


@examples(120)
@given(documents=histories, data=st.data())
def test_every_state_comes_back(documents: list[Document], data: st.DataObject) -> None:
    core = Recorded()
    for document in documents:
        core.take(document)
    for _ in range(3):  # and from there to another, because a rollback is a command like any other
        number = data.draw(st.integers(0, len(core.states)))
        bags, resources = core.seen[number]
        core.take(json.loads(past.rollback(core.states, number, core.now)))
        assert order_free(core.saved()) == order_free(bags)
        assert core.resources == resources


@examples(60)
@given(documents=histories, data=st.data())
def test_differences_add_up(documents: list[Document], data: st.DataObject) -> None:
    core = Recorded()
    for document in documents:
        core.take(document)
    first, last = sorted(data.draw(st.integers(0, len(core.states))) for _ in range(2))
    edits = between(first, last, core.states)
    assert all(edit.before != edit.after for edit in edits.values())
    back = past.difference(core.states, last, first)["edits"]
    forth = past.difference(core.states, first, last)["edits"]
    assert [(e["bag"], e["key"], e["after"], e["before"]) for e in back] == [tuple(e.values()) for e in forth]


def state(number: int, edits: Mapping[Place, Edit]) -> State:
    return State(number, "2026-01-01T00:00:00Z", "f.json", "t", number, edits)


def entries(**keys: int | None) -> Entries:
    return {"b": {key: None if value is None else {"raw": value} for key, value in keys.items()}}


def edit(before: int | None, after: int | None) -> Edit:
    return Edit(*(None if value is None else {"raw": value} for value in (before, after)))


STATES = [
    state(1, {("b", "x"): edit(None, 1), ("b", "y"): edit(None, 1)}),
    state(2, {("b", "x"): edit(1, 2)}),
    state(3, {("b", "y"): edit(1, None)}),
]
BAG = {("b", "x"): {"raw": 2}}


def test_back_and_without() -> None:
    now = BAG.get
    assert back_to(3, STATES, now) == {}
    assert back_to(2, STATES, now) == entries(y=1)
    assert back_to(0, STATES, now) == entries(x=None)
    assert without([2], STATES, now) == entries(x=1)
    assert without([1], STATES, now) == {}, "both were changed since, by commands that stay"
    assert without([1, 2], STATES, now) == entries(x=None)


def test_a_way_that_is_lost_is_refused_by_name() -> None:
    with pytest.raises(HistoryError, match="the way back to state 1 is lost: b x is not what state 2 left"):
        back_to(1, STATES, {("b", "x"): {"raw": 7}}.get)
    for number in (-1, 4):
        with pytest.raises(HistoryError, match=f"state {number} is not kept; states 0 to 3 are"):
            past.rollback(STATES, number, BAG.get)
    with pytest.raises(HistoryError, match="nothing is"):
        past.difference([], 1, None)
    with pytest.raises(HistoryError, match="state 9 is not kept"):
        past.revert(STATES, [9], BAG.get)


def test_secrets_are_not_shown() -> None:
    kept = state(1, {("b", "x"): Edit(None, {"raw": {"vmpassword": "hush", "list": [{"ipsec_psk": "hush"}], "a": 1}})})
    shown = past.difference([kept], 0, None)["edits"][0]["after"]
    assert shown == {"raw": {"vmpassword": "***", "list": [{"ipsec_psk": "***"}], "a": 1}}


# -- on disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Settings:
    return Settings(history_dir=str(tmp_path / "history"))


def claimed(number: int) -> Claimed:
    return Claimed(f"f.json.{number}", Path("unused"), stamp=1000 + number)


def test_fifty_states_and_all_senders(kept: Settings) -> None:
    history = History(kept)
    for number in range(1, 81):
        changes = {("b", f"k{number}"): edit(None, number)}
        assert history.record([(claimed(number), "t", changes)]) == [number]
    assert history.record([(claimed(90), "t", {})]) == [0], "nothing was edited"
    for one in (history, History(kept)):
        assert [state.number for state in one.states()] == list(range(31, 81))
        assert one.senders()["b", "k1"].file == "f.json.1" and len(one.senders()) == 80
    history.record([(claimed(81), "t", {("b", "k1"): edit(1, None)})])
    assert ("b", "k1") not in history.senders()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in Path(kept.history_dir).iterdir()}
    assert modes == {0o600} and stat.S_IMODE(Path(kept.history_dir).stat().st_mode) == 0o700


def test_a_command_that_is_finished_again_is_one_state(kept: Settings) -> None:
    done = [(claimed(number), "t", {("b", "x"): edit(number, number + 1)}) for number in range(3)]
    assert History(kept).record(done) == [1, 2, 3]
    assert History(kept).record(done[1:]) == [2, 3]
    assert len(History(kept).states()) == 3


def test_torn_records_end_the_way_back(kept: Settings) -> None:
    history = History(kept)
    for number in range(1, 6):
        history.record([(claimed(number), "t", {("b", "x"): edit(number, number + 1)})])
    files = sorted(Path(kept.history_dir).glob("*.json"))
    files[1].write_text("{")
    with Path(kept.history_dir, "senders.log").open("a") as log:
        log.write('["2026')
    fresh = History(kept)
    assert [state.number for state in fresh.states()] == [3, 4, 5]
    assert fresh.senders()["b", "x"].file == "f.json.5"
    files[3].unlink()
    assert [state.number for state in History(kept).states()] == [5]


def test_the_senders_are_bounded(kept: Settings) -> None:
    history = History(kept)
    many = {("b", "k" * 200 + str(number)): edit(None, 1) for number in range(20_000)}
    gone = {place: edit(1, None) for place in many}
    for number in range(6):
        history.record([(claimed(number), "t", many if number % 2 == 0 else gone)])
    assert os.path.getsize(f"{kept.history_dir}/senders.log") < 9 * 1024 * 1024
    assert not history.senders()


def test_a_disk_that_takes_nothing_loses_only_the_record(kept: Settings) -> None:
    Path(kept.history_dir).write_text("a file in its place")
    history = History(kept)
    assert history.record([(claimed(1), "t", {("b", "x"): edit(None, 1)})]) == [0]
    assert history.states() == [] and history.senders() == {}
