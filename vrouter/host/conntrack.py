"""Connection tracking: ends the connections that a plan leaves unexplained, and no others."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from vrouter.connections import Connection, Ending
from vrouter.errors import HostError

_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_NAMES = {6: "tcp", 17: "udp"}


class Conntrack:
    """One conntrack socket, opened when it is needed first and kept: opening one costs more than using it."""

    def __init__(self) -> None:
        self._socket: NFCTSocket | None = None

    def end(self, ending: Ending) -> int:
        """Delete what the ending names; how many. The kernel filters by address, so others cost nothing."""
        if not ending or _COUNT.read_text() == "0\n":
            return 0
        self._socket = socket = self._socket or NFCTSocket()
        count = 0
        try:
            for message in list(_candidates(socket, ending)):
                found = _connection(message)
                if found and ending.ends(found):
                    count += _delete(socket, message)
        except NetlinkError as error:
            raise HostError(f"cannot end connections: {error.args[1]}") from error
        return count

    def close(self) -> None:
        """Give the socket back."""
        if self._socket:
            self._socket.close()


def _candidates(socket: NFCTSocket, ending: Ending) -> Iterator[Any]:
    for public in sorted(ending.publics):
        yield from socket.dump(tuple_orig=NFCTAttrTuple(daddr=str(public)))
    for public in sorted(ending.outward):  # apart, because the kernel walks its whole table for each
        yield from socket.dump(tuple_reply=NFCTAttrTuple(daddr=str(public)))


def _connection(message: Any) -> Connection | None:
    orig, reply = message.get_attr("CTA_TUPLE_ORIG"), message.get_attr("CTA_TUPLE_REPLY")
    if orig is None or reply is None:
        return None
    ip, back = orig.get_attr("CTA_TUPLE_IP"), reply.get_attr("CTA_TUPLE_IP")
    proto = orig.get_attr("CTA_TUPLE_PROTO")
    number = proto.get_attr("CTA_PROTO_NUM")
    return Connection(
        protocol=_NAMES.get(number, str(number)),
        source=IPv4Address(ip.get_attr("CTA_IP_V4_SRC")),
        destination=IPv4Address(ip.get_attr("CTA_IP_V4_DST")),
        port=proto.get_attr("CTA_PROTO_DST_PORT") or 0,
        answers=IPv4Address(back.get_attr("CTA_IP_V4_SRC")),
        answered=IPv4Address(back.get_attr("CTA_IP_V4_DST")),
    )


def _delete(socket: NFCTSocket, message: Any) -> int:
    try:
        socket.entry("del", tuple_orig=NFCTAttrTuple.from_netlink(2, message.get_attr("CTA_TUPLE_ORIG")))
    except NetlinkError as error:
        if error.code != errno.ENOENT:
            raise
        return 0
    return 1
