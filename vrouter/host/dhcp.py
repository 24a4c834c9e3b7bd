"""The two things that are asked of a running dnsmasq over the network: end a lease, and say that it is awake."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
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


def awake(server: IPv4Address, limit_s: float) -> bool:
    """Whether the daemon answers DNS within the time. It reads changed files before it takes a packet, so two answers
    one after the other also mean that all files written before have been read."""
    end = time.monotonic() + limit_s
    answers = 0
    while answers < 2 and time.monotonic() < end:
        answers += _answers(server)
    return answers == 2


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
