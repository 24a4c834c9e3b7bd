"""Devices and their addresses (contract dataplane 2.1, 2.3)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial
from ipaddress import IPv4Address

from vrouter.contracts import Handler
from vrouter.model.intents import Address, Intent, Intents, PublicAddress, RouterFacts
from vrouter.model.machine import Machine
from vrouter.model.marks import by_device, by_subnet, mtu_of, rank
from vrouter.model.resources import IpAddress, Link, Resource, Sysctl


def link_resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """Nothing for a device that is not there yet (IF-4)."""
    facts = intents.one(RouterFacts)
    first = intents.one(Address)
    if first and machine.has(first.device):
        yield Link(device=first.device, mtu=mtu_of(first.device, intents.of(Address), facts), origin=first.origin)
        yield Sysctl(name=f"net/ipv4/conf/{first.device}/rp_filter", value=_reverse_path(first, facts))


def alone(intent: Intent) -> Hashable:
    """Each address is there whatever the others are."""
    return (intent.device, intent.address) if isinstance(intent, Address) else None


def address_resources(intents: Intents, machine: Machine, primary: bool) -> Iterator[Resource]:
    """The first address of a scope; for the same one the primary goes before."""
    first = intents.one(Address)
    if first and machine.has(first.device):
        yield IpAddress(
            device=first.device, address=first.address, prefix=first.network.prefixlen, primary=primary,
            announce=_neighbour(first), origin=first.origin,
        )  # fmt: skip


def _reverse_path(address: Address, facts: RouterFacts | None) -> str:
    """Strict on guest and control; on public ones the packet policy checks, because strict kills DNAT there (RP-5)."""
    if not isinstance(address, PublicAddress):
        return "1"
    return "2" if facts and facts.check_source else "0"


def _neighbour(address: Address) -> IPv4Address:
    """Whom the gratuitous ARP is aimed at: the gateway, or itself where there is none (IF-10)."""
    gateway = address.gateway
    return gateway if gateway and gateway in address.network else address.address


LINKS = Handler(
    name="links", takes=(Address,), scope=by_device, resources=link_resources, context=(RouterFacts,), order=rank
)
PRIMARIES = Handler(
    name="primary addresses",
    takes=(Address,),
    scope=by_subnet,
    resources=partial(address_resources, primary=True),
    context=(RouterFacts,),
    order=rank,
)
ADDRESSES = Handler(
    name="addresses", takes=(Address,), scope=alone, resources=partial(address_resources, primary=False)
)
