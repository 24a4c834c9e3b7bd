"""The topology that commands or databags imply: the shape of `isolated`, made to measure (design 4a). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from vrouter.lab.claims import Claims, GuestClaim
from vrouter.lab.topology import ZONE, Nic, Node, Route, Service, Topology, guest
from vrouter.lab.wiring import Device, wired
from vrouter.model.values import ANY_NETWORK, HostName, Mac

INTERNET = "internet"
"""The segment behind upstream, where public1 is."""

_WEB = frozenset({Service.WEB})
_INTERNETS = tuple(
    IPv4Network(text)
    for text in ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", *(f"198.18.{n}.0/24" for n in range(256)))
)  # RFC 5737, RFC 2544: the first that nothing else uses is the world's
_UPSTREAM, _PUBLIC, _DNS = 1, 11, 53  # hosts in it
_LONGEST_HOST_NAME = 64  # sethostname(2)
_TRIED = 4096  # hosts of a network that are looked at for a free address


@dataclass(frozen=True)
class Derived:
    """A topology, and what it had to leave out, for people."""

    topology: Topology
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Range:
    """A network that upstream is on. ours: public, so that hosts live there."""

    segment: str
    network: IPv4Network
    gateways: tuple[IPv4Address, ...]
    ours: bool


def derive(claims: Claims, name: str) -> Derived:
    """Router, guests, and the world around them. name: of the topology; total for whatever was claimed."""
    world = _World(claims, wired(claims.nics, guests=bool(claims.guests)))
    nodes = tuple(world.nodes())
    segments = dict.fromkeys(nic.segment for node in nodes for nic in node.nics)
    topology = Topology(name=name, segments=tuple(segments), nodes=nodes)
    return Derived(topology, (*claims.notes, *world.notes))


@dataclass
class _World:
    claims: Claims
    devices: Sequence[Device]
    notes: list[str] = field(default_factory=list)
    _macs: set[Mac] = field(default_factory=set)
    _used: set[IPv4Address] = field(default_factory=set)
    _made: int = 0

    def nodes(self) -> Iterator[Node]:
        """The router first, guests last; addresses are given in this order, so that a re-run gives the same."""
        claimed = (guest.address for guest in self.claims.guests if guest.address)
        self._own = {address.ip for device in self.devices for address in device.addresses}
        self._ranges = list(_ranges(self.devices))
        outside = {gateway for each in self._ranges for gateway in each.gateways}
        self._used = {*self._own, *claimed, *self.claims.resolvers, *outside}
        self._macs = {mac for mac in (*(d.mac for d in self.devices), *(g.mac for g in self.claims.guests)) if mac}
        yield self._router()
        guests = list(self._guests())
        self._internet = _internet(self.devices, self.claims)
        upstream = self._upstream() if self._ranges else None
        dns = self._dns()
        publics = list(self._publics(upstream)) if upstream else []
        if upstream:
            yield self._serving(upstream, dns, publics)
        yield from self._control()
        yield from publics
        if dns:
            yield replace(dns, names=self._names(publics))
        yield from guests

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _router(self) -> Node:
        nics = [Nic(device=d.name, segment=d.segment, mac=d.mac or self._mac()) for d in self.devices]
        return Node(name="router", hostname=HostName("router"), router=True, nics=tuple(nics))

    def _guests(self) -> Iterator[Node]:
        taken = {device.mac for device in self.devices}
        homes = [device for device in self.devices if device.role == "guest"]
        number = 0
        for claim in self.claims.guests:
            if claim.mac in taken:
                self.notes.append(f"{claim.where} mac_address: {claim.mac} is the router's own; the entry has no guest")
                continue
            number += 1
            home = next((d for d in homes if any(_holds(net, claim.address) for net in d.networks)), None)
            if home is None and claim.address:
                what = f"{claim.where} ipv4_address: {claim.address} is in no guest network"
                self.notes.append(f"{what}; guest{number} is on segment {homes[0].segment}")
            yield guest(f"guest{number}", claim.mac, _host_name(claim), (home or homes[0]).segment)

    def _upstream(self) -> Node:
        by_segment: dict[str, list[IPv4Interface]] = {}
        for each in self._ranges:
            own = list(each.gateways)
            if not any(gateway in each.network for gateway in own):
                own += [first] if (first := self._free(each.network, 1)) else []
            by_segment.setdefault(each.segment, []).extend(
                IPv4Interface(f"{address}/{each.network.prefixlen}") for address in own
            )
        by_segment[INTERNET] = [self._at(_UPSTREAM)]
        nics = [
            Nic(device=f"eth{place}", segment=segment, mac=self._mac(), addresses=tuple(dict.fromkeys(addresses)))
            for place, (segment, addresses) in enumerate(by_segment.items())
        ]
        return Node(name="upstream", hostname=HostName("upstream"), forwards=True, services=_WEB, nics=tuple(nics))

    def _control(self) -> Iterator[Node]:
        nics: list[Nic] = []
        for device in (device for device in self.devices if device.role == "control"):
            inside = [gateway for gateway in device.gateways if gateway not in self._used]
            held = [
                IPv4Interface(f"{address}/{network.prefixlen}")
                for network in device.networks[:1]
                if (address := next((g for g in inside if g in network), None) or self._free(network, 1))
            ]
            nics.append(Nic(device=f"eth{len(nics)}", segment=device.segment, mac=self._mac(), addresses=tuple(held)))
        if nics:
            yield Node(name="control", hostname=HostName("control"), services=_WEB, nics=tuple(nics))

    def _publics(self, upstream: Node) -> Iterator[Node]:
        """public1 behind upstream, then one on the second and each further range."""
        yield self._public(1, INTERNET, self._at(_PUBLIC), self._at(_UPSTREAM).ip)
        for place, each in enumerate([each for each in self._ranges if each.ours][1:], start=2):
            address = self._free(each.network, 12)
            via = next((a.ip for nic in upstream.nics for a in nic.addresses if a.network == each.network), None)
            if address and via:
                interface = IPv4Interface(f"{address}/{each.network.prefixlen}")
                yield self._public(place, each.segment, interface, via)
            else:
                self.notes.append(f"{each.network} has no room for a host: there is no public{place}")

    def _public(self, number: int, segment: str, address: IPv4Interface, via: IPv4Address) -> Node:
        return Node(
            name=f"public{number}",
            hostname=HostName(f"public{number}"),
            services=_WEB,
            nics=(Nic(device="eth0", segment=segment, mac=self._mac(), addresses=(address,)),),
            routes=(Route(to=ANY_NETWORK, via=via),),
        )

    def _dns(self) -> Node | None:
        """The node that has the addresses of the router's DNS servers; one outside every network is behind upstream."""
        held: dict[str, list[IPv4Interface]] = {}
        via: list[IPv4Address] = []
        gateways = {gateway for each in self._ranges for gateway in each.gateways}
        guests = {guest.address for guest in self.claims.guests}
        for server in self.claims.resolvers:
            if server in gateways:
                continue  # upstream serves it
            home = next(((d, net) for d in self.devices for net in d.networks if _holds(net, server)), None)
            if server in self._own or server in guests or not _unicast(server) or not (home or self._ranges):
                self.notes.append(f"DNS server {server}: nothing answers there")
            elif home:
                device, network = home
                held.setdefault(device.segment, []).append(IPv4Interface(f"{server}/{network.prefixlen}"))
                near = [ip for ip in (*device.gateways, *sorted(self._own)) if ip in network and ip != server]
                via += near[:1]
            else:
                world = held.setdefault(INTERNET, [self._at(_DNS)])
                world.append(IPv4Interface(f"{server}/32"))
        if not held:
            return None
        if INTERNET in held:
            via.insert(0, self._at(_UPSTREAM).ip)
        nics = [
            Nic(device=f"eth{place}", segment=segment, mac=self._mac(), addresses=tuple(addresses))
            for place, (segment, addresses) in enumerate(held.items())
        ]
        routes = tuple(Route(to=ANY_NETWORK, via=gateway) for gateway in via[:1])
        services = frozenset({Service.WEB, Service.DNS})
        return Node(name="dns", hostname=HostName("dns"), services=services, nics=tuple(nics), routes=routes)

    def _serving(self, upstream: Node, dns: Node | None, publics: Sequence[Node]) -> Node:
        """upstream with the way to DNS servers out in the world, or DNS itself where a gateway is the server."""
        world = [a.ip for nic in (dns.nics if dns else ()) if nic.segment == INTERNET for a in nic.addresses[1:]]
        routes = tuple(Route(to=IPv4Network(address), via=self._at(_DNS).ip) for address in world)
        gateways = {gateway for each in self._ranges for gateway in each.gateways}
        own = gateways & set(self.claims.resolvers)
        if own:
            upstream = replace(upstream, services=upstream.services | {Service.DNS}, names=self._names(publics))
        return replace(upstream, routes=routes)

    def _names(self, publics: Sequence[Node]) -> tuple[tuple[HostName, IPv4Address], ...]:
        found = {"www": publics[0].nics[0].addresses[0].ip} if publics else {}
        found |= {node.name: node.nics[0].addresses[0].ip for node in publics}
        if self.claims.resolvers:
            found["ns"] = self.claims.resolvers[0]
        return tuple((HostName(f"{label}.{ZONE}"), address) for label, address in found.items())

    # -- addresses and MACs -------------------------------------------------------------------------------------------

    def _at(self, host: int) -> IPv4Interface:
        return IPv4Interface(f"{self._internet[host]}/{self._internet.prefixlen}")

    def _free(self, network: IPv4Network, wish: int) -> IPv4Address | None:
        """An address that nobody has; the `wish`-th of the network where it can be had. None where there is no room."""
        hosts = [network[wish]] if wish < network.num_addresses - 1 else []
        hosts += [network[place] for place in range(1, min(network.num_addresses - 1, _TRIED))]
        address = next((host for host in hosts if host not in self._used), None)
        if address:
            self._used.add(address)
        return address

    def _mac(self) -> Mac:
        """One that nobody has; of a range for local use (IEEE 802)."""
        while True:
            self._made += 1
            mac = Mac(f"02:00:4c:ff:{self._made >> 8:02x}:{self._made & 255:02x}")
            if mac not in self._macs:
                return mac


def _ranges(devices: Sequence[Device]) -> Iterator[_Range]:
    """Each public network once, and each guest network that has a gateway which is not the router."""
    seen: set[tuple[str, IPv4Network]] = set()
    own = {address.ip for device in devices for address in device.addresses}
    for device in devices:
        for network in device.networks if device.role != "control" else ():
            ours = device.role == "public"
            alone = len(device.networks) == 1  # then a gateway outside the network can only be its own
            gateways = [g for g in device.gateways if g not in own and (g in network or (alone and ours))]
            if (ours or gateways) and (device.segment, network) not in seen:
                seen.add((device.segment, network))
                yield _Range(device.segment, network, tuple(gateways), ours)


def _internet(devices: Sequence[Device], claims: Claims) -> IPv4Network:
    """A network for the world that overlaps none of the router's; where those take all, one that has no address."""
    networks = [network for device in devices for network in device.networks]
    addresses = {address.ip for device in devices for address in device.addresses} | set(claims.resolvers)
    addresses |= {gateway for device in devices for gateway in device.gateways}
    empty = [net for net in _INTERNETS if not any(address in net for address in addresses)]
    free = (net for net in empty if not any(net.overlaps(other) for other in networks))
    return next(free, empty[0] if empty else _INTERNETS[0])


def _host_name(claim: GuestClaim) -> HostName | None:
    if claim.hostname is None or len(claim.hostname) <= _LONGEST_HOST_NAME:
        return claim.hostname
    return HostName(claim.hostname.split(".")[0])


def _holds(network: IPv4Network, address: IPv4Address | None) -> bool:
    return address is not None and address in network


def _unicast(address: IPv4Address) -> bool:
    return not (address.is_loopback or address.is_multicast or address.is_unspecified or address.is_reserved)
