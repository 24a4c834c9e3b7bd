"""A packet on its way through the router, and what conntrack holds of its connection. Pure.

States as conntrack gives them (nf_conntrack_proto_icmp.c): an ICMP message that answers nothing known is `invalid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, NamedTuple

from vrouter.explain.packet import LOCAL, Packet, Protocol
from vrouter.model.table import Field

State = Literal["new", "established", "invalid"]

_ASKS = {8: 0, 13: 14, 15: 16, 17: 18}  # ICMP types that open a connection, and the one that answers


class Ends(NamedTuple):
    """Addresses and ports of a packet; ports are 0 for ICMP."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int

    def reversed(self) -> Ends:
        """Of an answer."""
        return Ends(self.destination, self.destination_port, self.source, self.source_port)

    def __str__(self) -> str:
        texts = (f"{a}:{p}" if p else str(a) for a, p in ((self[0], self[1]), (self[2], self[3])))
        return " > ".join(texts)


@dataclass(slots=True)
class Connection:
    """original: the first packet as it was sent. reply: an answer to it as it comes back, so both tell the translation.

    bound: where nat chains were asked already; they see the first packet of a connection only, once for each end.
    """

    original: Ends
    reply: Ends
    mark: int = 0
    helper: str = ""
    bound: frozenset[Literal["dnat", "snat"]] = frozenset()

    @property
    def translates_destination(self) -> bool:
        return self.reply[:2] != self.original[2:]

    @property
    def translates_source(self) -> bool:
        return self.reply[2:] != self.original[:2]


@dataclass(slots=True)
class Flow:
    """One packet. iif, oif: empty where there is none. answers: it goes the other way than its connection's first."""

    ends: Ends
    protocol: Protocol
    icmp_type: int
    icmp_code: int
    iif: str = ""
    oif: str = ""
    mark: int = 0
    state: State = "invalid"
    connection: Connection | None = None
    answers: bool = False

    def enter(self, connection: Connection | None, state: State) -> None:
        """Conntrack has seen it. connection: the known one it belongs to; without, it may begin one."""
        if connection:
            self.connection, self.state = connection, state
        elif self.protocol != "icmp" or self.icmp_type in _ASKS:
            self.connection, self.state = Connection(self.ends, self.ends.reversed()), "new"

    def translate(self, kind: Literal["dnat", "snat"], address: IPv4Address, port: int) -> None:
        """What a rule of a nat chain says; port 0 keeps the port."""
        assert self.connection is not None
        answer = self.connection.reply
        if kind == "dnat":
            answer = answer._replace(source=address, source_port=port or answer.source_port)
        else:
            answer = answer._replace(destination=address, destination_port=port or answer.destination_port)
        self.connection.reply = answer

    def manipulate(self, kind: Literal["dnat", "snat"]) -> bool:
        """Give it the ends that its connection says here; whether they change (nf_nat_manip_pkt)."""
        if self.connection is None:
            return False
        goal = self.connection.original if self.answers else self.connection.reply
        goal = goal.reversed()
        before = self.ends
        if kind == "dnat":
            self.ends = before._replace(destination=goal.destination, destination_port=goal.destination_port)
        else:
            self.ends = before._replace(source=goal.source, source_port=goal.source_port)
        return self.ends != before

    def value(self, field: Field) -> str | None:
        """A field as an atom; None where the packet has none, and then no rule that asks for it matches."""
        match field:
            case "iifname":
                return self.iif
            case "oifname":
                return self.oif
            case "ip saddr":
                return str(self.ends.source)
            case "ip daddr":
                return str(self.ends.destination)
            case "meta l4proto":
                return self.protocol
            case "th dport":
                return None if self.protocol == "icmp" else str(self.ends.destination_port)
            case "tcp dport" | "udp dport":
                return str(self.ends.destination_port) if field.startswith(self.protocol) else None
            case "icmp type":
                return str(self.icmp_type) if self.protocol == "icmp" else None
            case "icmp code":
                return str(self.icmp_code) if self.protocol == "icmp" else None
            case "ct state":
                return self.state
            case "ct mark":
                return str(self.connection.mark) if self.connection else None
            case "ct status" | "fib saddr . mark . iif oif":
                raise ValueError(f"{field} is no single value of a packet")


def flow_of(packet: Packet) -> Flow:
    """The packet as it is sent."""
    ports = (0, 0) if packet.protocol == "icmp" else (packet.source_port, packet.destination_port)
    ends = Ends(packet.source, ports[0], packet.destination, ports[1])
    device = "" if packet.device == LOCAL else packet.device
    return Flow(ends, packet.protocol, packet.icmp_type, packet.icmp_code, iif=device)


def answer_type(icmp_type: int) -> int:
    """Of the message that answers one that asks."""
    return _ASKS[icmp_type]
