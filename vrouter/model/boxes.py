"""Boxes of integer intervals made disjoint: a kernel's interval set refuses elements that overlap. Pure.

The result depends on the boxes and their order alone, so that any history of the same rules gives the same elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

Interval = tuple[int, int]
Box = tuple[Interval, ...]
T = TypeVar("T")

PORTS: Interval = (1, 65535)
ANY_SPAN: Interval = (0, 65535)


def of_network(network: IPv4Network) -> Interval:
    """First and last address."""
    return (int(network.network_address), int(network.broadcast_address))


def addresses_text(interval: Interval) -> str:
    """The canonical atom: one address, or `lo-hi`."""
    low, high = (str(IPv4Address(bound)) for bound in interval)
    return low if low == high else f"{low}-{high}"


def numbers_text(interval: Interval) -> str:
    """The canonical atom: one number, or `lo-hi`."""
    return str(interval[0]) if interval[0] == interval[1] else f"{interval[0]}-{interval[1]}"


def union(boxes: Iterable[tuple[Box, T]]) -> list[tuple[Box, T]]:
    """Disjoint boxes that cover the same points; a box inside another vanishes, larger ones stay whole."""
    return disjoint(sorted(boxes, key=lambda item: (-_volume(item[0]), item[0])))


def disjoint(boxes: Iterable[tuple[Box, T]]) -> list[tuple[Box, T]]:
    """Disjoint boxes, each point with what comes first in the given order."""
    ranked = sorted(enumerate(boxes), key=lambda item: item[1][0][0])
    result: list[tuple[Box, T]] = []
    group: list[tuple[int, tuple[Box, T]]] = []
    end = -1
    for rank, item in ranked:
        low, high = item[0][0]
        if group and low > end:
            result += _carve([member for _, member in sorted(group, key=lambda one: one[0])])
            group, end = [], -1
        group.append((rank, item))
        end = max(end, high)
    return result + _carve([member for _, member in sorted(group, key=lambda one: one[0])])


def _carve(boxes: list[tuple[Box, T]]) -> list[tuple[Box, T]]:
    placed: list[tuple[Box, T]] = []
    for box, value in boxes:
        pieces = [box]
        for other, _ in list(placed):
            pieces = [part for piece in pieces for part in _minus(piece, other)]
        placed += [(piece, value) for piece in pieces]
    return placed


def _minus(box: Box, other: Box) -> Iterator[Box]:
    if any(high < low2 or high2 < low for (low, high), (low2, high2) in zip(box, other, strict=True)):
        yield box
        return
    rest = list(box)
    for place, (low2, high2) in enumerate(other):
        low, high = rest[place]
        if low < low2:
            yield (*rest[:place], (low, low2 - 1), *rest[place + 1 :])
        if high > high2:
            yield (*rest[:place], (high2 + 1, high), *rest[place + 1 :])
        rest[place] = (max(low, low2), min(high, high2))


def _volume(box: Box) -> int:
    volume = 1
    for low, high in box:
        volume *= high - low + 1
    return volume
