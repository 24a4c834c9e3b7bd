"""Numbers and choices that several handlers share (contract dataplane 1.2 and 2.1)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

from vrouter.model.intents import Address, Intent, Intents, RouterFacts

A = TypeVar("A", bound=Address)

DEFAULT_MTU = 1500  # contract dataplane 1.2


def mark_of(device: str) -> int:
    """100 + N for ethN: packet mark, connection mark and number of the routing table (contract dataplane 1.2)."""
    digits = device.removeprefix("eth")
    return 100 + (int(digits) if digits.isdecimal() else 0)


def by_device(intent: Intent) -> Hashable:
    """The scope of what a device has once: its MTU, its mark, its table."""
    return intent.device if isinstance(intent, Address) else None


def by_subnet(intent: Intent) -> Hashable:
    """The scope of what each subnet of a device has once: its primary address, its routing rule."""
    return (intent.device, intent.network) if isinstance(intent, Address) else None


def rank(intent: Intent, context: Intents) -> tuple[int, ...]:
    """The order of a device's addresses, the primary one first: flagged for source NAT, else of the boot arguments,
    else in the order of the bag (IF-5, K8, design 4a)."""
    return _rank(intent, context.one(RouterFacts)) if isinstance(intent, Address) else ()


def _rank(address: Address, facts: RouterFacts | None) -> tuple[int, ...]:
    number = int(address.address)  # quicker to compare
    boot = bool(facts and facts.boot_public and int(facts.boot_public) == number)
    return not address.source_nat, not boot, address.order, number


def ranked(addresses: Iterable[A], facts: RouterFacts | None) -> list[A]:
    """A device's addresses in that order."""
    return sorted(addresses, key=lambda address: _rank(address, facts))


def primary(addresses: Iterable[A], facts: RouterFacts | None) -> A | None:
    """The first of them."""
    return min(addresses, key=lambda address: _rank(address, facts), default=None)


def mtu_of(device: str, addresses: Iterable[Address], facts: RouterFacts | None) -> int:
    """Bytes: of the device's addresses, the primary one first; else of the boot arguments; else 1500 (IF-12)."""
    boot = dict(facts.mtu) if facts else {}
    return next((a.mtu for a in addresses if a.mtu), None) or boot.get(device, DEFAULT_MTU)
