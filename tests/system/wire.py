"""The wire: captures, packets made by hand, and what the router's interfaces hold."""

from __future__ import annotations

import json
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import Any

from tests.system.kit import Router, eventually

_MARKER = "0x88b5"  # an ethertype for local experiments (IEEE 802)
_NO_PACKET = (_MARKER, "\t0x", "tcpdump:", "listening on")


class Capture:
    """What tcpdump sees on one interface of a node."""

    def __init__(self, router: Router, node: str, device: str, what: str, *options: str) -> None:
        self._router, self._node, self._device = router, node, device
        argv = ("tcpdump", "-l", "-n", "--immediate-mode", *options, "-i", device)
        self._process = router.lab.popen(
            node, (*argv, f"({what}) or ether proto {_MARKER}"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._seen: list[str] = []
        self._markers = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert eventually(lambda: any("listening on" in line for line in self._seen)), self._seen

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._seen.append(line.decode().rstrip())

    def lines(self, *texts: str) -> list[str]:
        """Everything up to now that holds all the texts; a marker on the wire tells that it is everything."""
        self._markers += 1
        script = (
            "import socket,sys\n"
            "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW);s.bind((sys.argv[1],0))\n"
            f"s.send(b'\\xff'*6+b'\\x02'+b'\\0'*5+bytes.fromhex('{_MARKER[2:]}')+b'\\0'*46)\n"
        )
        self._router.sh(self._node, "python3", "-c", script, self._device)
        assert eventually(lambda: sum(_MARKER in line for line in self._seen) >= self._markers), self._seen
        kept = [line for line in self._seen if not any(text in line for text in _NO_PACKET)]
        return [line for line in kept if all(text in line for text in texts)]

    def close(self) -> None:
        """End tcpdump."""
        self._process.kill()
        self._process.wait()
        self._thread.join(5)
        if self._process.stdout:
            self._process.stdout.close()


@contextmanager
def capture(router: Router, node: str, device: str, what: str, *options: str) -> Iterator[Capture]:
    """Capture on a node's interface what matches a pcap filter."""
    running = Capture(router, node, device, what, *options)
    try:
        yield running
    finally:
        running.close()


def echo_request(source: str, target: str) -> bytes:
    """An ICMP echo request, whatever source it claims."""
    body = struct.pack("!BBHHH", 8, 0, 0, 0x7672, 1) + b"vrouter!"
    return _ip(source, target, 1, body[:2] + struct.pack("!H", _sum(body)) + body[4:])


def datagram(source: str, target: str, port: int) -> bytes:
    """A UDP datagram from port 4000."""
    body = struct.pack("!HHHH", 4000, port, 12, 0) + b"test"
    full = _sum(_pseudo(source, target, 17, body) + body)
    return _ip(source, target, 17, body[:6] + struct.pack("!H", full) + body[8:])


def segment(source: str, target: str, port: int, flags: int, source_port: int = 4000) -> bytes:
    """A TCP segment without data. flags: FIN 1, SYN 2, RST 4, ACK 16."""
    body = struct.pack("!HHIIBBHHH", source_port, port, 1000, 2000 if flags & 16 else 0, 5 << 4, flags, 8192, 0, 0)
    full = _sum(_pseudo(source, target, 6, body) + body)
    return _ip(source, target, 6, body[:16] + struct.pack("!H", full) + body[18:])


def _ip(source: str, target: str, protocol: int, body: bytes) -> bytes:
    ends = IPv4Address(source).packed + IPv4Address(target).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0)
    return head + ends + body  # the kernel writes the header's checksum


def _pseudo(source: str, target: str, protocol: int, body: bytes) -> bytes:
    return IPv4Address(source).packed + IPv4Address(target).packed + struct.pack("!HH", protocol, len(body))


def _sum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def inject(router: Router, node: str, packet: bytes, device: str = "") -> None:
    """Send an IPv4 packet as it is; device: out of this one, whatever the node's routes say."""
    script = (
        "import socket,sys\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW);p=bytes.fromhex(sys.argv[1])\n"
        "if sys.argv[2]: s.setsockopt(socket.SOL_SOCKET,socket.SO_BINDTODEVICE,sys.argv[2].encode())\n"
        "s.sendto(p,(socket.inet_ntoa(p[16:20]),0))\n"
    )
    router.sh(node, "python3", "-c", script, packet.hex(), device)


def who_has(router: Router, node: str, device: str, target: str, sender: str) -> bool:
    """Whether an ARP request for `target` in the name of `sender` is answered within half a second."""
    script = (
        "import socket,struct,sys,time\n"
        "dev,target,sender=sys.argv[1],socket.inet_aton(sys.argv[2]),socket.inet_aton(sys.argv[3])\n"
        "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(0x806));s.bind((dev,0x806));s.settimeout(.1)\n"
        "mac=bytes.fromhex(open(f'/sys/class/net/{dev}/address').read().strip().replace(':',''))\n"
        "s.send(b'\\xff'*6+mac+struct.pack('!HHHBBH',0x806,1,0x800,6,4,1)+mac+sender+b'\\0'*6+target)\n"
        "end=time.monotonic()+.5\n"
        "while time.monotonic()<end:\n"
        " try: f=s.recv(100)\n"
        " except OSError: continue\n"
        " if f[20:22]==b'\\0\\2' and f[28:32]==target: print('yes');break\n"
    )
    return bool(router.sh(node, "python3", "-c", script, device, target, sender))


def addresses(router: Router, node: str = "router") -> dict[str, tuple[str, bool]]:
    """Every IPv4 address of a node: its device, and whether it is a secondary one."""
    links = json.loads(router.sh(node, "ip", "-j", "-4", "addr"))
    return {a["local"]: (link["ifname"], a.get("secondary", False)) for link in links for a in link["addr_info"]}


def link(router: Router, device: str) -> Any:
    """What `ip link` says of a device of the router."""
    return json.loads(router.sh("router", "ip", "-d", "-j", "link", "show", device))[0]


def routes(router: Router, table: str = "main") -> list[str]:
    """The routes of a table, sorted; empty where there is none."""
    listed = router.sh("router", "ip", "route", "show", "table", table, ok=False)
    return sorted(line.strip() for line in listed.splitlines())


def rules(router: Router) -> list[str]:
    """The policy routing rules in their order."""
    return [" ".join(line.split()) for line in router.sh("router", "ip", "rule").splitlines()]


def counter(router: Router, name: str) -> int:
    """A counter of the router's kernel, such as TcpExtIPReversePathFilter (nstat(8))."""
    return int(router.sh("router", "nstat", "-asz", name).splitlines()[-1].split()[1])


def connections(router: Router, *options: str) -> list[str]:
    """The tracked connections that `conntrack -L` lists."""
    return router.sh("router", "conntrack", "-L", *options).splitlines()


@contextmanager
def running(router: Router, node: str, script: str, *argv: str) -> Iterator[None]:
    """A Python script that runs in a node as long as the block lasts; it says `up` when it is ready."""
    process = router.lab.popen(node, ("python3", "-c", script, *argv), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"up"
        yield
    finally:
        process.kill()
        process.communicate()
