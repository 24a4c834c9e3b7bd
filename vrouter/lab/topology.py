"""The shape of a lab as typed values: segments, nodes, their interfaces, routes and services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from types import MappingProxyType

from vrouter.model.values import ANY_NETWORK, HostName, Mac

SWITCH = "switch"
"""The hidden node that holds one bridge per segment."""

_SEGMENT = re.compile(r"[a-z][a-z0-9-]{0,14}")
_NODE = re.compile(r"[a-z][a-z0-9-]{0,14}")
_DEVICE = re.compile(r"[a-z][a-z0-9]{0,14}")


class Service(Enum):
    """What a node runs from the start."""

    WEB = "web"  # vrouter.lab.webhost: TCP 80 and 443, UDP 7
    DNS = "dns"  # dnsmasq with the node's names, authoritative for ZONE
    DHCP = "dhcp"  # a DHCP client on eth0


@dataclass(frozen=True, kw_only=True)
class Nic:
    """A network interface in a node, its far end a port of the segment's bridge. Raises ValueError on bad names."""

    device: str
    segment: str
    mac: Mac
    addresses: tuple[IPv4Interface, ...] = ()

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"{self.device!r} is not a device name of at most 15 characters")


@dataclass(frozen=True, kw_only=True)
class Route:
    """A static route of a node; `to` 0.0.0.0/0 is the default route."""

    to: IPv4Network
    via: IPv4Address


@dataclass(frozen=True, kw_only=True)
class Node:
    """One box. Raises ValueError on a bad name.

    router: has directories, commands and settings of a router of its own; its interfaces stay down and nothing is
    configured. forwards: routes packets between its interfaces. names: what a node that serves DNS knows; any other
    name below ZONE does not exist.
    """

    name: str
    hostname: HostName
    nics: tuple[Nic, ...] = ()
    routes: tuple[Route, ...] = ()
    services: frozenset[Service] = frozenset()
    forwards: bool = False
    router: bool = False
    names: tuple[tuple[HostName, IPv4Address], ...] = ()

    def __post_init__(self) -> None:
        if not _NODE.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a node name: [a-z][a-z0-9-]*, at most 15 characters")


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Segments and the nodes on them. Raises ValueError for a name used twice and for an unknown segment."""

    name: str
    segments: tuple[str, ...]
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names) or SWITCH in names:
            raise ValueError(f"{self.name}: a node name is used twice, or is {SWITCH}")
        for segment in self.segments:
            if not _SEGMENT.fullmatch(segment):
                raise ValueError(f"{segment!r} is not a segment name of at most 15 characters")
        for nic in (nic for node in self.nodes for nic in node.nics):
            if nic.segment not in self.segments:
                raise ValueError(f"{self.name}: {nic.device} is on the unknown segment {nic.segment}")


ZONE = "example.com"
NAMES: Mapping[HostName, IPv4Address] = MappingProxyType(
    {
        HostName(f"www.{ZONE}"): IPv4Address("203.0.113.11"),
        HostName(f"public1.{ZONE}"): IPv4Address("203.0.113.11"),
        HostName(f"public2.{ZONE}"): IPv4Address("198.51.100.12"),
        HostName(f"ns.{ZONE}"): IPv4Address("192.0.2.53"),
    }
)
"""The names that the dns node of `isolated` knows."""


def guest(name: str, mac: Mac, hostname: HostName | None = None, segment: str = "guest") -> Node:
    """A guest: one interface on the segment, its address from DHCP. Raises ValueError on a bad name."""
    return Node(
        name=name,
        hostname=hostname or HostName(name),
        nics=(Nic(device="eth0", segment=segment, mac=mac),),
        services=frozenset({Service.WEB, Service.DHCP}),
    )


def _nic(device: str, segment: str, mac: str, *addresses: str) -> Nic:
    return Nic(device=device, segment=segment, mac=Mac(mac), addresses=tuple(map(IPv4Interface, addresses)))


def _default(via: str) -> tuple[Route, ...]:
    return (Route(to=ANY_NETWORK, via=IPv4Address(via)),)


def _isolated() -> Topology:
    """One guest network behind two public ranges (design 4a)."""
    web = frozenset({Service.WEB})
    router = Node(
        name="router",
        hostname=HostName("router"),
        router=True,
        nics=(
            _nic("eth0", "guest", "02:00:4c:01:00:01"),
            _nic("eth1", "control", "0e:00:a9:fe:0a:14"),
            _nic("eth2", "public", "1e:00:4c:00:00:02"),
            _nic("eth3", "public-b", "1e:00:4c:00:00:03"),
        ),
    )
    upstream = Node(
        name="upstream",
        hostname=HostName("upstream"),
        forwards=True,
        services=web,
        nics=(
            _nic("eth0", "public", "02:00:4c:ff:00:10", "192.0.2.1/24"),
            _nic("eth1", "public-b", "02:00:4c:ff:00:11", "198.51.100.1/24"),
            _nic("eth2", "internet", "02:00:4c:ff:00:12", "203.0.113.1/24"),
        ),
    )
    control = Node(
        name="control",
        hostname=HostName("control"),
        services=web,
        nics=(_nic("eth0", "control", "02:00:4c:ff:00:20", "169.254.0.1/16"),),
    )
    public1 = Node(
        name="public1",
        hostname=HostName("public1"),
        services=web,
        nics=(_nic("eth0", "internet", "02:00:4c:ff:00:31", "203.0.113.11/24"),),
        routes=_default("203.0.113.1"),
    )
    public2 = Node(
        name="public2",
        hostname=HostName("public2"),
        services=web,
        nics=(_nic("eth0", "public-b", "02:00:4c:ff:00:32", "198.51.100.12/24"),),
        routes=_default("198.51.100.1"),
    )
    dns = Node(
        name="dns",
        hostname=HostName("dns"),
        services=web | {Service.DNS},
        nics=(
            _nic("eth0", "public", "02:00:4c:ff:00:53", "192.0.2.53/24"),
            _nic("eth1", "public-b", "02:00:4c:ff:00:54", "198.51.100.53/24"),
        ),
        routes=_default("192.0.2.1"),
        names=tuple(NAMES.items()),
    )
    guests = (
        guest("guest1", Mac("02:00:4c:01:00:11"), HostName("web1")),
        guest("guest2", Mac("02:00:4c:01:00:12"), HostName("web2")),
        guest("guest3", Mac("02:00:4c:01:00:13"), HostName("db1")),
    )
    return Topology(
        name="isolated",
        segments=("guest", "control", "public", "public-b", "internet"),
        nodes=(router, upstream, control, public1, public2, dns, *guests),
    )


TOPOLOGIES: Mapping[str, Topology] = MappingProxyType({"isolated": _isolated()})
