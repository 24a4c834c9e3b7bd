"""What is translated, as rows of tables: one a port forward, a static NAT, a balancer. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vrouter.topology.facts import Facts

LINE = 18
"""Pixels from one line of text to the next."""


@dataclass(frozen=True)
class Row:
    """cells: text, its kind, and its share of the width. title: all of it, nothing cut."""

    cells: tuple[tuple[str, str, float], ...]
    title: str


def tables(facts: Facts) -> Iterator[tuple[str, list[Row]]]:
    """Name and rows of each table that has some."""
    forwards = [
        _row(
            (f"{forward.protocol} {forward.public}:{forward.ports}", "mono", 0.34),
            (forward.guest_name or "?", "small", 0.16),
            (f"{forward.guest}:{forward.guest_ports}", "mono", 0.26),
            (f"from {forward.sources}" if forward.sources else "", "muted", 0.24),
        )
        for forward in facts.forwards
    ]
    static = [
        _row((nat.public, "mono", 0.34), (nat.guest_name or "?", "small", 0.16), (nat.guest, "mono", 0.5))
        for nat in facts.static_nats
    ]
    balancers = [
        _row((each.listens, "mono", 0.34), (each.name, "small", 0.16), (", ".join(each.servers), "small", 0.5))
        for each in facts.balancers
    ]
    named = (("Port forwards", forwards), ("Static NAT", static), ("Balancers", balancers))
    yield from ((name, rows) for name, rows in named if rows)


def _row(*cells: tuple[str, str, float]) -> Row:
    return Row(cells, "  ".join(text for text, _, _ in cells if text))
