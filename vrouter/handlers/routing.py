"""Routing tables, policy rules and routes (contract dataplane 2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from vrouter.contracts import Handler, whole
from vrouter.model.intents import ControlAddress, GuestAddress, Intents, PublicAddress, RouterFacts
from vrouter.model.machine import Machine
from vrouter.model.marks import by_device, by_subnet, mark_of, rank
from vrouter.model.resources import File, Resource, Route, RoutingRule
from vrouter.model.values import ANY_NETWORK

MAIN = 254  # rtnetlink(7), RT_TABLE_MAIN
BY_MARK, BY_SOURCE = 1000, 2000  # fixed priorities, before main's 32766, plus the device's number (RT-10)


def table_resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """Table 100 + N: default through the device's gateway; `throw` for what the main table decides (RT-1, RT-2)."""
    first = intents.one(PublicAddress)
    if not first or not machine.has(first.device):
        return
    table = mark_of(first.device)
    yield RoutingRule(priority=BY_MARK + table, table=table, mark=table, origin=first.origin)
    for net in sorted({address.network for address in intents.of(GuestAddress, ControlAddress)}):
        yield Route(table=table, to=net, kind="throw", origin=first.origin)
    via = _through(intents.of(PublicAddress))
    if via:
        yield Route(
            table=table, to=ANY_NETWORK, kind="unicast", device=first.device, via=via.gateway, origin=via.origin
        )


def subnet_resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """What comes from a public subnet looks into the device's table, where the subnet itself is left to main."""
    first = intents.one(PublicAddress)
    if first and machine.has(first.device):
        table = mark_of(first.device)
        yield RoutingRule(priority=BY_SOURCE + table, table=table, source=first.network, origin=first.origin)
        yield Route(table=table, to=first.network, kind="throw", origin=first.origin)


def _through(addresses: Iterable[PublicAddress]) -> PublicAddress | None:
    return next((a for a in addresses if a.gateway and a.gateway in a.network), None)


def main_resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """The default route, by the gateway of the boot arguments or of the first device (RT-7); the tables' names."""
    facts = intents.one(RouterFacts)
    named = {address.device for address in intents.of(PublicAddress)}
    devices = sorted(filter(machine.has, named), key=mark_of)
    if not devices:
        return
    gateway = facts.gateway if facts else None
    by_boot = (a for a in intents.of(PublicAddress) if gateway and a.device in devices and gateway in a.network)
    by_device = (address for address in intents.of(PublicAddress) if address.device == devices[0])
    if facts and (out := next(by_boot, None)):
        yield _route(ANY_NETWORK, out.device, gateway, facts.origin)
    elif via := _through(by_device):
        yield _route(ANY_NETWORK, via.device, via.gateway, via.origin)
    names = "".join(f"{mark_of(name)} Table_{name}\n" for name in devices)
    yield File(path=machine.settings.rt_tables, text=f"# written by vrouter\n{names}")


def management_resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """The way to the management networks (IF-15)."""
    facts = intents.one(RouterFacts)
    control = next((address for address in intents.of(ControlAddress) if machine.has(address.device)), None)
    if facts and facts.local_gateway and control and facts.local_gateway in control.network:
        for net in facts.management:
            yield _route(net, control.device, facts.local_gateway, facts.origin)


def _route(to: IPv4Network, device: str, via: IPv4Address | None, origin: str) -> Route:
    return Route(table=MAIN, to=to, kind="unicast", device=device, via=via, origin=origin)


TABLES = Handler(
    name="routing tables",
    takes=(PublicAddress,),
    scope=by_device,
    resources=table_resources,
    context=(RouterFacts, GuestAddress, ControlAddress),
    order=rank,
)
SUBNETS = Handler(
    name="public subnets",
    takes=(PublicAddress,),
    scope=by_subnet,
    resources=subnet_resources,
    context=(RouterFacts,),
    order=rank,
)
MAIN_TABLE = Handler(
    name="main routes",
    takes=(PublicAddress,),
    scope=whole,
    resources=main_resources,
    context=(RouterFacts,),
    order=rank,
)
MANAGEMENT = Handler(
    name="management routes",
    takes=(ControlAddress,),
    scope=whole,
    resources=management_resources,
    context=(RouterFacts,),
    order=rank,
)
