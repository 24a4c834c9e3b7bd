"""What the kernel says by itself: changes of links, addresses, routes, rules, and of the packet policy."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vrouter.model.table import TABLE

_ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x80  # RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE (rtnetlink(7))
_NFTABLES_GROUP = 7  # NFNLGRP_NFTABLES
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1  # netlink(7)
_RCVBUFFORCE = 33  # SO_RCVBUFFORCE (socket(7)); ten thousand elements at once are told one by one
_NETFILTER = 12
_NEWGEN = (10 << 8) | 15  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN
_HEADER = struct.Struct("=IHHIIBBH")  # nlmsghdr, nfgenmsg
_ATTRIBUTE = struct.Struct("=HH")
_MESSAGE = struct.Struct("=IHHII")  # nlmsghdr
_ROUTES, _PROTOCOL, _KERNEL = (24, 25), 16 + 5, 2  # RTM_NEWROUTE and _DELROUTE, rtm_protocol, RTPROT_KERNEL
_IPV4, _FIRST = 2, 1  # NFPROTO_IPV4; the attribute that names the table comes first in every message but NEWGEN
_OURS = TABLE.encode() + b"\0"
_BUFFER, _QUEUE = 1 << 16, 16 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of the packet policy, anybody's. sender: the netlink port it came from. ours: it changed
    something in our table."""

    generation: int
    sender: int
    ours: bool


class Notifications:
    """Two sockets to wait on."""

    def __init__(self) -> None:
        self.route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self.route.bind((0, _ROUTE_GROUPS))
        self.policy = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
        self.policy.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _QUEUE)
        self.policy.bind((0, 0))
        self.policy.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)
        self._ours = False  # whether the transaction that is being told has touched our table

    def routes_moved(self, ours: int) -> bool:
        """Take what waits on the route socket; whether more is told than what we did, from the netlink port `ours`, and
        what the kernel keeps beside addresses."""
        moved = [not data or any(_foreign(data, ours)) for data in _drained(self.route)]
        return any(moved)

    def steps(self) -> Iterator[Step | None]:
        """Every transaction that was told since; None where some were lost, and may have been anything."""
        for data in _drained(self.policy):
            if not data:
                self._ours = False
                yield None
            offset = 0
            while offset + _HEADER.size <= len(data):
                length, kind, _, _, sender, family, _, _ = _HEADER.unpack_from(data, offset)
                body = offset + _HEADER.size
                if kind == _NEWGEN:
                    yield Step(struct.unpack_from("!I", data, body + _ATTRIBUTE.size)[0], sender, self._ours)
                    self._ours = False
                elif not self._ours and family == _IPV4:
                    size, attribute = _ATTRIBUTE.unpack_from(data, body)
                    self._ours = attribute != _FIRST or data[body + _ATTRIBUTE.size : body + size] == _OURS
                offset += max((length + 3) & ~3, _HEADER.size)


def _foreign(data: bytes, ours: int) -> Iterator[bool]:
    offset = 0
    while offset + _MESSAGE.size <= len(data):
        length, kind, _, _, sender = _MESSAGE.unpack_from(data, offset)
        known = sender == ours if sender else kind in _ROUTES and data[offset + _PROTOCOL] == _KERNEL
        yield not known
        offset += max((length + 3) & ~3, _MESSAGE.size)


def _drained(source: socket.socket) -> Iterator[bytes]:
    """All that waits in a socket; empty for what was lost in a full one."""
    while True:
        try:
            yield source.recv(_BUFFER)
        except BlockingIOError:
            return
        except OSError:
            yield b""
