"""Command `restore`: entries of any bag as they were in an earlier state. Operators send it, by `vrouter rollback`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrouter.contracts import Bag, Bags, Command
from vrouter.errors import Fault, Refused
from vrouter.model.bag import Changes, Entry
from vrouter.model.history import unpack
from vrouter.model.json import JsonObject, JsonValue
from vrouter.model.machine import Machine

TYPE = "restore"


def command(bags: Mapping[str, Bag[Any]]) -> Command:
    """The command over these bags."""

    def merge(document: JsonObject, _: Bags, __: Machine) -> Mapping[str, Changes]:
        """Each named entry becomes what is given, or goes. Raises Refused for what its bag could not read back."""
        faults: list[Fault] = []
        changes: dict[str, dict[str, Entry | None]] = {}
        for name, entries in _members(document["bags"]):
            for key, packed in _members(entries):
                try:
                    entry = None if packed is None else _entry(bags[name], key, packed)
                except (KeyError, ValueError, TypeError, AttributeError) as error:
                    faults.append(Fault(f"bags.{name}[{key!r}]", "", f"an entry of that bag: {error}"))
                else:
                    changes.setdefault(name, {})[key] = entry
        if faults:
            raise Refused(faults)
        return changes

    return Command(type=TYPE, bags=tuple(bags), merge=merge)


def _entry(bag: Bag[Any], key: str, packed: JsonValue) -> Entry:
    if not isinstance(packed, dict):
        raise ValueError("not an object")
    entry: Entry = unpack(bag.entry, packed)
    if list(bag.load(bag.dump({key: entry}))) != [key]:
        raise ValueError("its key is another")
    return entry


def _members(value: JsonValue) -> list[tuple[str, JsonValue]]:
    return list(value.items()) if isinstance(value, dict) else []
