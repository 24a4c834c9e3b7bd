"""dnsmasq: DHCP and DNS of the guest networks (contract dataplane 6).

What concerns one guest is in `guests.py`; this is what the daemon reads at its start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from vrouter.contracts import Handler, whole
from vrouter.model.intents import GuestAddress, Intents, RouterFacts, SubnetGateway, Tier
from vrouter.model.machine import Machine
from vrouter.model.marks import mtu_of
from vrouter.model.resources import File, Resource, Unit
from vrouter.model.values import HostName
from vrouter.render import render


@dataclass(frozen=True)
class Subnet:
    """One guest subnet as the template writes it. gateway: None for no option 3."""

    tag: str
    device: str
    router: IPv4Address
    network: str
    netmask: str
    gateway: IPv4Address | None
    servers: tuple[IPv4Address, ...]
    domain: HostName
    mtu: int


def resources(intents: Intents, machine: Machine) -> Iterator[Resource]:
    """Nothing before the boot arguments and a guest network are there."""
    facts = intents.one(RouterFacts)
    subnets = _subnets(intents, facts) if facts else []
    if not facts or not subnets:
        return
    settings = machine.settings
    config = render("dnsmasq/cloud.conf.j2", facts=facts, subnets=subnets, settings=settings,
                    domains=sorted({facts.domain, *(subnet.domain for subnet in subnets)}),
                    devices=sorted({subnet.device for subnet in subnets}))  # fmt: skip
    resolvers = render("dnsmasq/resolv.conf.j2", servers=facts.resolvers, search=None)
    names = render("dnsmasq/router.j2", router=facts.name, subnets=subnets)
    yield File(path=settings.dnsmasq_conf, text=config, origin=facts.origin)
    yield File(path=settings.dnsmasq_resolv, text=resolvers, origin=facts.origin)
    yield File(path=f"{settings.dnsmasq_dir}/names/router", text=names, origin=facts.origin)
    yield File(
        path=settings.resolv,
        text=render("dnsmasq/resolv.conf.j2", servers=facts.resolvers, search=facts.domain),
        origin=facts.origin,
    )
    stamp = hashlib.sha256(f"{settings.dnsmasq}\n{config}".encode()).hexdigest()
    yield Unit(
        name="dnsmasq",
        stamp=stamp,
        serves=tuple(IPv4Interface(f"{subnet.router}/{subnet.netmask}") for subnet in subnets),
        dns=not facts.external_dns_only,
        origin=facts.origin,
    )


def _subnets(intents: Intents, facts: RouterFacts) -> list[Subnet]:
    tiers = {tier.device: tier for tier in intents.of(Tier)}
    gateways = {item.router: item.gateway for item in intents.of(SubnetGateway)}
    guests = sorted(intents.of(GuestAddress), key=lambda guest: (guest.device, guest.order, guest.address))
    found: dict[str, Subnet] = {}
    for guest in guests:
        tier = tiers.get(guest.device)
        if tier and tier.gateway not in guest.network:
            tier = None  # an alias beside the tier
        gateway = tier.gateway if tier else gateways.get(guest.address, guest.address)
        of_device = [other for other in guests if other.device == guest.device]
        subnet = Subnet(
            tag=f"{guest.device}-{str(guest.network.network_address).replace('.', '-')}",
            device=guest.device,
            router=guest.address,
            network=str(guest.network),
            netmask=str(guest.network.netmask),
            gateway=None if gateway == IPv4Address(0) else gateway,
            servers=_servers(guest, tier, facts),
            domain=tier.domain if tier else facts.domain,
            mtu=mtu_of(guest.device, [guest, *of_device], facts),
        )
        found.setdefault(subnet.tag, subnet)
    return sorted(found.values(), key=lambda subnet: subnet.tag)  # not as they came: any history, one file


def _servers(guest: GuestAddress, tier: Tier | None, facts: RouterFacts) -> tuple[IPv4Address, ...]:
    """Option 6, in the order of contract dataplane 6.1."""
    external = tier.resolvers if tier else facts.offered
    if facts.external_dns_only:
        return external
    own = tier.gateway if tier and tier.is_gateway else guest.address
    return tuple(dict.fromkeys((own, *external)))


HANDLER = Handler(
    name="dnsmasq", takes=(RouterFacts, GuestAddress, Tier, SubnetGateway), scope=whole, resources=resources
)
