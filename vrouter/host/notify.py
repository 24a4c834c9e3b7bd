"""What the kernel says by itself: changes of links, addresses, routes, rules, and generations of the packet policy."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x80  # RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE (rtnetlink(7))
_NFTABLES_GROUP = 7  # NFNLGRP_NFTABLES
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1  # netlink(7)
_NETFILTER = 12
_NEWGEN = (10 << 8) | 15  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_BUFFER = 1 << 20


class Notifications:
    """Two sockets to wait on. A full buffer counts as news: what was lost may have been anything."""

    def __init__(self) -> None:
        self.route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self.route.bind((0, _ROUTE_GROUPS))
        self.policy = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
        self.policy.bind((0, 0))
        self.policy.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)

    def close(self) -> None:
        """Give the sockets back."""
        self.route.close()
        self.policy.close()


def drained(source: socket.socket) -> Iterator[bytes]:
    """All that waits in a socket."""
    while True:
        try:
            yield source.recv(_BUFFER)
        except BlockingIOError:
            return
        except OSError:
            yield b""


def generations(data: bytes) -> Iterator[int]:
    """The generation ids that a datagram of the policy's group announces."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if kind == _NEWGEN:
            yield struct.unpack_from("!I", data, offset + 24)[0]  # after nlmsghdr, nfgenmsg and the attribute's header
        offset += max((length + 3) & ~3, _HEADER.size)
