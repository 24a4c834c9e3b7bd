"""Port forwards as elements of maps (contract dataplane 4.1)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from vrouter.contracts import Handler
from vrouter.model import boxes
from vrouter.model.boxes import Box
from vrouter.model.intents import Dnat, Intent, Intents
from vrouter.model.machine import Machine
from vrouter.model.resources import Resource
from vrouter.model.table import Element
from vrouter.model.values import ANY_NETWORK


def port(intent: Intent) -> Hashable:
    """One port is decided alone; ranges of one address and protocol together, since they may overlap."""
    if not isinstance(intent, Dnat):
        return None
    single = intent.ports.first if intent.ports.size == 1 else 0
    return (intent.public_ip, intent.protocol, single)


def resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """One element a forward and source. Of two forwards for one port in one map the narrower wins, then the one
    that sorts first; single ports, shifted ranges among them, are looked up before ranges.

    Single ports go into hash maps, ranges and sources into interval maps. The chain looks up sources first.
    """
    asked = sorted(intents.of(Dnat), key=lambda dnat: (dnat.width, dnat.ports, dnat.guest, dnat.guest_ports))
    anywhere = [(_box(dnat), dnat) for dnat in asked if dnat.sources == (ANY_NETWORK,)]
    restricted = [
        ((*_box(dnat), boxes.of_network(source)), dnat)
        for dnat in asked
        for source in dnat.sources
        if source != ANY_NETWORK
    ]
    restricted.sort(key=lambda item: (item[1].width, item[0][1][1] - item[0][1][0]))
    for box, dnat in [*boxes.disjoint(anywhere), *boxes.disjoint(restricted)]:
        yield _element(box, dnat)


def _box(dnat: Dnat) -> Box:
    return ((dnat.ports.first, dnat.ports.last),)


def _element(box: Box, dnat: Dnat) -> Element:
    sources = [boxes.addresses_text(interval) for interval in box[1:]]
    key = (str(dnat.public_ip), dnat.protocol, boxes.numbers_text(box[0]), *sources)
    if dnat.ports.size == 1:
        name = "forward_from" if sources else "forward_port"
        return Element(set=name, atoms=key, value=(str(dnat.guest), str(dnat.guest_ports.first)), origin=dnat.origin)
    name = "forward_range_from" if sources else "forward_range"
    return Element(set=name, atoms=key, value=(str(dnat.guest),), origin=dnat.origin)


HANDLER = Handler(name="port forwards", takes=(Dnat,), scope=port, resources=resources)
