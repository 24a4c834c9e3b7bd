"""What a picture of a router shows, read from its databags. Pure.

All values are texts for people: what the packet policy cannot read of a foreign bag is shown all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from vrouter.features import BAGS
from vrouter.model.bag import Entries
from vrouter.model.intents import Address, ControlAddress, DhcpHost, GuestAddress, Intents, RouterFacts
from vrouter.model.json import JsonObject, JsonValue
from vrouter.model.machine import Machine

BALANCER_BAG = "loadbalancer"
"""Shown where its file is there, whether or not this version balances (contract commands 4.14)."""

_DEVICE = re.compile(r"eth([0-9]+)")


@dataclass(frozen=True)
class Guest:
    """A DHCP entry. forwards: how many rules lead to it. static_nat: its public address, or empty."""

    name: str
    address: str
    mac: str
    forwards: int = 0
    static_nat: str = ""


@dataclass(frozen=True)
class Network:
    """One network of one interface. role: `public`, `control` or `guest`. addresses: the router's own, each with a word
    on its use. gateway: of the router itself, or empty."""

    role: str
    device: str
    network: str
    addresses: tuple[tuple[str, str], ...]
    gateway: str = ""
    guests: tuple[Guest, ...] = ()


@dataclass(frozen=True)
class Forward:
    """A port forward. ports: one, or `first-last`. sources: networks, or empty for any."""

    public: str
    protocol: str
    ports: str
    guest: str
    guest_name: str
    guest_ports: str
    sources: str = ""


@dataclass(frozen=True)
class StaticNat:
    """One-to-one NAT."""

    public: str
    guest: str
    guest_name: str


@dataclass(frozen=True)
class Balancer:
    """A listener of the balancer. servers: each `address:port`, with its guest's name where it has one."""

    name: str
    listens: str
    servers: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """strays: guests whose address is in no guest network."""

    router: str
    domain: str
    networks: tuple[Network, ...]
    strays: tuple[Guest, ...]
    forwards: tuple[Forward, ...]
    static_nats: tuple[StaticNat, ...]
    balancers: tuple[Balancer, ...]

    @property
    def guests(self) -> tuple[Guest, ...]:
        """All of them, those of a network first."""
        return (*(guest for network in self.networks for guest in network.guests), *self.strays)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def facts(bags: Mapping[str, Entries], balancer: JsonObject) -> Facts:
    """bags: entries by the name of their bag, as BAGS load them. balancer: the JSON of BALANCER_BAG, empty if none."""
    machine = Machine()
    intents = Intents(
        [
            intent
            for name, entries in bags.items()
            for entry in entries.values()
            for intent in BAGS[name].desired(entry, machine)
        ]
    )
    router = intents.one(RouterFacts)
    hosts = sorted(intents.of(DhcpHost), key=lambda host: host.address)
    names = {str(host.address): str(host.name) for host in hosts}
    rules = [entry.raw for entry in bags.get("forwardingrules", {}).values() if isinstance(entry.raw, dict)]
    forwards = tuple(sorted((_forward(raw, names) for raw in rules if raw.get("type") != "staticnat"), key=_by_public))
    static_nats = tuple(_static_nats(rules, names))
    count = Counter(forward.guest for forward in forwards)
    inside = {nat.guest: nat.public for nat in static_nats}
    guests = {
        host.address: Guest(
            str(host.name),
            str(host.address),
            str(host.mac),
            count[str(host.address)],
            inside.get(str(host.address), ""),
        )
        for host in hosts
    }
    networks = tuple(_networks(intents, guests, {nat.public: nat for nat in static_nats}))
    placed = {guest.address for network in networks for guest in network.guests}
    return Facts(
        router=str(router.name) if router else "router",
        domain=str(router.domain) if router else "",
        networks=networks,
        strays=tuple(guest for guest in guests.values() if guest.address not in placed),
        forwards=forwards,
        static_nats=static_nats,
        balancers=tuple(_balancers(balancer, names)),
    )


def _networks(
    intents: Intents, guests: Mapping[IPv4Address, Guest], static: Mapping[str, StaticNat]
) -> Iterator[Network]:
    """Public ones first, then control, then guest; by device."""
    found: dict[tuple[int, int, str, IPv4Network], list[Address]] = {}
    for address in intents.of(Address):
        rank = 2 if isinstance(address, GuestAddress) else 1 if isinstance(address, ControlAddress) else 0
        match = _DEVICE.fullmatch(address.device)
        key = (rank, int(match[1]) if match else 1 << 16, address.device, address.network)
        found.setdefault(key, []).append(address)
    homeless = dict(guests)
    for rank, _, device, network in sorted(found):
        held = sorted(found[rank, _, device, network], key=lambda a: (not a.source_nat, a.order, a.address))
        mine = [address for address in homeless if rank == 2 and address in network]
        gateway = next((str(a.gateway) for a in held if a.gateway and a.gateway != a.address), "")
        yield Network(
            role=("public", "control", "guest")[rank],
            device=device,
            network=str(network),
            addresses=tuple((str(a.address), _use(a, static.get(str(a.address)))) for a in held),
            gateway=gateway,
            guests=tuple(homeless.pop(address) for address in mine),
        )


def _use(address: Address, static: StaticNat | None) -> str:
    if address.source_nat:
        return "source NAT"
    return f"static NAT of {static.guest_name or static.guest}" if static else ""


def _forward(raw: JsonObject, names: Mapping[str, str]) -> Forward:
    guest = _text(raw, "internal_ip")
    return Forward(
        public=_text(raw, "public_ip"),
        protocol=_text(raw, "protocol"),
        ports=_ports(_text(raw, "public_ports")),
        guest=guest,
        guest_name=names.get(guest, ""),
        guest_ports=_ports(_text(raw, "internal_ports")),
        sources=", ".join(text.strip() for text in _text(raw, "source_cidr_list").split(",") if text.strip()),
    )


def _static_nats(rules: Sequence[JsonObject], names: Mapping[str, str]) -> Iterator[StaticNat]:
    for raw in sorted(rules, key=lambda raw: _numbers(_text(raw, "public_ip"))):
        if raw.get("type") == "staticnat":
            guest = _text(raw, "internal_ip")
            yield StaticNat(_text(raw, "public_ip"), guest, names.get(guest, ""))


def _balancers(bag: JsonObject, names: Mapping[str, str]) -> Iterator[Balancer]:
    """The `listen` sections of the configuration that the orchestrator sent, but not the statistics."""
    for name, words in _sections(bag):
        binds = [line[1] for line in words if line[0] == "bind" and len(line) > 1]
        servers = [line[2] for line in words if line[0] == "server" and len(line) > 2]
        if servers:
            named = (f"{names[ip]} {at}" if (ip := at.rpartition(":")[0]) in names else at for at in servers)
            yield Balancer(name, ", ".join(binds), tuple(named))


def _sections(bag: JsonObject) -> Iterator[tuple[str, list[list[str]]]]:
    configs = bag.get("config")
    for config in configs if isinstance(configs, list) else []:
        lines = config.get("configuration") if isinstance(config, dict) else None
        name, inside = "", list[list[str]]()
        for line in "\n".join(str(line) for line in (lines if isinstance(lines, list) else [])).splitlines():
            words = line.split()
            if words[:1] and not line[0].isspace():  # a section begins at the left
                if name:
                    yield name, inside
                name, inside = (words[1] if words[0] == "listen" and len(words) > 1 else ""), []
            elif words:
                inside.append(words)
        if name:
            yield name, inside


def _by_public(forward: Forward) -> tuple[list[tuple[int, str]], str, list[tuple[int, str]], str]:
    return _numbers(forward.public), forward.protocol, _numbers(forward.ports), forward.sources


def _numbers(text: str) -> list[tuple[int, str]]:
    """For sorting texts with numbers as people do."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", text)]


def _ports(text: str) -> str:
    first, _, last = text.partition(":")
    return first if first == last or not last else f"{first}-{last}"


def _text(raw: JsonObject, member: str) -> str:
    value: JsonValue = raw.get(member)
    return "" if value is None else str(value)
