"""What the packet policy has to know of devices and addresses: roles, marks, networks, source NAT."""

from __future__ import annotations

from collections.abc import Iterator

from vrouter.contracts import Handler, whole
from vrouter.model import boxes
from vrouter.model.intents import (
    ControlAddress,
    EgressDefault,
    GuestAddress,
    Intents,
    PublicAddress,
    RouterFacts,
)
from vrouter.model.machine import Machine
from vrouter.model.marks import by_device, mark_of, rank
from vrouter.model.resources import Resource
from vrouter.model.table import Element

CONTROL = "eth1"  # control device of the kind `router` (contract dataplane 1.1)


def guest_resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """Guest networks and what their guests may ask of the router; the default verdict on what leaves."""
    facts = intents.one(RouterFacts)
    guests = sorted(intents.of(GuestAddress), key=lambda guest: (guest.device, guest.order, guest.address))
    nets = boxes.union(((boxes.of_network(guest.network),), guest.origin) for guest in guests)
    for (net,), origin in nets:
        yield Element(set="guest_net", atoms=(boxes.addresses_text(net),), origin=origin)
    for device in sorted({guest.device for guest in guests}):
        first = next(guest for guest in guests if guest.device == device)
        yield Element(set="guest_if", atoms=(device,), origin=first.origin)
        yield Element(set="hairpin", atoms=(device, device), value=(str(first.address),), origin=first.origin)
        own = boxes.union(
            ((boxes.of_network(guest.network),), guest.origin) for guest in guests if guest.device == device
        )
        for (net,), origin in own:
            atoms = (device, boxes.addresses_text(net))
            yield Element(set="guest_from", atoms=atoms, origin=origin)
            if not (facts and facts.external_dns_only):  # DN-7
                yield Element(set="guest_dns", atoms=atoms, origin=origin)
        default = intents.one(EgressDefault)
        if default and default.allow:
            yield Element(set="egress_open", atoms=(device,), origin=default.origin)
    if facts and facts.expose_dns and not facts.external_dns_only:
        for guest in guests:
            yield Element(set="dns_exposed", atoms=(str(guest.address),), origin=facts.origin)


def control_resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """Where SSH is let in; the usual device where no bag says one, so that a closed policy keeps the door (SU-2)."""
    found = {address.device: address.origin for address in intents.of(ControlAddress)}
    for device, origin in (found or {CONTROL: ""}).items():
        yield Element(set="control_if", atoms=(device,), origin=origin)


def public_resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """The mark of a public device, whether its sources are checked, and the address that guests leave with (SN-1)."""
    facts = intents.one(RouterFacts)
    first = intents.one(PublicAddress)
    if first is None:
        return
    yield Element(set="public_if", atoms=(first.device,), value=(str(mark_of(first.device)),), origin=first.origin)
    yield Element(set="source_nat", atoms=(first.device,), value=(str(first.address),), origin=first.origin)
    if facts and facts.check_source:
        yield Element(set="public_strict", atoms=(first.device,), origin=facts.origin)


GUEST = Handler(
    name="guest policy", takes=(GuestAddress, RouterFacts, EgressDefault), scope=whole, resources=guest_resources
)
CONTROL_DOOR = Handler(name="control policy", takes=(ControlAddress,), scope=whole, resources=control_resources)
PUBLIC = Handler(
    name="public policy",
    takes=(PublicAddress,),
    scope=by_device,
    resources=public_resources,
    context=(RouterFacts,),
    order=rank,
)
