"""Lists tracked connections; the kernel filters by address, and the list is bounded, since a router holds many."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from vrouter.errors import HostError
from vrouter.model.observed import Tracked

_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp"}
_STATES = (
    "", "syn sent", "syn received", "established", "fin wait", "close wait", "last ack", "time wait", "closed",
    "syn sent",
)  # fmt: skip  # enum tcp_conntrack
_LIMITS = Path("/proc/sys/net/netfilter")


def total() -> int | None:
    """How many connections the kernel tracks; None where it does not tell."""
    return _number("nf_conntrack_count")


def limit() -> int | None:
    """How many it tracks at most, before it drops new ones."""
    return _number("nf_conntrack_max")


def _number(name: str) -> int | None:
    try:
        return int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return None


def tracked(addresses: frozenset[IPv4Address], most: int) -> tuple[tuple[Tracked, ...], bool]:
    """Connections that have one of the addresses at an end, before or after translation; every one where none is given.
    And whether there are more than `most`. Raises HostError."""
    found: dict[tuple[Any, ...], Tracked] = {}
    try:
        with NFCTSocket() as socket:
            for message in _candidates(socket, addresses):
                one = _tracked(message)
                if one is None:
                    continue
                key = (one.protocol, one.source, one.source_port, one.destination, one.port)
                if key not in found and len(found) == most:
                    return tuple(found.values()), True  # the socket goes with what was not read
                found[key] = one
    except (NetlinkError, OSError) as error:
        raise HostError(f"cannot list connections: {error}") from error
    return tuple(found.values()), False


def _candidates(socket: NFCTSocket, addresses: frozenset[IPv4Address]) -> Iterator[Any]:
    if not addresses:
        yield from socket.dump()
    for address in sorted(addresses):
        for end in ("saddr", "daddr"):
            yield from socket.dump(tuple_orig=NFCTAttrTuple(**{end: str(address)}))
            yield from socket.dump(tuple_reply=NFCTAttrTuple(**{end: str(address)}))


def _tracked(message: Any) -> Tracked | None:
    orig, reply = message.get_attr("CTA_TUPLE_ORIG"), message.get_attr("CTA_TUPLE_REPLY")
    if orig is None or reply is None:
        return None
    ip, back = orig.get_attr("CTA_TUPLE_IP"), reply.get_attr("CTA_TUPLE_IP")
    if not ip.get_attr("CTA_IP_V4_SRC"):
        return None
    proto, returning = orig.get_attr("CTA_TUPLE_PROTO"), reply.get_attr("CTA_TUPLE_PROTO")
    number = proto.get_attr("CTA_PROTO_NUM")
    packets, size = _counters(message)
    return Tracked(
        protocol=_NAMES.get(number, str(number)),
        source=IPv4Address(ip.get_attr("CTA_IP_V4_SRC")),
        source_port=proto.get_attr("CTA_PROTO_SRC_PORT") or 0,
        destination=IPv4Address(ip.get_attr("CTA_IP_V4_DST")),
        port=proto.get_attr("CTA_PROTO_DST_PORT") or 0,
        answers=IPv4Address(back.get_attr("CTA_IP_V4_SRC")),
        answers_port=returning.get_attr("CTA_PROTO_SRC_PORT") or 0,
        answered=IPv4Address(back.get_attr("CTA_IP_V4_DST")),
        state=_state(message),
        mark=message.get_attr("CTA_MARK") or 0,
        packets=packets,
        bytes=size,
        timeout_s=message.get_attr("CTA_TIMEOUT") or 0,
    )


def _state(message: Any) -> str:
    info = message.get_attr("CTA_PROTOINFO")
    tcp = info.get_attr("CTA_PROTOINFO_TCP") if info else None
    number = tcp.get_attr("CTA_PROTOINFO_TCP_STATE") if tcp else None
    return _STATES[number] if number is not None and number < len(_STATES) else ""


def _counters(message: Any) -> tuple[int | None, int | None]:
    """Both ways together; None where the kernel does not count (nf_conntrack_acct)."""
    ways = [message.get_attr(name) for name in ("CTA_COUNTERS_ORIG", "CTA_COUNTERS_REPLY")]
    if not all(ways):
        return None, None
    return tuple(
        sum(way.get_attr(name) or 0 for way in ways) for name in ("CTA_COUNTERS_PACKETS", "CTA_COUNTERS_BYTES")
    )  # type: ignore[return-value]
