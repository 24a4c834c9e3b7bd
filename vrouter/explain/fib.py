"""Routing as the kernel does it: rules in the order of their priority, tables by the longest prefix. Pure.

Built from the addresses, routes and rules that are wanted. From an address on a link that is up the kernel makes, in
the local table, the address itself and the broadcast address, and from the first of a subnet the route to the subnet
in main (fib_add_ifaddr). The lowest address of a subnet is a host's (Linux 5.14 on). Of two devices in one subnet the
kernel takes the one that was configured first; here it is the first by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from vrouter.model.resources import IpAddress, Link, Resource, Route, RoutingRule, Sysctl

Kind = Literal["unicast", "local", "broadcast", "throw"]

LOCAL_TABLE, MAIN_TABLE = 255, 254
LOOPBACK = "lo"
_MAIN_PRIORITY = 32766


@dataclass(frozen=True, slots=True)
class Way:
    """Where a route leads. because: the resource it comes from. via: the next hop; None where it is on the link."""

    kind: Kind
    to: IPv4Network
    device: str
    table: int
    via: IPv4Address | None = None
    because: Resource | None = None
    rule: RoutingRule | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    priority: int
    table: int
    mark: int | None = None
    source: IPv4Network | None = None
    because: RoutingRule | None = None


class Fib:
    """Addresses, routes, rules and settings of one router."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.links: dict[str, Link] = {}
        self.settings: dict[str, str] = {}
        self._tables: dict[int, dict[int, dict[int, list[Way]]]] = {}
        self._rules = [_Rule(0, LOCAL_TABLE), _Rule(_MAIN_PRIORITY, MAIN_TABLE)]
        addresses, routes = [], []
        for resource in resources:
            match resource:
                case Link(up=True):
                    self.links[resource.device] = resource
                case Sysctl():
                    self.settings[resource.name] = resource.value
                case IpAddress():
                    addresses.append(resource)
                case Route():
                    routes.append(resource)
                case RoutingRule():
                    rule = _Rule(resource.priority, resource.table, resource.mark, resource.source, resource)
                    self._rules.append(rule)
        self._rules.sort(key=lambda rule: rule.priority)
        self.addressed = {address.device for address in addresses}
        self._add(Way("local", IPv4Network("127.0.0.0/8"), LOOPBACK, LOCAL_TABLE))
        for address in sorted(addresses, key=lambda address: address.key):
            if address.device in self.links:
                self._add_address(address)
        for route in sorted(routes, key=lambda route: route.metric):
            if route.kind == "throw" or route.device in self.links:
                self._add(Way(route.kind, route.to, route.device, route.table, route.via, route))

    def _add_address(self, address: IpAddress) -> None:
        net = IPv4Network(f"{address.address}/{address.prefix}", strict=False)
        self._add(Way("local", IPv4Network(address.address), address.device, LOCAL_TABLE, because=address))
        if address.prefix < 31:
            last = IPv4Network(net.broadcast_address)
            self._add(Way("broadcast", last, address.device, LOCAL_TABLE, because=address))
        if address.prefix < 32 and address.primary:
            self._add(Way("unicast", net, address.device, MAIN_TABLE, because=address))

    def _add(self, way: Way) -> None:
        nets = self._tables.setdefault(way.table, {}).setdefault(way.to.prefixlen, {})
        nets.setdefault(int(way.to.network_address), []).append(way)

    def lookup(self, to: IPv4Address, source: IPv4Address, mark: int = 0, device: str = "") -> Way | None:
        """The way to an address (fib_lookup). source, mark: what rules look at. device: ways through this one only."""
        for rule in self._rules:
            if (rule.mark is None or rule.mark == mark) and (rule.source is None or source in rule.source):
                way = next(self._matching(rule.table, int(to), device), None)
                if way and way.kind != "throw":
                    return Way(way.kind, way.to, way.device, way.table, way.via, way.because, rule.because)
        return None

    def _matching(self, table: int, to: int, device: str) -> Iterator[Way]:
        """The longest prefix first."""
        lengths = self._tables.get(table, {})
        for length in sorted(lengths, reverse=True):
            for way in lengths[length].get(to >> (32 - length) << (32 - length), ()):
                if not device or way.kind == "throw" or way.device == device:
                    yield way

    def forwards(self) -> bool:
        """Whether packets of others are sent on at all; off until vrouter wants it on."""
        return self.settings.get("net/ipv4/ip_forward") == "1"

    def reverse_path(self, device: str) -> int:
        """The larger one of the device's rp_filter and that of all: 0 off, 1 strict, 2 loose (ip-sysctl)."""
        names = (f"net/ipv4/conf/{name}/rp_filter" for name in ("all", device))
        return max(int(self.settings.get(name, "0")) for name in names)

    def reaches(self, source: IPv4Address, destination: IPv4Address, mark: int, device: str) -> bool:
        """`fib saddr . mark . iif oif` before routing: whether the way back is the device's (nft_fib_ipv4.c)."""
        if device == LOOPBACK:
            return True
        if is_zero(source) and (is_limited(destination) or destination in _LINK_MULTICAST):
            return True
        nobody = destination.is_multicast or is_limited(destination) or is_zero(destination)
        way = self.lookup(source, _UNSPECIFIED if nobody else destination, mark)
        return way is not None and way.kind != "local" and way.device == device


_UNSPECIFIED = IPv4Address("0.0.0.0")
_LINK_MULTICAST = IPv4Network("224.0.0.0/24")


def is_zero(address: IPv4Address) -> bool:
    """No address; the rest of 0.0.0.0/8 are addresses like others (Linux 5.3 on)."""
    return int(address) == 0


def is_limited(address: IPv4Address) -> bool:
    """The limited broadcast address."""
    return int(address) == 0xFFFFFFFF
