"""Which connections a plan ends: those that only a removed address, forward or static NAT explained (PO-4). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from vrouter.model.resources import IpAddress, Resource
from vrouter.model.table import Element
from vrouter.plan import Plan


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
    """What an element explains: connections to `public`, of a protocol and ports where it names them, that `guest`
    answers; of a static NAT (`both`) also those that the guest opened."""

    public: IPv4Address
    guest: IPv4Address
    protocol: str = ""
    ports: tuple[int, int] = (0, 65535)
    both: bool = False

    def explains(self, connection: Connection) -> bool:
        """Whether the connection was translated by it."""
        if self.protocol not in ("", connection.protocol):
            return False
        inbound = connection.destination == self.public and connection.answers == self.guest
        if inbound:
            return not self.protocol or self.ports[0] <= connection.port <= self.ports[1]
        return self.both and connection.source == self.guest and connection.answered == self.public


@dataclass(frozen=True)
class Ending:
    """What to end. addresses: connections to or from an address that is gone, whatever translated them."""

    addresses: frozenset[IPv4Address]
    gone: tuple[Translation, ...]
    kept: tuple[Translation, ...]

    def __bool__(self) -> bool:
        return bool(self.addresses or self.gone)

    @property
    def publics(self) -> frozenset[IPv4Address]:
        """The addresses to look for as destination of a request."""
        return self.addresses | {translation.public for translation in self.gone}

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


def ending(plan: Plan) -> Ending:
    """From what a plan takes away, less what it puts in its place."""
    addresses = set(_addresses(plan.remove)) - set(_addresses(plan.put))
    gone = [t for change in plan.changes for t in _translations(change.before)]
    kept = [t for change in plan.changes for t in _translations(change.after)] if gone else []
    return Ending(frozenset(addresses), tuple(gone), tuple(kept))


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
        yield Translation(
            IPv4Address(public), IPv4Address(resource.value[0]), protocol, (int(first), int(last or first))
        )
