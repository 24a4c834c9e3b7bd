"""What is seen of a machine beside the resources that are ours: facts for those who show it, never compared."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What went one way."""

    packets: int = 0
    bytes: int = 0
    drops: int = 0
    errors: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Interface:
    """A device. up: as it is set; carrier: whether the link is there. shaping: kinds of its queues that hold back or
    drop on purpose. xdp: whether a program sees its packets before the kernel."""

    device: str
    mac: str = ""
    mtu: int = 0
    up: bool = True
    carrier: bool = True
    addresses: tuple[str, ...] = ()
    received: Traffic = Traffic()
    sent: Traffic = Traffic()
    shaping: tuple[str, ...] = ()
    xdp: bool = False

    @property
    def state(self) -> str:
        """One word and a half for people."""
        return "down" if not self.up else "up" if self.carrier else "no carrier"


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteLine:
    """Any route. kind: `unicast`, `throw`, `blackhole`, ... protocol: who made it, rtnetlink(7)."""

    table: int
    to: str
    kind: str = "unicast"
    via: str = ""
    device: str = ""
    metric: int = 0
    protocol: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleLine:
    """Any routing rule. match: as ip(8) says it. action: `lookup`, `blackhole`, ..."""

    priority: int
    match: str
    action: str = "lookup"
    table: int = 0
    ours: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process. state: the letter of proc(5). since: seconds since the epoch."""

    pid: int
    state: str
    since: float
    memory_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A lease that dnsmasq gave. expires: seconds since the epoch, 0 for never."""

    address: IPv4Address
    mac: str
    name: str
    expires: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracked:
    """A tracked connection: who opened it to what, and who answers to whom. state: of TCP, else empty."""

    protocol: str
    source: IPv4Address
    source_port: int
    destination: IPv4Address
    port: int
    answers: IPv4Address
    answers_port: int
    answered: IPv4Address
    state: str = ""
    mark: int = 0
    packets: int | None = None
    bytes: int | None = None
    timeout_s: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A command that is done or was refused. time: of its end, seconds since the epoch. took_ms: where it is known."""

    file: str
    type: str
    time: float
    refused: bool = False
    faults: tuple[str, ...] = ()
    changes: int | None = None
    took_ms: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A command file that is not done. claimed: a run has taken it."""

    file: str
    age_s: float
    claimed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignChain:
    """A chain of a table that is not ours. hook: empty for one that only rules reach; policy: empty there as well."""

    table: str
    name: str
    hook: str = ""
    priority: str = ""
    policy: str = ""
    rules: tuple[str, ...] = ()
