"""Numbers and choices that several handlers share (contract dataplane 1.2 and 2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from vrouter.model.intents import Address, RouterFacts

A = TypeVar("A", bound=Address)

DEFAULT_MTU = 1500  # contract dataplane 1.2


def mark_of(device: str) -> int:
    """100 + N for ethN: packet mark, connection mark and number of the routing table (contract dataplane 1.2)."""
    digits = device.removeprefix("eth")
    return 100 + (int(digits) if digits.isdecimal() else 0)


def ranked(addresses: Iterable[A], facts: RouterFacts | None) -> list[A]:
    """A device's addresses, the primary one first: flagged for source NAT, else of the boot arguments, else in the
    order of the bag (IF-5, K8, design 4a)."""
    boot = facts.boot_public if facts else None
    return sorted(addresses, key=lambda a: (not a.source_nat, a.address != boot, a.order, a.address))


def primary(addresses: Iterable[A], facts: RouterFacts | None) -> A | None:
    """The first of them."""
    return next(iter(ranked(addresses, facts)), None)


def mtu_of(addresses: Sequence[Address], facts: RouterFacts | None) -> int:
    """Bytes: of the addresses, the primary one first; else of the boot arguments; else 1500 (IF-12)."""
    boot = dict(facts.mtu) if facts else {}
    return next((a.mtu for a in addresses if a.mtu), None) or boot.get(addresses[0].device, DEFAULT_MTU)
