"""Which packets to trace, and the table that chooses them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

TRACE_TABLE = "vrouter_trace"
LOCAL = "local"
"""In place of the interface: packets of the router itself."""

BEGINS = ("prerouting", "output", "answers", "answers_output")
"""The chains whose rules choose packets."""
ENDS = {f"{hook}_end": hook for hook in ("prerouting", "input", "forward", "output", "postrouting")}
"""The chains that a packet reaches when nothing at their hook has stopped it."""

ANY = IPv4Network("0.0.0.0/0")
_FIRST, _TRACKED, _LAST = -450, -199, 2_000_000_000  # priorities: before all, right after conntrack, after all
_DEVICE = re.compile(r"[A-Za-z0-9_.@-]{1,15}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """device: where they come in; LOCAL for the router's own, empty for all. Ports are None for any.

    both: also the packets of the same connections that go the other way. Raises ValueError outside the bounds.
    """

    protocol: str = "any"
    source: IPv4Network = ANY
    destination: IPv4Network = ANY
    source_port: int | None = None
    destination_port: int | None = None
    device: str = ""
    both: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in ("any", "tcp", "udp", "icmp"):
            raise ValueError(f"{self.protocol!r} is not any, tcp, udp or icmp")
        if self.device and not _DEVICE.fullmatch(self.device):
            raise ValueError(f"{self.device!r} is not the name of an interface")
        for port in (self.source_port, self.destination_port):
            if port is not None and not 0 <= port <= 65535:
                raise ValueError(f"{port} is not within 0:65535")
            if port is not None and self.protocol == "icmp":
                raise ValueError("icmp has no ports")

    def __str__(self) -> str:
        ends = (_end(self.source, self.source_port), _end(self.destination, self.destination_port))
        came = "" if not self.device else " of the router itself" if self.device == LOCAL else f" in {self.device}"
        return f"{self.protocol} {' > '.join(ends)}{came}"

    @property
    def exact(self) -> bool:
        """Whether it is one packet, as far as a policy looks at it."""
        ports = self.protocol == "icmp" or self.destination_port is not None
        return self.protocol != "any" and self.source.prefixlen == self.destination.prefixlen == 32 and ports


def parse(protocol: str, source: str, destination: str, *, device: str = "", both: bool = False) -> Asked:
    """As the command line says it: `any`, an address or a network, each with `:PORT` or without. Raises ValueError."""
    from_net, from_port = _parsed(source)
    to_net, to_port = _parsed(destination)
    return Asked(
        protocol=protocol, source=from_net, source_port=from_port, destination=to_net, destination_port=to_port,
        device=device, both=both,
    )  # fmt: skip


def _parsed(text: str) -> tuple[IPv4Network, int | None]:
    address, _, port = text.partition(":")
    try:
        net = ANY if address in ("any", "") else IPv4Network(address, strict=False)
    except (AddressValueError, NetmaskValueError) as error:
        raise ValueError(f"{text!r} is not any, ADDRESS or NETWORK, with :PORT or without: {error}") from error
    if port in ("", "any"):
        return net, None
    if not (port.isascii() and port.isdigit() and len(port) < 6):
        raise ValueError(f"{port!r} is not the number of a port")
    return net, int(port)


def _end(net: IPv4Network, port: int | None) -> str:
    text = "any" if net == ANY else str(net.network_address) if net.prefixlen == 32 else str(net)
    return text if port is None else f"{text}:{port}"


@dataclass(frozen=True, slots=True)
class Own:
    """The connection by which the one who asks is here: it is not traced, or each line would make new packets."""

    client: IPv4Address
    client_port: int
    port: int


def own(text: str) -> Own | None:
    """From the environment's SSH_CONNECTION (sshd(8)); None where it tells none."""
    try:
        client, client_port, _, port = text.split()
        return Own(IPv4Address(client), int(client_port), int(port))
    except ValueError:
        return None


def table(asked: Asked, rate: int, mine: Own | None = None) -> str:
    """The table that chooses at most `rate` packets a second, and lets all of them go on.

    It is the process's own: the kernel removes it when the socket that made it is closed (`flags owner`, nft(8)).
    """
    chosen = f"limit rate {rate}/second burst {rate} packets meta nftrace set 1"
    lines = [f"table ip {TRACE_TABLE} {{", "flags owner;"]
    if asked.device != LOCAL:
        came = f'iifname "{asked.device}" ' if asked.device else ""
        mines = f"ip saddr {mine.client} tcp sport {mine.client_port} tcp dport {mine.port} accept" if mine else ""
        lines += _chain("prerouting", "prerouting", _FIRST, mines, f"{came}{_sent(asked)}{chosen}")
    if asked.device in ("", LOCAL):
        mines = f"ip daddr {mine.client} tcp dport {mine.client_port} tcp sport {mine.port} accept" if mine else ""
        lines += _chain("output", "output", _FIRST, mines, f"{_sent(asked)}{chosen}")
    if asked.both:
        for name, hook in (("answers", "prerouting"), ("answers_output", "output")):
            lines += _chain(name, hook, _TRACKED, f"ct direction reply {_tracked(asked)}{chosen}")
    for name, hook in ENDS.items():
        lines += _chain(name, hook, _LAST)
    return "\n".join([*lines, "}", ""])


def _chain(name: str, hook: str, priority: int, *rules: str) -> Iterator[str]:
    yield f"chain {name} {{ type filter hook {hook} priority {priority}; policy accept;"
    yield from filter(None, rules)
    yield "}"


def _sent(asked: Asked) -> str:
    """What a packet itself must be like."""
    words = [f"meta l4proto {asked.protocol}"] if asked.protocol != "any" else []
    for end, net in (("saddr", asked.source), ("daddr", asked.destination)):
        words += [f"ip {end} {net}"] if net != ANY else []
    transport = asked.protocol if asked.protocol != "any" else "th"
    for end, port in (("sport", asked.source_port), ("dport", asked.destination_port)):
        words += [f"{transport} {end} {port}"] if port is not None else []
    return " ".join([*words, ""])


def _tracked(asked: Asked) -> str:
    """What the first packet of its connection must have been like."""
    words = [f"ct protocol {asked.protocol}"] if asked.protocol != "any" else []
    for end, net in (("saddr", asked.source), ("daddr", asked.destination)):
        words += [f"ct original ip {end} {net}"] if net != ANY else []
    for end, port in (("proto-src", asked.source_port), ("proto-dst", asked.destination_port)):
        words += [f"ct original {end} {port}"] if port is not None else []
    return " ".join([*words, ""])
