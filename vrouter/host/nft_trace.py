"""Packets that nftables traces: a table that chooses them, gone with its socket, and what the kernel tells of them."""

from __future__ import annotations

import selectors
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

from vrouter.errors import HostError
from vrouter.host.nft import Nft
from vrouter.model.traced import Event, Header, Kind

_NETFILTER, _TRACE_GROUP = 12, 9  # NETLINK_NETFILTER, NFNLGRP_NFTRACE
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1  # netlink(7)
_RCVBUFFORCE = 33  # SO_RCVBUFFORCE (socket(7)): one packet makes a dozen messages
_TRACE = (10 << 8) | 17  # NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE
_BUFFER, _QUEUE = 1 << 16, 16 << 20
_MOST = 1000  # messages at a time, for others may trace more than can be read
_HEADER = struct.Struct("=IHHIIBBH")  # nlmsghdr, nfgenmsg
_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF  # NLA_TYPE_MASK
# enum nft_trace_attributes, enum nft_verdict_attributes
_TABLE, _CHAIN, _HANDLE, _KIND, _VERDICT, _ID, _NETWORK, _TRANSPORT = 1, 2, 3, 4, 5, 6, 8, 9
_IN, _OUT, _MARK, _POLICY, _CT_STATE = 10, 12, 14, 16, 21
_CODE, _GOTO = 1, 2
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_KINDS: dict[int, Kind] = {1: "policy", 2: "return", 3: "rule"}
_VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", 5: "stop",
             -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}  # fmt: skip
_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}  # NF_CT_STATE_BIT
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


class Tracing:
    """Listens first, then has the kernel trace what the table chooses.

    The table is owned by a socket of this process: the kernel takes it away when that is closed, however it ends.
    """

    def __init__(self, table: str) -> None:
        """table: its text, with `flags owner`. Raises HostError."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
        self._nft: Nft | None = None
        try:
            try:
                self._socket.bind((0, 0))
                self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _TRACE_GROUP)
                self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _QUEUE)
            except OSError as error:
                raise HostError(f"cannot listen to traced packets: {error.strerror}; run it as root") from error
            self._nft = Nft()
            if table.splitlines()[0] in self._nft.ruleset():
                raise HostError("another vrouter trace runs; its table goes when it ends")
            self._nft.add(table)
            self.rules = self._nft.ruleset(handles=True)
        except HostError:
            self.close()
            raise

    def read(self, limit_s: float) -> Iterator[Event | None]:
        """What waits, or comes first within so many seconds; None where some was lost."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            if not selector.select(limit_s):
                return
        for _ in range(_MOST):
            try:
                data = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS: the queue was full
                yield None
                continue
            yield from events(data)

    def listing(self) -> str:
        """All rules now, with their handles. Raises HostError."""
        assert self._nft is not None
        return self._nft.ruleset(handles=True)

    def close(self) -> None:
        """Nothing is traced any more."""
        if self._nft:
            self._nft.close()
        self._socket.close()


def events(data: bytes) -> Iterator[Event]:
    """The trace messages in what was received. Pure."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _, family, _, _ = _HEADER.unpack_from(data, offset)
        if kind == _TRACE and (found := _event(family, data[offset + _HEADER.size : offset + length])):
            yield found
        offset += max((length + 3) & ~3, _HEADER.size)


def _event(family: int, body: bytes) -> Event | None:
    held = _attributes(body)
    kind = _KINDS.get(_number(held.get(_KIND, b"")))
    if kind is None:
        return None
    header = _header(held[_NETWORK], held.get(_TRANSPORT, b"")) if _NETWORK in held else None
    verdict = _verdict(held.get(_VERDICT, b""))
    if kind == "policy":
        verdict = _VERDICTS.get(_number(held.get(_POLICY, b"")), "accept")

    def number(attribute: int) -> int:
        return _number(held.get(attribute, b""))

    def text(attribute: int) -> str:
        return _text(held.get(attribute, b""))

    return Event(
        id=number(_ID), kind=kind, verdict=verdict, header=header, handle=number(_HANDLE), chain=text(_CHAIN),
        table=f"{_FAMILIES.get(family, str(family))} {text(_TABLE)}", device_in=number(_IN), device_out=number(_OUT),
        mark=number(_MARK), state=_STATES.get(number(_CT_STATE), ""),
    )  # fmt: skip


def _verdict(nested: bytes) -> str:
    held = _attributes(nested)
    if _CODE not in held:
        return ""
    code = _number(held[_CODE], signed=True)
    word = _VERDICTS.get(code if code < 0 else code & 0xFF, str(code))  # a queue's number is in the upper half
    return f"{word} {_text(held[_GOTO])}" if _GOTO in held else word


def _header(network: bytes, transport: bytes) -> Header | None:
    """None for what is no IPv4."""
    if len(network) < 20 or network[0] >> 4 != 4:
        return None
    fragment = int.from_bytes(network[6:8]) & 0x1FFF
    protocol = _PROTOCOLS.get(network[9], str(network[9]))
    ports = (0, 0)
    if not fragment and len(transport) >= 4 and protocol in ("tcp", "udp"):
        ports = (int.from_bytes(transport[:2]), int.from_bytes(transport[2:4]))
    elif not fragment and len(transport) >= 2 and protocol == "icmp":
        ports = (transport[0], transport[1])
    ends = IPv4Address(network[12:16]), IPv4Address(network[16:20])
    return Header(protocol=protocol, source=ends[0], destination=ends[1], ports=ports)


def _attributes(body: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, offset)
        found[kind & _TYPE] = body[offset + _ATTRIBUTE.size : offset + size]
        offset += max((size + 3) & ~3, _ATTRIBUTE.size)
    return found


def _number(data: bytes, signed: bool = False) -> int:
    return int.from_bytes(data, "big", signed=signed)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")
