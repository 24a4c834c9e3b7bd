"""What a machine holds. Resources have keys and are compared one by one; `plan.diff` tells what to change.

Each says what it is in `describe`, which is what `plan` and `apply` print.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import ClassVar, Literal

Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """origin: bag and entry that ask for it; no part of the comparison, since a machine does not tell it.

    lasting: it exists whether wanted or not, so it is never removed and looked at only where it is wanted.
    """

    lasting: ClassVar[bool] = False
    origin: str = field(default="", compare=False)

    @property
    def key(self) -> Key:
        """What makes it this one; the first part is its kind."""
        raise NotImplementedError

    def describe(self) -> str:
        """Its content for people, beside its key."""
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link(Resource):
    """A device that is up, with its MTU in bytes."""

    lasting: ClassVar[bool] = True
    device: str
    mtu: int
    up: bool = True

    @property
    def key(self) -> Key:
        return ("link", self.device)

    def describe(self) -> str:
        return f"{'up' if self.up else 'down'} mtu {self.mtu}"


@dataclass(frozen=True, kw_only=True, slots=True)
class IpAddress(Resource):
    """An address on a device. primary: the first of its subnet, which the kernel takes as source (IF-5).

    announce: whom the gratuitous ARP is aimed at (IF-10); the kernel does not hold it.
    """

    device: str
    address: IPv4Address
    prefix: int
    primary: bool
    announce: IPv4Address | None = field(default=None, compare=False)

    @property
    def key(self) -> Key:
        return ("address", self.device, f"{self.address}/{self.prefix}")

    def describe(self) -> str:
        return "primary" if self.primary else "secondary"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route(Resource):
    """A route of ours. table: its number, 254 is main. kind: `throw` sends the look-up on to the next table.

    metric: 0 of all that are wanted; others are found beside them where foreign hands were at work.
    """

    table: int
    to: IPv4Network
    kind: Literal["unicast", "throw"]
    device: str = ""
    via: IPv4Address | None = None
    metric: int = 0

    @property
    def key(self) -> Key:
        return ("route", str(self.table), str(self.to), *([f"metric {self.metric}"] if self.metric else []))

    def describe(self) -> str:
        return f"{self.kind}{f' via {self.via}' if self.via else ''}{f' dev {self.device}' if self.device else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingRule(Resource):
    """A policy routing rule: by packet mark, or by source network."""

    priority: int
    table: int
    mark: int | None = None
    source: IPv4Network | None = None

    @property
    def key(self) -> Key:
        return ("rule", str(self.priority), f"{self.mark or ''}{self.source or ''}")

    def describe(self) -> str:
        return f"lookup {self.table}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sysctl(Resource):
    """A kernel setting below /proc/sys, its name with slashes."""

    lasting: ClassVar[bool] = True
    name: str
    value: str

    @property
    def key(self) -> Key:
        return ("sysctl", self.name)

    def describe(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class File(Resource):
    """A file written whole. mode: its permission bits."""

    path: str
    text: str
    mode: int = 0o644

    @property
    def key(self) -> Key:
        return ("file", self.path)

    def describe(self) -> str:
        return f"{len(self.text.encode())} bytes"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostRecord(Resource):
    """What dnsmasq's host directories hold for one guest: the line that leases, the line that names.

    tagged: the line sets a tag; Debian's dnsmasq does not survive SIGHUP then (contract lab-notes).
    """

    address: IPv4Address
    lease: str
    names: str
    tagged: bool = False

    @property
    def key(self) -> Key:
        return ("host", str(self.address))

    @property
    def mac(self) -> str:
        """Whose lease it is."""
        return self.lease.partition(",")[0]

    def describe(self) -> str:
        return self.lease


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit(Resource):
    """A running daemon. stamp: a digest of all it reads only at its start, so that a change restarts it, also when the
    change was made by a run that died before the restart.

    serves: the router's addresses in the networks it serves. dns: whether it answers DNS there. No machine tells these.
    """

    name: str
    stamp: str
    serves: tuple[IPv4Interface, ...] = field(default=(), compare=False)
    dns: bool = field(default=False, compare=False)

    @property
    def key(self) -> Key:
        return ("unit", self.name)

    def describe(self) -> str:
        return f"running {self.stamp[:12]}"
