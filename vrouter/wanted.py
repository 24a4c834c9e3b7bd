"""Everything that is wanted, kept so that a change of one entry costs that entry. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vrouter.contracts import Handler, whole
from vrouter.model.intents import Intent, Intents
from vrouter.model.machine import Machine
from vrouter.model.resources import Key, Resource

Source = tuple[str, str]  # bag and key of the entry that an intent comes from
Scope = tuple[int, Hashable]  # place of the handler in its list, and the handler's own scope
Asked = Mapping[Source, tuple[Intent, ...]]


class Members:
    """Intents in their order: by rank, then as their entries' keys say. To take or lose one is no walk over all."""

    __slots__ = ("_keys", "intents")

    def __init__(self) -> None:
        self._keys: list[tuple[Any, Source, int]] = []
        self.intents: list[Intent] = []

    def add(self, intent: Intent, rank: object, source: Source, number: int) -> None:
        """number: of the intent among those of its entry."""
        key = (rank, source, number)
        place = bisect_left(self._keys, key)
        self._keys.insert(place, key)
        self.intents.insert(place, intent)

    def drop(self, rank: object, source: Source, number: int) -> None:
        """By what it was added with."""
        place = bisect_left(self._keys, (rank, source, number))
        del self._keys[place], self.intents[place]

    def rank(self, rank: Callable[[Intent], object]) -> None:
        """Anew."""
        held = sorted(
            ((rank(intent), source, number), place, intent)
            for place, ((_, source, number), intent) in enumerate(zip(self._keys, self.intents, strict=True))
        )
        self._keys, self.intents = [key for key, _, _ in held], [intent for _, _, intent in held]


_NONE = Members()


@dataclass
class Wanted:
    """handlers: in the order of their registration. Resources of two scopes may meet at one key; the handler that comes
    first wins, of one handler the scope that does in a sorted list, so that the result does not depend on history."""

    handlers: tuple[Handler, ...]
    machine: Machine
    _scopes: dict[Scope, Members] = field(default_factory=dict)
    _context: dict[int, Members] = field(default_factory=dict)
    _made: dict[Scope, tuple[Key, ...]] = field(default_factory=dict)
    _claims: dict[Key, dict[Scope, Resource]] = field(default_factory=dict)
    resources: dict[Key, Resource] = field(default_factory=dict)
    _asked: dict[Source, tuple[Intent, ...]] = field(default_factory=dict)
    _places: dict[type[Intent], tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._context |= {place: Members() for place in range(len(self.handlers))}
        self._decide({(place, ()) for place, handler in enumerate(self.handlers) if handler.scope is whole})

    def change(self, asked: Asked) -> dict[Key, Resource | None]:
        """Take entries' new intents (none for an entry that is gone); what was wanted before at every key that this
        touches, so that the caller can tell the difference."""
        awake: set[Scope] = set()
        for source, intents in asked.items():
            before = self._asked.get(source, ())
            if before == intents and [i.origin for i in before] == [i.origin for i in intents]:
                continue
            for place in {place for intent in (*before, *intents) for place in self._concerned(type(intent))}:
                awake |= self._move(place, self.handlers[place], source, before, intents)
            if intents:
                self._asked[source] = intents
            else:
                self._asked.pop(source, None)
        return self._decide(awake)

    def intents(self) -> Intents:
        """All that is asked for."""
        return Intents([intent for intents in self._asked.values() for intent in intents])

    def _concerned(self, kind: type[Intent]) -> tuple[int, ...]:
        """The handlers that take intents of a type, or look at them."""
        if kind not in self._places:
            self._places[kind] = tuple(
                place
                for place, handler in enumerate(self.handlers)
                if issubclass(kind, (*handler.takes, *handler.context))
            )
        return self._places[kind]

    def _move(
        self, place: int, handler: Handler, source: Source, before: tuple[Intent, ...], after: tuple[Intent, ...]
    ) -> set[Scope]:
        awake: set[Scope] = set()
        for number, intent, scope in self._taken(place, handler, before):
            self._scopes[scope].drop(self._rank(place, intent), source, number)
            awake.add(scope)
        for number, intent, scope in self._taken(place, handler, after):
            self._scopes.setdefault(scope, Members()).add(intent, self._rank(place, intent), source, number)
            awake.add(scope)
        if handler.context and self._tell(place, handler, source, before, after):
            awake |= {scope for scope in self._scopes if scope[0] == place}
            awake |= {(place, ())} if handler.scope is whole else set()
        return awake

    @staticmethod
    def _taken(place: int, handler: Handler, intents: Iterable[Intent]) -> Iterator[tuple[int, Intent, Scope]]:
        for number, intent in enumerate(intents):
            if isinstance(intent, handler.takes):
                own = handler.scope(intent)
                if own is not None:
                    yield number, intent, (place, own)

    def _rank(self, place: int, intent: Intent) -> object:
        order = self.handlers[place].order
        return order(intent, Intents(self._context[place].intents)) if order else None

    def _tell(
        self, place: int, handler: Handler, source: Source, before: tuple[Intent, ...], after: tuple[Intent, ...]
    ) -> bool:
        """Change a handler's context, and the order that depends on it; whether there was something to change."""
        old = [(number, intent) for number, intent in enumerate(before) if isinstance(intent, handler.context)]
        new = [(number, intent) for number, intent in enumerate(after) if isinstance(intent, handler.context)]
        if old == new:
            return False
        for number, _ in old:
            self._context[place].drop(None, source, number)
        for number, intent in new:
            self._context[place].add(intent, None, source, number)
        if handler.order:
            for scope, members in self._scopes.items():
                if scope[0] == place:
                    members.rank(partial(self._rank, place))
        return True

    def _decide(self, awake: set[Scope]) -> dict[Key, Resource | None]:
        touched: dict[Key, Resource | None] = {}
        for scope in awake:
            place, _ = scope
            handler = self.handlers[place]
            members = self._scopes.get(scope, _NONE).intents
            if not members:
                self._scopes.pop(scope, None)
            made: dict[Key, Resource] = {}
            if members or handler.scope is whole:
                intents = Intents(self._context[place].intents, members)  # the few first: they are asked for first
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
                scope = min(claims, key=_first) if len(claims) > 1 else next(iter(claims))
                self.resources[key] = claims[scope]
            else:
                self._claims.pop(key, None)
                self.resources.pop(key, None)
        return touched


def _first(scope: Scope) -> tuple[int, str]:
    return scope[0], repr(scope[1])
