"""The past for people. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from vrouter.answers import Answer, plain

_SIGNS = {"added": "+", "changed": "~", "removed": "-"}


def history_text(found: Answer, now: str) -> str:
    """One line a state, newest first. now: the present as the times are written, to leave out its day."""
    lines = ["state  time                  what it edited                        command"]
    for state in reversed(found["states"]):
        time = state["time"][11:19] if state["time"][:10] == now[:10] else state["time"][:19].replace("T", " ")
        edits = ", ".join(f"{bag} {_counts(counts)}" for bag, counts in state["edits"].items())
        lines.append(f"{state['number']:>5}  {time:<20}  {edits:<36}  {state['type']}  {plain(state['file'])}")
    return "\n".join(lines) if len(lines) > 1 else "no command has edited anything yet"


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{_SIGNS[kind]}{count}" for kind, count in counts.items() if count)


def difference_text(found: Answer) -> str:
    """Each entry that differs; of a changed one the fields that do."""
    lines = [f"from state {found['first']} to state {found['last']}:"]
    for edit in found["edits"]:
        before, after = edit["before"], edit["after"]
        sign = "~" if before and after else "+" if after else "-"
        lines.append(f"  {sign} {edit['bag']} {edit['key']}")
        lines += [f"      {line}" for line in _fields(before or {}, after or {})]
    return "\n".join(lines) if len(lines) > 1 else f"{lines[0]} no difference"


def _fields(before: Mapping[str, Any], after: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        where = f"{at}.{name}" if at else name
        if old == new:
            continue
        if isinstance(old or {}, dict) and isinstance(new or {}, dict) and (old or new):
            yield from _fields(old or {}, new or {}, "" if name == "raw" else where)
        elif before and after:
            yield f"{where}: {_value(old)} -> {_value(new)}"
        else:
            yield f"{where}: {_value(new if after else old)}"


def _value(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)
