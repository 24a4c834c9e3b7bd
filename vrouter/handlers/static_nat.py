"""Public addresses in the packet policy, and one-to-one NAT (contract dataplane 3.2, 4.2)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from vrouter.contracts import Handler
from vrouter.model.intents import Intent, Intents, PublicAddress, StaticNat
from vrouter.model.machine import Machine
from vrouter.model.marks import mark_of
from vrouter.model.resources import Resource
from vrouter.model.table import Element


def public_ip(intent: Intent) -> Hashable:
    """An address and its static NAT are decided together."""
    match intent:
        case PublicAddress():
            return intent.address
        case StaticNat():
            return intent.public_ip
    return None


def resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """An address without device has no mark yet; its static NAT waits with it (ST-8)."""
    address = intents.one(PublicAddress)
    if address:
        yield Element(set="public_addr", atoms=(str(address.address),), origin=address.origin)
    nat = min(intents.of(StaticNat), key=lambda nat: nat.guest, default=None)
    if nat and address:
        public, guest = str(nat.public_ip), str(nat.guest)
        yield Element(set="static_dnat", atoms=(public,), value=(guest,), origin=nat.origin)
        yield Element(set="static_snat", atoms=(guest,), value=(public,), origin=nat.origin)
        yield Element(set="static_mark", atoms=(guest,), value=(str(mark_of(address.device)),), origin=nat.origin)


HANDLER = Handler(name="static NAT", takes=(PublicAddress, StaticNat), scope=public_ip, resources=resources)
