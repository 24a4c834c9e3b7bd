"""What the system tests run inside a lab's nodes: `peer.py WORD ARGUMENTS...`. Standard library only.

reach LIMIT_S TARGET...   ask every target at once; a JSON object of their answers
serve SPEC...             answer on `tcp PORT`, `udp PORT`, `ip PROTOCOL` until killed; says `up` first
dhcp DEVICE MAC LAST HEX  one DHCP exchange up to LAST (`offer`, `ack`) with options HEX; a JSON object of the answer
leases DEVICE COUNT       a lease for each of COUNT MAC addresses 02:aa:..; prints how many were given
knock ADDRESS PORT        TCP connections one after the other until stdin ends; prints how many failed, of how many
ask SERVER NAME ADDRESS   DNS queries one after the other until stdin ends; prints how many failed, of how many
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

_COOKIE = b"\x63\x82\x53\x63"  # RFC 2131, section 3
_MESSAGE, _ASKED, _SERVER, _WISHES, _END = 53, 50, 54, 55, 255  # RFC 2132
_OFFER, _ACK = 2, 5


def main(word: str, arguments: list[str]) -> None:
    """Do as the module says."""
    match word:
        case "reach":
            print(json.dumps(_reach(float(arguments[0]), arguments[1:])))
        case "serve":
            _serve(arguments)
        case "dhcp":
            device, mac, last, more = arguments
            print(json.dumps(_exchange(device, mac, last == "ack", bytes.fromhex(more))))
        case "leases":
            macs = (f"02:aa:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(int(arguments[1])))
            print(sum(1 for mac in macs if _exchange(arguments[0], mac, True, b"").get("53") == "05"))
        case "knock" | "ask":
            _loop(word, arguments)


# questions


def _reach(limit_s: float, targets: list[str]) -> dict[str, str]:
    answers = dict.fromkeys(targets, "")

    def ask(target: str) -> None:
        try:
            answers[target] = _answer(target.split(), limit_s)
        except ConnectionRefusedError:
            answers[target] = "refused"
        except TimeoutError:
            pass
        except OSError as error:
            answers[target] = error.strerror or "error"

    threads = [threading.Thread(target=ask, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _answer(target: list[str], limit_s: float) -> str:
    kind, address, *more = target
    if kind == "tcp":
        with socket.create_connection((address, int(more[0])), limit_s) as tcp:
            tcp.sendall(b"\n")
            return (tcp.recv(2048) or b"closed").decode().splitlines()[0]
    if kind == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect((address, int(more[0])))
            return _repeated(udp, b"hello", limit_s).decode().strip()
    if kind == "icmp":  # an echo request, or a request of the named type whose answer is the type after it
        return _icmp(address, int(more[0]) if more else 8, limit_s)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, int(more[0])) as raw:
        raw.connect((address, 0))
        return _repeated(raw, b"hello", limit_s)[20:].decode()


def _repeated(peer: socket.socket, packet: bytes, limit_s: float) -> bytes:
    """The first answer to a packet that is sent up to three times."""
    for _ in range(3):
        peer.send(packet)
        if select.select([peer], [], [], limit_s / 3)[0]:
            return peer.recv(2048)
    raise TimeoutError


def _icmp(address: str, kind: int, limit_s: float) -> str:
    mine = int.from_bytes(os.urandom(2))
    body = struct.pack("!HH12s", mine, 1, b"")
    packet = struct.pack("!BBH", kind, 0, _checksum(struct.pack("!BBH", kind, 0, 0) + body)) + body
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(packet, (address, 0))
        end = time.monotonic() + limit_s
        while select.select([raw], [], [], max(0.0, end - time.monotonic()))[0]:
            data, peer = raw.recvfrom(2048)
            found, number = data[20], int.from_bytes(data[24:26])
            if number == mine and found == (0 if kind == 8 else kind + 1):
                return str(peer[0])
    raise TimeoutError


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


# answers


def _serve(specs: list[str]) -> None:
    """TCP: greet with the client's address and the own port, then echo. Others: answer with the same."""
    for spec in specs:
        kind, number = spec.split()
        if kind == "tcp":
            listener = socket.create_server(("", int(number)), backlog=4096)
            threading.Thread(target=_accept, args=(listener, number), daemon=True).start()
            continue
        raw = kind == "ip"
        peer = socket.socket(socket.AF_INET, socket.SOCK_RAW if raw else socket.SOCK_DGRAM, int(number) if raw else 0)
        peer.bind(("", 0 if raw else int(number)))
        threading.Thread(target=_answer_all, args=(peer, number), daemon=True).start()
    print("up", flush=True)
    threading.Event().wait()


def _accept(listener: socket.socket, number: str) -> None:
    while True:
        client, address = listener.accept()
        threading.Thread(target=_echo, args=(client, f"{address[0]} {number}\n"), daemon=True).start()


def _echo(client: socket.socket, greeting: str) -> None:
    with client, suppress(ConnectionError):
        client.sendall(greeting.encode())
        while data := client.recv(65536):
            client.sendall(data)


def _answer_all(peer: socket.socket, number: str) -> None:
    while True:
        _, address = peer.recvfrom(2048)
        peer.sendto(f"{address[0]} {number}".encode(), address)


# DHCP


def _exchange(device: str, mac: str, request: bool, more: bytes) -> dict[str, str]:
    """Options of the answer as hexadecimal text by their code, and its address as `ip`; empty when none comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind(("", 68))
        found = _ask_dhcp(udp, device, mac, b"\x35\x01\x01" + more, _OFFER)
        if not found or not request:
            return found
        wanted = struct.pack("!BB4sBB4s", _ASKED, 4, socket.inet_aton(found["ip"]), _SERVER, 4,
                             bytes.fromhex(found[str(_SERVER)]))  # fmt: skip
        return _ask_dhcp(udp, device, mac, b"\x35\x01\x03" + wanted + more, _ACK)


def _ask_dhcp(udp: socket.socket, device: str, mac: str, options: bytes, kind: int) -> dict[str, str]:
    number = os.urandom(4)
    hardware = bytes.fromhex(mac.replace(":", ""))
    wishes = bytes((_WISHES, 7, 1, 3, 6, 12, 15, 26, 121)) if not options.count(b"\x37") else b""
    head = struct.pack("!BBBB4sHH16s16s192s", 1, 1, 6, 0, number, 0, 0x8000, b"", hardware, b"")
    for _ in range(2):
        _broadcast(device, head + _COOKIE + options + wishes + b"\xff")
        end = time.monotonic() + 0.6
        while select.select([udp], [], [], max(0.0, end - time.monotonic()))[0]:
            data = udp.recv(4096)
            found = _options(data[240:])
            if data[4:8] == number and int(found.get(str(_MESSAGE), "0"), 16) == kind:
                return found | {"ip": socket.inet_ntoa(data[16:20])}
    return {}


def _broadcast(device: str, body: bytes) -> None:
    """From 0.0.0.0, whatever addresses the node has (RFC 2131, section 4.1)."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(body), 0, 0, 64, 17, 0, b"", b"\xff" * 4)
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
        udp = struct.pack("!HHHH", 68, 67, 8 + len(body), 0)
        raw.sendto(header + udp + body, (device, 0x0800, 0, 0, b"\xff" * 6))


def _options(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    while data and data[0] != _END:
        if data[0] == 0:
            data = data[1:]
            continue
        found[str(data[0])] = data[2 : 2 + data[1]].hex()
        data = data[2 + data[1] :]
    return found


# loops


def _loop(word: str, arguments: list[str]) -> None:
    print("up", flush=True)
    count = failed = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        good = _connects(arguments) if word == "knock" else _resolves(arguments)
        count, failed = count + 1, failed + (not good)
        time.sleep(0.002)  # a server that cannot keep up would be the one to blame
    print(failed, count, flush=True)


def _connects(arguments: list[str]) -> bool:
    try:
        with socket.create_connection((arguments[0], int(arguments[1])), 0.8) as tcp:  # before a SYN is sent again
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return True
    except OSError:
        return False


def _resolves(arguments: list[str]) -> bool:
    server, name, address = arguments
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    number = os.urandom(2)
    query = number + b"\x01\x00\x00\x01" + b"\x00" * 6 + labels + b"\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(2)
        try:
            udp.sendto(query, (server, 53))
            answer = udp.recv(512)
        except OSError:
            return False
    return answer[:2] == number and answer.endswith(socket.inet_aton(address))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
