"""Devices and their addresses (contract dataplane 2.1, 2.3)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from ipaddress import IPv4Address, IPv4Network

from vrouter.contracts import Handler
from vrouter.model.intents import Address, Intent, Intents, PublicAddress, RouterFacts
from vrouter.model.machine import Machine
from vrouter.model.marks import mtu_of, ranked
from vrouter.model.resources import IpAddress, Link, Resource, Sysctl


def device(intent: Intent) -> Hashable:
    """Addresses of one device are decided together: which is primary, and the MTU."""
    return intent.device if isinstance(intent, Address) else None


def resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """Nothing for a device that is not there yet (IF-4)."""
    facts = intents.one(RouterFacts)
    addresses = ranked(intents.of(Address), facts)
    if not addresses or not machine.has(addresses[0].device):
        return
    name = addresses[0].device
    yield Link(device=name, mtu=mtu_of(addresses, facts), origin=addresses[0].origin)
    yield Sysctl(name=f"net/ipv4/conf/{name}/rp_filter", value=_reverse_path(addresses[0], facts))
    seen: set[IPv4Network] = set()
    for address in addresses:
        yield IpAddress(
            device=name, address=address.address, prefix=address.network.prefixlen,
            primary=address.network not in seen, announce=_neighbour(address), origin=address.origin,
        )  # fmt: skip
        seen.add(address.network)


def _reverse_path(address: Address, facts: RouterFacts | None) -> str:
    """Strict on guest and control; on public ones the packet policy checks, because strict kills DNAT there (RP-5)."""
    if not isinstance(address, PublicAddress):
        return "1"
    return "2" if facts and facts.check_source else "0"


def _neighbour(address: Address) -> IPv4Address:
    """Whom the gratuitous ARP is aimed at: the gateway, or itself where there is none (IF-10)."""
    gateway = address.gateway
    return gateway if gateway and gateway in address.network else address.address


HANDLER = Handler(name="links", takes=(Address,), scope=device, resources=resources, context=(RouterFacts,))
