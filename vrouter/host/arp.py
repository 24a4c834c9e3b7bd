"""Gratuitous ARP: neighbours learn where an address is (contract dataplane IF-10)."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from vrouter.model.resources import IpAddress

_ETHERTYPE_ARP = 0x0806  # RFC 826
_BROADCAST = b"\xff" * 6


class Announcer:
    """One packet socket, opened when it is needed first and kept: to close one takes the kernel 10 ms and more."""

    def __init__(self) -> None:
        self._raw: socket.socket | None = None

    def announce(self, addresses: Iterable[IpAddress]) -> None:
        """One request and one reply, both broadcast, for each address, aimed at its neighbour (RFC 5227, section 3).

        Best effort: a link without carrier takes no frame, and that is no reason to refuse an address.
        """
        for address in addresses:
            self._raw = self._raw or socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            with contextlib.suppress(OSError):
                _send(self._raw, address)

    def close(self) -> None:
        """Give the socket back."""
        if self._raw:
            self._raw.close()


def _send(raw: socket.socket, address: IpAddress) -> None:
    mac = bytes.fromhex(Path(f"/sys/class/net/{address.device}/address").read_text().strip().replace(":", ""))
    source, target = address.address.packed, (address.announce or address.address).packed
    for operation, aimed in ((1, b"\x00" * 6), (2, _BROADCAST)):
        header = struct.pack("!6s6sH", _BROADCAST, mac, _ETHERTYPE_ARP)
        body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mac, source, aimed, target)
        raw.sendto(header + body, (address.device, _ETHERTYPE_ARP))
