"""IPv4 packets as bytes, made and read: TCP, UDP and ICMP, each with a number in its payload to know it again by."""

from __future__ import annotations

import struct
from typing import NamedTuple

from vrouter.explain.flow import Ends

_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_MAGIC = b"vr0r"
_TAGGED = struct.Struct("!4sI")
SYN, SYN_ACK, ACK = 2, 18, 16


class Seen(NamedTuple):
    """A packet as it was seen. ports: 0 for ICMP. kind: the ICMP type."""

    tag: int
    protocol: str
    ends: Ends
    kind: int


def packet(
    protocol: str, ends: Ends, tag: int, *, flags: int = SYN, seq: int = 0, ack: int = 0, kind: int = 8, code: int = 0,
    id: int = 0,
) -> bytes:  # fmt: skip
    """flags, seq, ack: of TCP. kind, code, id: of ICMP."""
    addresses = ends.source.packed + ends.destination.packed
    payload = _TAGGED.pack(_MAGIC, tag)
    ports = (ends.source_port, ends.destination_port)
    if protocol == "icmp":
        head, place = struct.pack("!BBHHH", kind, code, 0, id, 1), 2
        covered = b""
    elif protocol == "udp":
        head, place = struct.pack("!HHHH", *ports, 8 + len(payload), 0), 6
        covered = addresses + struct.pack("!HH", 17, 8 + len(payload))
    else:
        head, place = struct.pack("!HHIIBBHHH", *ports, seq, ack, 5 << 4, flags, 8192, 0, 0), 16
        covered = addresses + struct.pack("!HH", 6, 20 + len(payload))
    check = checksum(covered + head + payload)
    body = head[:place] + struct.pack("!H", check) + head[place + 2 :] + payload
    start = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, _NUMBERS[protocol], 0) + addresses
    return start[:10] + struct.pack("!H", checksum(start)) + start[12:] + body


def read(data: bytes) -> Seen | None:
    """A packet that `packet` made, whatever was translated since; None for any other."""
    from ipaddress import IPv4Address

    protocol = _NAMES.get(data[9]) if len(data) > 28 and data[0] == 0x45 else None
    if protocol is None or data[6] & 0x3F or data[7]:
        return None
    body = data[20 : int.from_bytes(data[2:4], "big")]
    start = {"icmp": 8, "udp": 8, "tcp": 20}[protocol]
    if len(body) != start + _TAGGED.size or not body[start:].startswith(_MAGIC):
        return None
    source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    ports = (0, 0) if protocol == "icmp" else struct.unpack("!HH", body[:4])
    return Seen(
        _TAGGED.unpack(body[start:])[1], protocol, Ends(source, ports[0], destination, ports[1]),
        body[0] if protocol == "icmp" else 0,
    )  # fmt: skip


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 0xffff in place of 0, which UDP takes for none."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF
