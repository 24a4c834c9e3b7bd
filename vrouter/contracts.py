"""The two seams: what a feature gives to the pipeline, and what a handler gives."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from vrouter.model.bag import Changes, Entries, Entry
from vrouter.model.intents import Intent, Intents
from vrouter.model.json import JsonObject
from vrouter.model.machine import Machine
from vrouter.model.resources import Resource

E = TypeVar("E", bound=Entry)

Bags = Mapping[str, Entries]


@dataclass(frozen=True, kw_only=True)
class Bag(Generic[E]):
    """One databag: how its JSON becomes entries and back, and what an entry asks of the router.

    name: the file's name without `.json`. entry: the class of its entries; their fields are JSON. load: raises
    ValueError where the JSON has another shape than the contract's. dump: the JSON of all entries, in the reference's
    shape. desired: total, for whatever `load` or a merge made.
    """

    name: str
    entry: type[E]
    load: Callable[[JsonObject], dict[str, E]]
    dump: Callable[[Mapping[str, E]], JsonObject]
    desired: Callable[[E, Machine], Iterable[Intent]]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command type: what its document changes.

    bags: the names of the bags its merge reads or changes. merge: pure; raises Refused for what a schema cannot say.
    """

    type: str
    bags: tuple[str, ...]
    merge: Callable[[JsonObject, Bags, Machine], Mapping[str, Changes]]


@dataclass(frozen=True, kw_only=True)
class Handler:
    """One service: the intents it takes, and what they need on a machine.

    scope: intents of one scope are decided together, and a change of one wakes only its scope; None leaves it out.
    context: types that every scope sees whole; a change of one wakes all scopes, so they are the rare ones.
    order: in which a scope's intents come, where the context is this; without one, as their entries' keys do.
    """

    name: str
    takes: tuple[type[Intent], ...]
    scope: Callable[[Intent], Hashable]
    resources: Callable[[Intents, Machine], Iterable[Resource]]
    context: tuple[type[Intent], ...] = ()
    order: Callable[[Intent, Intents], object] | None = None


def whole(_: Intent) -> Hashable:
    """The scope of a handler that decides on all its intents together."""
    return ()
