"""Connection tracking: ends the connections that a plan leaves unexplained, and no others."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from vrouter.connections import Connection, Ending
from vrouter.errors import HostError
from vrouter.host.tracked import total

_FEW = 200  # connections that are looked at faster than the kernel walks its table, 10 ms, a second time
_NAMES = {6: "tcp", 17: "udp"}
_NUMBERS = {name: number for number, name in _NAMES.items()}


class Conntrack:
    """One conntrack socket, opened when it is needed first and kept: opening one costs more than using it."""

    def __init__(self) -> None:
        self._socket: NFCTSocket | None = None

    def end(self, ending: Ending) -> int:
        """Delete what the ending names; how many. The kernel filters, so others cost little."""
        tracked = total() if ending else 0
        if tracked == 0:
            return 0
        self._socket = socket = self._socket or NFCTSocket()
        count = 0
        try:
            few = tracked is not None and tracked < _FEW
            for message in list(socket.dump() if few else _candidates(socket, ending)):
                found = _connection(message)
                if found and ending.ends(found):
                    count += _delete(socket, message)
        except NetlinkError as error:
            raise HostError(f"cannot end connections: {error.args[1]}") from error
        return count

    def count(self, ending: Ending, most: int) -> tuple[int, bool]:
        """How many the ending names now, and whether all were looked at: no more than `most` are. Changes nothing."""
        found: set[int] = set()
        try:
            with NFCTSocket() as socket:  # its own: what is not read of an answer goes with it
                for number, message in enumerate(_candidates(socket, ending)):
                    if number == most:
                        return len(found), False
                    one = _connection(message)
                    if one and ending.ends(one):
                        found.add(message.get_attr("CTA_ID"))
        except NetlinkError as error:
            raise HostError(f"cannot count connections: {error.args[1]}") from error
        return len(found), True

    def close(self) -> None:
        """Give the socket back."""
        if self._socket:
            self._socket.close()


def _candidates(socket: NFCTSocket, ending: Ending) -> Iterator[Any]:
    for public, protocol, port in sorted(ending.inward):
        narrow = {"proto": _NUMBERS[protocol], "dport": port} if protocol in _NUMBERS else {}
        yield from socket.dump(tuple_orig=NFCTAttrTuple(daddr=str(public), **narrow))
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
