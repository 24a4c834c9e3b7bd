"""Everything that is wanted, kept so that a change of one entry costs that entry. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from vrouter.contracts import Handler, whole
from vrouter.model.intents import Intent, Intents
from vrouter.model.machine import Machine
from vrouter.model.resources import Key, Resource

Source = tuple[str, str]  # bag and key of the entry that an intent comes from
Scope = tuple[int, Hashable]  # place of the handler in its list, and the handler's own scope
Asked = Mapping[Source, tuple[Intent, ...]]


@dataclass
class Wanted:
    """handlers: in the order of their registration. Resources of two scopes may meet at one key; the scope that comes
    first in a sorted list of scopes wins, so that the result does not depend on history."""

    handlers: tuple[Handler, ...]
    machine: Machine
    _scopes: dict[Scope, dict[Source, tuple[Intent, ...]]] = field(default_factory=dict)
    _context: dict[int, dict[Source, tuple[Intent, ...]]] = field(default_factory=dict)
    _made: dict[Scope, tuple[Key, ...]] = field(default_factory=dict)
    _claims: dict[Key, dict[Scope, Resource]] = field(default_factory=dict)
    resources: dict[Key, Resource] = field(default_factory=dict)
    _asked: dict[Source, tuple[Intent, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._decide({(place, ()) for place, handler in enumerate(self.handlers) if handler.scope is whole})

    def change(self, asked: Asked) -> dict[Key, Resource | None]:
        """Take entries' new intents (none for an entry that is gone); what was wanted before at every key that this
        touches, so that the caller can tell the difference."""
        awake: set[Scope] = set()
        for source, intents in asked.items():
            before = self._asked.get(source, ())
            if before == intents and [i.origin for i in before] == [i.origin for i in intents]:
                continue
            for place, handler in enumerate(self.handlers):
                awake |= self._move(place, handler, source, before, intents)
            if intents:
                self._asked[source] = intents
            else:
                self._asked.pop(source, None)
        return self._decide(awake)

    def intents(self) -> Intents:
        """All that is asked for."""
        return Intents(intent for intents in self._asked.values() for intent in intents)

    def _move(
        self, place: int, handler: Handler, source: Source, before: Iterable[Intent], after: tuple[Intent, ...]
    ) -> set[Scope]:
        awake: set[Scope] = set()
        for intent in before:
            if isinstance(intent, handler.takes):
                scope = (place, handler.scope(intent))
                self._scopes.get(scope, {}).pop(source, None)
                awake.add(scope)
        for intent in after:
            if isinstance(intent, handler.takes):
                scope = (place, handler.scope(intent))
                members = self._scopes.setdefault(scope, {})
                members[source] = (*members.get(source, ()), intent)
                awake.add(scope)
        if handler.context:
            held = self._context.setdefault(place, {})
            old = held.pop(source, ())
            new = tuple(intent for intent in after if isinstance(intent, handler.context))
            if new:
                held[source] = new
            if old != new:
                awake |= {scope for scope in self._scopes if scope[0] == place}
                awake |= {(place, ())} if handler.scope is whole else set()
        return awake

    def _decide(self, awake: set[Scope]) -> dict[Key, Resource | None]:
        touched: dict[Key, Resource | None] = {}
        for scope in awake:
            place, own = scope
            if own is None:
                continue
            handler = self.handlers[place]
            members = self._scopes.get(scope, {})
            if not members:
                self._scopes.pop(scope, None)
            made: dict[Key, Resource] = {}
            if members or handler.scope is whole:
                intents = Intents([*_in_order(members), *_in_order(self._context.get(place, {}))])
                made = {resource.key: resource for resource in handler.resources(intents, self.machine)}
            for key in self._made.pop(scope, ()):
                self._claims[key].pop(scope, None)
                touched.setdefault(key, self.resources.get(key))
            for key, resource in made.items():
                self._claims.setdefault(key, {})[scope] = resource
                touched.setdefault(key, self.resources.get(key))
            if made:
                self._made[scope] = tuple(made)
        for key in touched:
            claims = self._claims.get(key)
            if claims:
                self.resources[key] = claims[min(claims, key=repr)] if len(claims) > 1 else next(iter(claims.values()))
            else:
                self._claims.pop(key, None)
                self.resources.pop(key, None)
        return touched


def _in_order(members: Mapping[Source, tuple[Intent, ...]]) -> Iterable[Intent]:
    return (intent for source in sorted(members) for intent in members[source])
