"""What the oracle test runs in a lab: it puts packets on the router's wires and says what comes of them.

wire DEVICE...   in the switch: a JSON list of [device, frame] a line on stdin, sent in that order, the last one a
                 fence: an ICMP echo whose answer tells that all before it went their way. A line on stdout: a JSON list
                 of [device, IPv4 packet] that the router sent since the last line, up to that answer
router           in the router: JSON a line on stdin, `{"write": {PATH: TEXT}, "remove": [PATH], "run": [[ARGV, STDIN]],
                 "send": [[SOURCE, PACKET]]}`, done in that order, and its answer the list of packets that were
                 delivered to the router itself since the last line

Frames and packets are hexadecimal. Standard library only. Both stay on one processor, whose queue keeps their packets
in order.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress

_ALL = 0x0003  # ETH_P_ALL: before the bridge takes a frame (packet(7))
_OUTGOING = 4
_FENCE_S = 5.0
_BUFFER = 8 << 20
_RCVBUFFORCE = 33


def main(word: str, devices: list[str]) -> None:
    """Do as the module says until stdin ends."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if word == "wire":
        _wire(devices)
    else:
        _router()


def _wire(devices: list[str]) -> None:
    held = {}
    for device in devices:
        held[device] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        held[device].setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        held[device].bind((device, _ALL))
        held[device].setblocking(False)
    print("up", flush=True)
    for line in sys.stdin:
        frames = json.loads(line)
        for device, frame in frames:
            held[device].send(bytes.fromhex(frame))
        fence = bytes.fromhex(frames[-1][1])
        print(json.dumps(_until(held, fence[14 + 24 : 14 + 26] + fence[14 + 28 :])), flush=True)


def _until(held: dict[str, socket.socket], mark: bytes) -> list[list[str]]:
    """What comes, until the echo reply with the fence's id and payload."""
    found: list[list[str]] = []
    end = time.monotonic() + _FENCE_S
    passed = False
    while time.monotonic() < end:
        ready = select.select(list(held.values()), [], [], 0 if passed else 0.05)[0]
        if passed and not ready:
            return found
        for device, wire in held.items():
            for frame in _drain(wire) if wire in ready else ():
                data = frame[14:]
                if data[9:10] == b"\1" and data[20:21] == b"\0" and data[24:26] + data[28:] == mark:
                    passed = True
                else:
                    found.append([device, data.hex()])
    raise SystemExit("the fence did not come back")


def _drain(wire: socket.socket) -> list[bytes]:
    """IPv4 frames that came in on a port: those that the router sent."""
    frames = []
    with suppress(BlockingIOError):
        while True:
            frame, (_, _, kind, *_) = wire.recvfrom(4096)
            if kind != _OUTGOING and frame[12:14] == b"\x08\x00":
                frames.append(frame)
    return frames


def _router() -> None:
    listening = []
    for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
        sock.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        sock.setblocking(False)
        listening.append(sock)
    print("up", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        for path, text in asked.get("write", {}).items():
            with open(path, "w") as file:
                file.write(text)
        for path in asked.get("remove", ()):
            with suppress(FileNotFoundError):
                os.unlink(path)
        for argv, text in asked.get("run", ()):
            subprocess.run(argv, input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        for source, packet in asked.get("send", ()):
            _send(source, bytes.fromhex(packet))
        delivered = []
        for sock in listening:
            with suppress(BlockingIOError):
                while True:
                    delivered.append(sock.recv(4096).hex())
        print(json.dumps(delivered), flush=True)


def _send(source: str, packet: bytes) -> None:
    """Bound to its source, as a packet of the router itself is routed by it; one that cannot be sent is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock, suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind((source, 0))
        sock.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
