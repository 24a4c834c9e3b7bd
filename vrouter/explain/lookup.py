"""Elements of sets and maps found by the values of a packet: by hash where all atoms are exact, else by bisection."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate

from vrouter.model.resources import Key, Resource
from vrouter.model.table import Element, NamedSet

Span = tuple[int, int]


def bound(text: str) -> int:
    """A value in the order of its type: an address or a number; a name, of a device or protocol, by its letters."""
    if not text[:1].isdigit():
        return int.from_bytes(text.encode())
    if "." not in text:
        return int(text)
    a, b, c, d = text.split(".")
    return (int(a) << 24) + (int(b) << 16) + (int(c) << 8) + int(d)


def span(atom: str) -> Span:
    """First and last value of an atom; the same where it is exact."""
    low, dash, high = atom.partition("-") if atom[:1].isdigit() else (atom, "", "")
    first = bound(low)
    return (first, bound(high)) if dash else (first, first)


def holds(atom: str, value: str) -> bool:
    """Whether an atom, or the range it is, holds the value of one field."""
    low, high = span(atom)
    return low <= bound(value) <= high


class Sets:
    """The sets and maps among some resources. The resources' keys are the index of exact sets; one of an interval set
    is made when it is first looked up."""

    def __init__(self, resources: Mapping[Key, Resource]) -> None:
        self._resources = resources
        self._boxes: dict[str, Boxes] = {}

    def find(self, name: str, values: Sequence[str]) -> Element | None:
        """The element that holds the values, one a field."""
        if not self._is_interval(name):
            found = self._resources.get(("element", name, *values))
            return found if isinstance(found, Element) else None
        if name not in self._boxes:
            self._boxes[name] = Boxes(self._members.get(name, ()))
        return self._boxes[name].find(values)

    def others(self, name: str, values: Sequence[str]) -> list[Element]:
        """The elements of an interval set that hold all values but the last, in the order of their keys."""
        found = [
            element
            for element in self._members.get(name, ())
            if all(
                atom == value or ("-" in atom and holds(atom, value))
                for atom, value in zip(element.atoms[:-1], values[:-1], strict=True)
            )
            and not holds(element.atoms[-1], values[-1])
        ]
        return sorted(found, key=lambda element: element.key)

    def _is_interval(self, name: str) -> bool:
        named = self._resources.get(("set", name)) or self._resources.get(("map", name))
        return isinstance(named, NamedSet) and named.interval

    @cached_property
    def _members(self) -> dict[str, list[Element]]:
        members: dict[str, list[Element]] = {}
        for key, resource in self._resources.items():
            if key[0] == "element" and isinstance(resource, Element) and self._is_interval(resource.set):
                members.setdefault(resource.set, []).append(resource)
        return members


class Boxes:
    """Elements with ranges. Places where every element is exact are hashed, as canonical texts; of the others
    the first is bisected, the rest are compared. Where elements overlap, which a kernel refuses, the one with the
    lowest key is found. Ranges are read only where a packet comes near them."""

    def __init__(self, elements: Sequence[Element]) -> None:
        places = range(len(elements[0].atoms) if elements else 0)
        self._ranged = [place for place in places if any("-" in element.atoms[place] for element in elements)]
        self._exact = [place for place in places if place not in self._ranged]
        self._held: dict[tuple[str, ...], list[Element]] = {}
        for element in elements:
            self._held.setdefault(tuple([element.atoms[place] for place in self._exact]), []).append(element)
        self._groups: dict[tuple[str, ...], _Group] = {}

    def find(self, values: Sequence[str]) -> Element | None:
        """The element that holds the values, one a field."""
        key = tuple(values[place] for place in self._exact)
        if key not in self._held:
            return None
        if key not in self._groups:
            self._groups[key] = _Group(self._held[key], self._ranged)
        return self._groups[key].find([bound(values[place]) for place in self._ranged])


class _Group:
    """Elements that differ in their ranges only, in the order of the first one's low end."""

    def __init__(self, elements: Iterable[Element], places: Sequence[int]) -> None:
        self._held = sorted(
            ((tuple(span(element.atoms[place]) for place in places), element) for element in elements),
            key=lambda item: (item[0], item[1].key),
        )
        self._lows = [box[0][0] for box, _ in self._held if box]
        highs = (box[0][1] for box, _ in self._held if box)
        self._highs = list(accumulate(highs, max))  # the highest end of any up to here

    def find(self, values: Sequence[int]) -> Element | None:
        if not values:
            return self._held[0][1]
        found = []
        place = bisect_right(self._lows, values[0]) - 1
        while place >= 0 and self._highs[place] >= values[0]:
            box, element = self._held[place]
            if all(low <= value <= high for (low, high), value in zip(box, values, strict=True)):
                found.append(element)
            place -= 1
        return min(found, key=lambda element: element.key, default=None)
