"""Answers as text for people. Pure, and free of the engine, so that a thin client can print what an agent says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vrouter.errors import Fault

Answer = dict[str, Any]


def plain(name: str) -> str:
    """A file's name on one line: quoted where it holds control characters or bytes that are no text."""
    return name if name.isprintable() else repr(name)


def answer_text(found: Answer) -> str:
    """For people: each file with its changes or its faults, then what waits."""
    lines: list[str] = []
    changes = list(found["changes"])
    for file in found["files"]:
        lines.append(file_text(file))
        lines += changes_text(changes[: file["changes"]])
        del changes[: file["changes"]]
    lines += changes_text(changes)
    lines += [f"  pending: {item['origin']} waits for {item['needs']}" for item in found["pending"]]
    return "\n".join(lines) or "nothing to change"


def file_text(file: Mapping[str, Any]) -> str:
    """What became of one file: refused with its faults, or how much it changes."""
    if file["refused"]:
        return "\n".join([f"{plain(file['file'])} refused:", *(f"  {Fault(**fault)}" for fault in file["faults"])])
    count = f"{file['changes']} change{'' if file['changes'] == 1 else 's'}"
    return f"{plain(file['file'])}: {count if file['changes'] else 'nothing to change'}"


def changes_text(changes: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """One line a change: `+` added, `-` removed, `~` changed."""
    for change in changes:
        sign = {"add": "+", "remove": "-", "change": "~"}[change["action"]]
        content = " -> ".join(text for text in (change.get("before"), change.get("after")) if text)
        origin = f"  ({change['origin']})" if "origin" in change else ""
        yield f"  {sign} {change['kind']} {change['name']}{': ' + content if content else ''}{origin}"
