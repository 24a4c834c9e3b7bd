"""What is asked of the past, and its answers for programs. `restore` documents are how a state comes back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from vrouter.answers import Answer
from vrouter.errors import HistoryError
from vrouter.features.restore import TYPE
from vrouter.model.history import Edit, Entries, Now, State, back_to, between, without

_SECRET = re.compile(r"[Pp]assw|[Ss]ecret|[Pp]rivate_?[Kk]ey|[Pp]sk")  # as in databags/cmdline.schema.json


def listed(states: Sequence[State]) -> Answer:
    """`states`, oldest first: number, time, file, type and `edits`, how many entries came, changed, went by bag."""
    return {
        "states": [
            {
                "number": state.number,
                "time": state.time,
                "file": state.file,
                "type": state.type,
                "edits": _counted(state),
            }
            for state in states
        ]
    }


def _counted(state: State) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for (bag, _), edit in state.edits.items():
        kind = "changed" if edit.before and edit.after else "added" if edit.after else "removed"
        found.setdefault(bag, Counter())[kind] += 1
    return {bag: {kind: counts[kind] for kind in ("added", "changed", "removed")} for bag, counts in found.items()}


def difference(states: Sequence[State], first: int, last: int | None) -> Answer:
    """`edits` from one state to another, in either direction: bag, key, before and after, with secrets hidden.

    last: None for now. Raises HistoryError for a state that is not kept.
    """
    last = _newest(states) if last is None else last
    for number in (first, last):
        _check(states, number)
    edits = between(min(first, last), max(first, last), states)
    if last < first:
        edits = {place: Edit(edit.after, edit.before) for place, edit in edits.items()}
    return {
        "first": first,
        "last": last,
        "edits": [
            {"bag": bag, "key": key, "before": _without_secrets(edit.before), "after": _without_secrets(edit.after)}
            for (bag, key), edit in edits.items()
        ],
    }


def rollback(states: Sequence[State], number: int, now: Now) -> bytes:
    """The command that brings a state back. Raises HistoryError where that is not possible."""
    _check(states, number)
    return _restore(back_to(number, states, now))


def revert(states: Sequence[State], numbers: Sequence[int], now: Now) -> bytes:
    """The command that undoes some commands and leaves what came after them. Raises HistoryError."""
    for number in numbers:
        if number not in {state.number for state in states}:
            raise HistoryError(f"state {number} is not kept; vrouter history lists those that are")
    return _restore(without(numbers, states, now))


def _restore(bags: Entries) -> bytes:
    return json.dumps({"type": TYPE, "bags": bags}).encode()


def _newest(states: Sequence[State]) -> int:
    return states[-1].number if states else 0


def _check(states: Sequence[State], number: int) -> None:
    first = states[0].number - 1 if states else 0
    if not first <= number <= _newest(states):
        kept = f"states {first} to {_newest(states)} are" if states else "nothing is"
        raise HistoryError(f"state {number} is not kept; {kept}")


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "***" if _SECRET.search(key) and not isinstance(part, dict | list) else _without_secrets(part)
            for key, part in value.items()
        }
    return [_without_secrets(part) for part in value] if isinstance(value, list) else value
