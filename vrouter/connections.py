"""Which connections a plan ends: those that only a removed address, forward or static NAT explained (PO-4). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from vrouter.model.resources import IpAddress, Resource
from vrouter.model.table import Element
from vrouter.plan import Holding, Plan

_MOST_PORTS = 8  # the kernel walks its whole table for each
_OVERLAPPING = ("forward_from", "forward_range", "forward_range_from", "static_dnat")


@dataclass(frozen=True)
class Connection:
    """A tracked connection: protocol `tcp`, `udp`, or a number; who opened it, to what, and who answers to whom."""

    protocol: str
    source: IPv4Address
    destination: IPv4Address
    port: int
    answers: IPv4Address
    answered: IPv4Address


@dataclass(frozen=True)
class Translation:
    """What an element explains: connections to `public`, of a protocol, ports and sources where it names them, that
    `guest` answers; of a static NAT (`both`) also those that the guest opened."""

    public: IPv4Address
    guest: IPv4Address
    protocol: str = ""
    ports: tuple[int, int] = (0, 65535)
    sources: tuple[IPv4Address, IPv4Address] = (IPv4Address(0), IPv4Address(2**32 - 1))
    both: bool = False

    def is_single(self) -> bool:
        """Whether it speaks of one port."""
        return bool(self.protocol) and self.ports[0] == self.ports[1]

    def explains(self, connection: Connection) -> bool:
        """Whether the connection was translated by it."""
        if self.protocol not in ("", connection.protocol):
            return False
        inbound = connection.destination == self.public and connection.answers == self.guest
        if inbound and self.protocol:
            port = self.ports[0] <= connection.port <= self.ports[1]
            return port and self.sources[0] <= connection.source <= self.sources[1]
        if inbound:
            return True
        return self.both and connection.source == self.guest and connection.answered == self.public


@dataclass(frozen=True)
class Ending:
    """What to end. addresses: connections to or from an address that is gone, whatever translated them."""

    addresses: frozenset[IPv4Address] = frozenset()
    gone: tuple[Translation, ...] = ()
    kept: tuple[Translation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.addresses or self.gone)

    @property
    def inward(self) -> frozenset[tuple[IPv4Address, str, int]]:
        """What to look for as destination of a request: address, protocol and port; without them all of the address.

        A busy router has a hundred thousand connections to one address, and looking at each takes seconds.
        """
        ports = {(one.public, one.protocol, one.ports[0]) for one in self.gone if one.is_single()}
        whole = self.addresses | {one.public for one in self.gone if not one.is_single()}
        whole |= {public for public, count in Counter(public for public, _, _ in ports).items() if count > _MOST_PORTS}
        return frozenset({(public, "", 0) for public in whole} | {one for one in ports if one[0] not in whole})

    @property
    def outward(self) -> frozenset[IPv4Address]:
        """The addresses to look for as destination of an answer."""
        return self.addresses | {translation.public for translation in self.gone if translation.both}

    def ends(self, connection: Connection) -> bool:
        """Whether nothing explains the connection any more."""
        if connection.destination in self.addresses or connection.answered in self.addresses:
            return True
        if any(translation.explains(connection) for translation in self.kept):
            return False
        return any(translation.explains(connection) for translation in self.gone)


def ending(plan: Plan, want: Holding) -> Ending:
    """From what a plan takes away, less what explains the same connections afterwards (PF-10)."""
    addresses = set(_addresses(plan.remove)) - set(_addresses(plan.put))
    gone = [t for change in plan.changes for t in _translations(change.before)]
    kept = list(_standing(gone, plan, want)) if gone else []
    return Ending(frozenset(addresses), tuple(gone), tuple(kept))


def _standing(gone: Iterable[Translation], plan: Plan, want: Holding) -> Iterator[Translation]:
    """What the plan puts, and what stands beside it: ranges and sources overlap; single ports are found by key."""
    for change in plan.changes:
        yield from _translations(change.after)
    for one in gone:
        if one.is_single():
            port = str(one.ports[0])
            yield from _translations(want.get(("element", "forward_port", str(one.public), one.protocol, port)))
    for key, resource in want.items():
        if key[0] == "element" and key[1] in _OVERLAPPING:
            yield from _translations(resource)


def _addresses(resources: Iterable[Resource]) -> Iterator[IPv4Address]:
    for resource in resources:
        if isinstance(resource, IpAddress):
            yield resource.address
        elif isinstance(resource, Element) and resource.set == "public_addr":
            yield IPv4Address(resource.atoms[0])


def _translations(resource: object) -> Iterator[Translation]:
    if not isinstance(resource, Element):
        return
    if resource.set == "static_dnat":
        yield Translation(IPv4Address(resource.atoms[0]), IPv4Address(resource.value[0]), both=True)
    elif resource.set.startswith("forward_"):
        public, protocol, ports = resource.atoms[:3]
        first, _, last = ports.partition("-")
        lowest, _, highest = (resource.atoms[3] if len(resource.atoms) > 3 else "0.0.0.0-255.255.255.255").partition(
            "-"
        )
        yield Translation(
            public=IPv4Address(public),
            guest=IPv4Address(resource.value[0]),
            protocol=protocol,
            ports=(int(first), int(last or first)),
            sources=(IPv4Address(lowest), IPv4Address(highest or lowest)),
        )
