"""Routing tables, policy rules and routes (contract dataplane 2.2)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from ipaddress import IPv4Network

from vrouter.contracts import Handler, whole
from vrouter.model.intents import Address, ControlAddress, GuestAddress, Intent, Intents, PublicAddress, RouterFacts
from vrouter.model.machine import Machine
from vrouter.model.marks import mark_of, primary, ranked
from vrouter.model.resources import File, Resource, Route, RoutingRule
from vrouter.model.values import ANY_NETWORK

MAIN = 254  # rtnetlink(7), RT_TABLE_MAIN
BY_MARK, BY_SOURCE = 1000, 2000  # fixed priorities, before main's 32766, plus the device's number (RT-10)


def device(intent: Intent) -> Hashable:
    """A table a public device."""
    return intent.device if isinstance(intent, PublicAddress) else None


def table_resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """Table 100 + N: default through the device's gateway; `throw` for what the main table decides (RT-1, RT-2)."""
    facts = intents.one(RouterFacts)
    addresses = ranked(intents.of(PublicAddress), facts)
    if not addresses or not machine.has(addresses[0].device):
        return
    first = addresses[0]
    table = mark_of(first.device)
    own = sorted({address.network for address in addresses})
    inner = {address.network for address in intents.of(GuestAddress, ControlAddress)}
    yield RoutingRule(priority=BY_MARK + table, table=table, mark=table, origin=first.origin)
    for net in own:
        yield RoutingRule(priority=BY_SOURCE + table, table=table, source=net, origin=first.origin)
    for net in sorted({*own, *inner}):
        yield Route(table=table, to=net, kind="throw", origin=first.origin)
    via = _through(addresses)
    if via:
        yield Route(
            table=table, to=ANY_NETWORK, kind="unicast", device=first.device, via=via.gateway, origin=via.origin
        )


def _through(addresses: list[PublicAddress]) -> PublicAddress | None:
    return next((a for a in addresses if a.gateway and a.gateway in a.network), None)


def main_resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """The default route (RT-7), the management networks (IF-15), and the names of the tables."""
    facts = intents.one(RouterFacts)
    publics = [address for address in intents.of(PublicAddress) if machine.has(address.device)]
    devices = sorted({address.device for address in publics}, key=mark_of)
    routes: dict[IPv4Network, Route] = {}
    if facts and facts.gateway:
        for address in publics:
            if facts.gateway in address.network:
                routes[ANY_NETWORK] = _route(ANY_NETWORK, address, facts)
                break
    if not routes and devices:
        via = _through(ranked((a for a in publics if a.device == devices[0]), facts))
        if via:
            routes[ANY_NETWORK] = Route(
                table=MAIN, to=ANY_NETWORK, kind="unicast", device=via.device, via=via.gateway, origin=via.origin
            )
    control = primary((a for a in intents.of(ControlAddress) if machine.has(a.device)), facts)
    if facts and facts.local_gateway and control and facts.local_gateway in control.network:
        for net in facts.management:
            routes[net] = Route(
                table=MAIN, to=net, kind="unicast", device=control.device, via=facts.local_gateway, origin=facts.origin
            )
    yield from routes.values()
    if devices:
        names = "".join(f"{mark_of(name)} Table_{name}\n" for name in devices)
        yield File(path=machine.settings.rt_tables, text=f"# written by vrouter\n{names}")


def _route(to: IPv4Network, address: Address, facts: RouterFacts) -> Route:
    return Route(
        table=MAIN, to=to, kind="unicast", device=address.device, via=facts.gateway, origin=facts.origin
    )  # fmt: skip


TABLES = Handler(
    name="routing tables",
    takes=(PublicAddress,),
    scope=device,
    resources=table_resources,
    context=(RouterFacts, GuestAddress, ControlAddress),
)
MAIN_TABLE = Handler(
    name="main routes", takes=(PublicAddress, ControlAddress, RouterFacts), scope=whole, resources=main_resources
)
