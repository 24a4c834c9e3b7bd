"""What a router is asked for and how it stands, entry by entry, for those who show it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from vrouter.model.bag import Entries
from vrouter.model.intents import Intents
from vrouter.model.machine import Machine
from vrouter.model.resources import Resource
from vrouter.pending import Pending
from vrouter.plan import Holding, Plan

State = Literal["in effect", "pending", "differs", "overruled", "foreign"]


@dataclass(frozen=True)
class Standing:
    """How an entry stands. detail: what it waits for, or how the machine differs."""

    state: State
    detail: str = ""

    def fields(self, origin: str) -> dict[str, str]:
        """As every row of an entry says it."""
        return {"state": self.state, "detail": self.detail, "origin": origin}


IN_EFFECT = Standing("in effect")
_WORSE = ("in effect", "overruled", "pending", "foreign", "differs")


@dataclass(frozen=True)
class View:
    """All that is wanted, and what is apart from it. drift: what would make the machine equal again."""

    intents: Intents
    want: Holding
    machine: Machine
    pending: tuple[Pending, ...]
    drift: Plan
    bags: Mapping[str, Entries]

    def standing(self, origin: str) -> Standing:
        """Of one entry: drift counts more than what it waits for."""
        if origin in self._apart:
            return Standing("differs", self._apart[origin])
        if origin in self._needs:
            return Standing("pending", self._needs[origin])
        return IN_EFFECT

    def of(self, resource: Resource) -> Standing:
        """Of one resource that is wanted."""
        change = next((change for change in self.drift.changes if change.key == resource.key), None)
        return Standing("differs", _how(change.before)) if change else IN_EFFECT

    def foreign(self, *kind: str) -> Iterator[Resource]:
        """What the machine holds among ours and no databag asks for. kind: the first parts of its key."""
        return (one for one in self.drift.remove if one.key[: len(kind)] == kind)

    @cached_property
    def makes(self) -> frozenset[str]:
        """The entries of which at least one element of the packet policy comes."""
        return frozenset(resource.origin for resource in self.want.values() if resource.key[0] == "element")

    @cached_property
    def _needs(self) -> dict[str, str]:
        needs: dict[str, list[str]] = {}
        for item in self.pending:
            needs.setdefault(item.origin, []).append(item.needs)
        return {origin: ", ".join(items) for origin, items in needs.items()}

    @cached_property
    def _apart(self) -> dict[str, str]:
        apart: dict[str, list[str]] = {}
        for change in self.drift.changes:
            if change.after and change.after.origin:
                text = f"{change.key[0]} {_how(change.before)}"
                texts = apart.setdefault(change.after.origin, [])
                if text not in texts:
                    texts.append(text)
        return {origin: ", ".join(texts) for origin, texts in apart.items()}


def _how(before: Resource | None) -> str:
    return f"is {before.describe() or 'other'}" if before else "missing"


def worst(standings: list[Standing]) -> Standing:
    """The one that says most of a group; in effect where there is none."""
    return max(standings, key=lambda one: _WORSE.index(one.state), default=IN_EFFECT)
