"""Bags and their changes, apart from what their entries mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vrouter.model.json import JsonValue


class Entry(Protocol):
    """The smallest thing a command changes: one rule, one host, one address.

    raw: the JSON value as it was received, unknown fields included; it is what the bag's file holds.
    """

    @property
    def raw(self) -> JsonValue: ...


# A bag's entries by key, in the order of its file.
Entries = Mapping[str, Entry]

# What a merge changes in one bag: the new entry by key, or None to drop it.
Changes = Mapping[str, Entry | None]


def updated(entries: Entries, changes: Changes) -> dict[str, Entry]:
    """The bag after its changes; pure. A replaced entry keeps its place."""
    result = dict(entries)
    for key, entry in changes.items():
        if entry is None:
            result.pop(key, None)
        else:
            result[key] = entry
    return result


def replaced(entries: dict[str, Entry], changes: Changes) -> dict[str, Entry | None]:
    """Change a bag in place, at the cost of the changes; what takes them back."""
    before = {key: entries.get(key) for key in changes}
    for key, entry in changes.items():
        if entry is None:
            entries.pop(key, None)
        else:
            entries[key] = entry
    return before


def effective(entries: Entries, changes: Changes) -> dict[str, Entry | None]:
    """Only the changes that change something, so that a repeated command is no work (K7)."""
    return {key: entry for key, entry in changes.items() if entries.get(key) != entry}
