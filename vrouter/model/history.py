"""States of all bags, one after each command that changed an entry, kept as what the command edited. Pure.

Going back undoes edits, newest first, so a state costs what its command changed, whatever is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Optional, TypeVar

from vrouter.errors import HistoryError
from vrouter.model.bag import Entry
from vrouter.model.json import JsonObject

E = TypeVar("E", bound=Entry)

Place = tuple[str, str]  # bag, and key of the entry
Packed = Optional[JsonObject]  # noqa: UP045  # JsonObject is a text at run time
"""An entry with all its fields, see `pack`; None where there is none."""
Entries = Mapping[str, Mapping[str, Packed]]  # packed entries by bag and key, as the command `restore` takes them
Now = Callable[[Place], Packed]


@dataclass(frozen=True)
class Edit:
    """One entry before and after a command."""

    before: Packed
    after: Packed


@dataclass(frozen=True)
class State:
    """What the bags were after a command. time: UTC, ISO 8601. stamp: of the claimed file; a command that is finished
    again after a crash has the same one."""

    number: int
    time: str
    file: str
    type: str
    stamp: int
    edits: Mapping[Place, Edit]

    def as_json(self) -> JsonObject:
        """As `loaded` reads it."""
        edits: list[Any] = [[bag, key, edit.before, edit.after] for (bag, key), edit in self.edits.items()]
        head: JsonObject = {
            "number": self.number,
            "time": self.time,
            "file": self.file,
            "type": self.type,
            "stamp": self.stamp,
        }
        return {**head, "edits": edits}


def loaded(text: JsonObject) -> State:
    """A state from its JSON. Raises ValueError."""
    try:
        listed: Any = text["edits"]
        edits = {(str(bag), str(key)): Edit(before, after) for bag, key, before, after in listed}
        return State(
            number=int(str(text["number"])), time=str(text["time"]), file=str(text["file"]), type=str(text["type"]),
            stamp=int(str(text["stamp"])), edits=edits,
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a state: {error}") from error


def pack(entry: Entry | None) -> Packed:
    """An entry's fields, as JSON."""
    if entry is None:
        return None
    return {field.name: getattr(entry, field.name) for field in fields(entry) if field.init}  # type: ignore[arg-type]


def unpack(kind: type[E], packed: JsonObject) -> E:
    """The entry again. Raises ValueError for other fields than it has."""
    try:
        return kind(**packed)
    except TypeError as error:
        raise ValueError(str(error)) from error


def back_to(number: int, states: Iterable[State], now: Now) -> Entries:
    """The entries that differ in state `number`, as they were. now: an entry of the bags as they are.

    Raises HistoryError where the way back is not known: bags that were changed by other hands since.
    """
    result: dict[Place, Packed] = {}
    for state in sorted(states, key=lambda state: -state.number):
        if state.number <= number:
            break
        for place, edit in state.edits.items():
            if (result[place] if place in result else now(place)) != edit.after:
                raise HistoryError(
                    f"the way back to state {number} is lost: {' '.join(place)} is not what state {state.number} left"
                )
            result[place] = edit.before
    return _by_bag({place: packed for place, packed in result.items() if packed != now(place)})


def without(numbers: Iterable[int], states: Iterable[State], now: Now) -> Entries:
    """The entries as they would be if these commands had not come; one that was changed since stays as it is."""
    undone = set(numbers)
    result: dict[Place, Packed] = {}
    for state in sorted(states, key=lambda state: -state.number):
        if state.number not in undone:
            continue
        for place, edit in state.edits.items():
            if (result[place] if place in result else now(place)) == edit.after:
                result[place] = edit.before
    return _by_bag({place: packed for place, packed in result.items() if packed != now(place)})


def between(first: int, last: int, states: Iterable[State]) -> dict[Place, Edit]:
    """What was edited from state `first` to the later state `last`."""
    result: dict[Place, Edit] = {}
    for state in sorted(states, key=lambda state: state.number):
        if first < state.number <= last:
            for place, edit in state.edits.items():
                result[place] = Edit(result[place].before if place in result else edit.before, edit.after)
    return {place: edit for place, edit in sorted(result.items()) if edit.before != edit.after}


def _by_bag(entries: Mapping[Place, Packed]) -> Entries:
    bags: dict[str, dict[str, Packed]] = {}
    for (bag, key), packed in entries.items():
        bags.setdefault(bag, {})[key] = packed
    return bags
