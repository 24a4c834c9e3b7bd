"""What is wanted of the router, without a word on how. Features say it, handlers turn it into resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Literal, TypeVar

from vrouter.model.values import HostName, Mac, PortRange

Transport = Literal["tcp", "udp"]
Protocol = Literal["tcp", "udp", "icmp", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """origin: the bag and the entry it comes from, for people; no part of what is wanted."""

    origin: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class RouterFacts(Intent):
    """What the boot arguments say of the whole router (contract commands 4.1).

    resolvers: where DNS is forwarded to, in this order (DN-3). offered: name servers handed out beside its own.
    mtu: bytes by device. management: networks that are reached through `local_gateway` on eth1 (IF-15).
    """

    name: HostName
    domain: HostName
    resolvers: tuple[IPv4Address, ...] = ()
    offered: tuple[IPv4Address, ...] = ()
    search: tuple[HostName, ...] = ()
    external_dns_only: bool = False
    expose_dns: bool = False
    check_source: bool = True
    gateway: IPv4Address | None = None
    boot_public: IPv4Address | None = None
    local_gateway: IPv4Address | None = None
    management: tuple[IPv4Network, ...] = ()
    mtu: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Address(Intent):
    """An IPv4 address on a device. order: its place in the bag's list; the first is primary unless one is flagged."""

    device: str
    address: IPv4Address
    network: IPv4Network
    gateway: IPv4Address | None = None
    mtu: int | None = None
    source_nat: bool = False
    order: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicAddress(Address):
    """An address of a public range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GuestAddress(Address):
    """The router's address in a guest subnet or tier."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlAddress(Address):
    """The address the orchestrator uses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier(Intent):
    """DHCP and DNS of the guest network on one device (contract commands 4.3)."""

    device: str
    domain: HostName
    resolvers: tuple[IPv4Address, ...]
    gateway: IPv4Address
    is_gateway: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class SubnetGateway(Intent):
    """The gateway that DHCP offers in the guest subnet of a router address (contract commands 4.5)."""

    router: IPv4Address
    gateway: IPv4Address


@dataclass(frozen=True, kw_only=True, slots=True)
class DhcpHost(Intent):
    """A guest NIC: its static lease and its name. default: the VM's default NIC (DH-5).

    gateway: what option 3 holds; None where the document said none; 0.0.0.0 for no option 3 (DH-4).
    routes: destination and gateway for option 121 (DH-13).
    """

    mac: Mac
    address: IPv4Address
    name: HostName
    gateway: IPv4Address | None = None
    default: bool = True
    routes: tuple[tuple[IPv4Network, IPv4Address], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Dnat(Intent):
    """A port forward. Both ranges have the same size; where they differ by a shift, each is one port."""

    public_ip: IPv4Address
    protocol: Transport
    ports: PortRange
    guest: IPv4Address
    guest_ports: PortRange
    sources: tuple[IPv4Network, ...]
    width: int  # ports of the rule it comes from: of two rules for one port the narrower wins


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticNat(Intent):
    """One-to-one NAT of a public address."""

    public_ip: IPv4Address
    guest: IPv4Address


@dataclass(frozen=True, kw_only=True, slots=True)
class Accept(Intent):
    """An ingress rule of a public address. span: ports; or ICMP type * 256 + code; None for every one."""

    to: IPv4Address
    protocol: Protocol
    span: tuple[int, int] | None
    sources: tuple[IPv4Network, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Egress(Intent):
    """An egress rule of the guest network; `blocks` where the network allows by default (FE-2)."""

    protocol: Protocol
    span: tuple[int, int] | None
    sources: tuple[IPv4Network, ...]
    destinations: tuple[IPv4Network, ...]
    blocks: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EgressDefault(Intent):
    """The verdict on what no egress rule matches (FE-4)."""

    allow: bool


I = TypeVar("I", bound=Intent)


class Intents:
    """Some intents, found by type. The lists are looked at when they are asked, not copied: they may be long."""

    def __init__(self, *lists: Sequence[Intent]) -> None:
        self._lists = lists

    def of(self, *types: type[I]) -> Iterator[I]:
        """Those of the given types, subclasses included, in their order."""
        return (intent for intents in self._lists for intent in intents if isinstance(intent, types))

    def one(self, wanted: type[I]) -> I | None:
        """The first of a type."""
        return next(self.of(wanted), None)
