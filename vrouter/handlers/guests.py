"""One guest in dnsmasq's host directories: its lease and its name (contract dataplane 6)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from ipaddress import IPv4Address

from vrouter.contracts import Handler
from vrouter.model.intents import DhcpHost, GuestAddress, Intent, Intents, SubnetGateway, Tier
from vrouter.model.machine import Machine
from vrouter.model.resources import File, HostRecord, Resource
from vrouter.render import render

_WORD = re.compile(r"ignore|infinite|[0-9]*[smhdw]?", re.IGNORECASE)
"""What dnsmasq reads as an order or a time in place of a name (dnsmasq(8), --dhcp-host)."""


def address(intent: Intent) -> Hashable:
    """Each guest alone."""
    return intent.address if isinstance(intent, DhcpHost) else None


def resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """Tags only where the guest differs from its subnet: without them the daemon can re-read in place."""
    host = intents.one(DhcpHost)
    if host is None:
        return
    tags = []
    if not host.default:
        tags.append("nodefault")  # DH-5
    elif host.gateway == IPv4Address(0):
        tags.append("nogateway")  # DH-4
    elif host.gateway and host.gateway != _gateway(host, intents):
        tags += ["gateway", _tag("gw", host.gateway)]
    options = f"{machine.settings.dnsmasq_dir}/options"
    if host.gateway and "gateway" in tags:
        text = render("dnsmasq/gateway.j2", tag=_tag("gw", host.gateway), gateway=host.gateway)
        yield File(path=f"{options}/{_tag('gw', host.gateway)}", text=text, origin=host.origin)
    if host.routes:
        tag = _tag("routes", host.address)
        tags.append(tag)
        default = host.gateway if host.default and host.gateway != IPv4Address(0) else None
        text = render("dnsmasq/routes.j2", tag=tag, routes=host.routes, default=default)
        yield File(path=f"{options}/{tag}", text=text, origin=host.origin)
    yield HostRecord(
        address=host.address,
        lease=render("dnsmasq/lease.j2", host=host, tags=tags, label=_label(host)),
        names=render("dnsmasq/names.j2", host=host),
        tagged=bool(tags),
        origin=host.origin,
    )


def _label(host: DhcpHost) -> str:
    """The name in the lease; none where the daemon would take it for something else: then it finds the name itself,
    by the address."""
    label = host.name.split(".")[0]
    return "" if _WORD.fullmatch(label) else label


def _gateway(host: DhcpHost, intents: Intents) -> IPv4Address | None:
    """What the guest's subnet offers; None where the subnet is not there yet."""
    guest = next((guest for guest in intents.of(GuestAddress) if host.address in guest.network), None)
    if guest is None:
        return host.gateway
    tier = next((t for t in intents.of(Tier) if t.device == guest.device and t.gateway in guest.network), None)
    said = next((item for item in intents.of(SubnetGateway) if item.router == guest.address), None)
    return tier.gateway if tier else said.gateway if said else guest.address


def _tag(kind: str, address: IPv4Address) -> str:
    return f"{kind}-{str(address).replace('.', '-')}"


HANDLER = Handler(
    name="guests",
    takes=(DhcpHost,),
    scope=address,
    resources=resources,
    context=(GuestAddress, Tier, SubnetGateway),
)
