"""The two things that are asked of a running dnsmasq over the network: end a lease, and say that it is awake."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from ipaddress import IPv4Address

_RELEASE = b"\x35\x01\x07"  # option 53, DHCPRELEASE (RFC 2132, section 9.6)
_COOKIE = b"\x63\x82\x53\x63"  # RFC 2131, section 3
_QUERY = b"\x01\x00\x00\x01" + b"\x00" * 6 + b"\x07version\x04bind\x00" + b"\x00\x10\x00\x03"  # TXT, class CHAOS
_ANSWER_S = 1.0


def release(server: IPv4Address, address: IPv4Address, mac: str) -> None:
    """Tell the server on this machine that a guest gave its address back (RFC 2131, section 4.4.6); no answer comes."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack("!BBBBIHH", 1, 1, len(hardware), 0, int.from_bytes(os.urandom(4)), 0, 0)
    body = address.packed + b"\x00" * 12 + hardware.ljust(16, b"\x00") + b"\x00" * 192
    options = _COOKIE + _RELEASE + b"\x36\x04" + server.packed + b"\xff"
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(head + body + options, (str(server), 67))


def awake(server: IPv4Address, limit_s: float, alive: Callable[[], bool], packets: int = 1) -> bool:
    """Whether the daemon answers DNS within the time, as long as it is alive.

    In a turn it reads changed files, answers DNS, and takes one DHCP packet. So two answers one after the other also
    mean that all files written before have been read, and one more than `packets` that it took those sent before.
    """
    end = time.monotonic() + limit_s
    answers = 0
    while answers <= packets and time.monotonic() < end:
        if _answers(server):
            answers += 1
        elif not alive():
            break
    return answers > packets


def _answers(server: IPv4Address) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(_ANSWER_S)
        try:
            udp.sendto(os.urandom(2) + _QUERY, (str(server), 53))
            udp.recv(512)
        except TimeoutError:
            return False
        except OSError:
            time.sleep(_ANSWER_S / 10)  # no way there yet
            return False
    return True
