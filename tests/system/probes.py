"""Packets and questions that many tests share, beside those of the kit; what runs in a node is `peer.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.system.kit import Router
from vrouter.lab.rootfs import CHECKOUT

PEER = ("python3", "-S", f"{CHECKOUT}/tests/system/peer.py")

GONE = ""
"""The answer of a target that stays silent."""


class Warm(Router):
    """A router whose commands `vrouter` run in forks of a process that has imported it: some 30 ms a call, not 400."""

    process: subprocess.Popen[bytes]

    def run(self, *argv: str, limit_s: float = 60) -> subprocess.CompletedProcess[str]:
        """As in Router."""
        if argv[0] != "vrouter":
            return super().run(*argv, limit_s=limit_s)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(argv[1:]).encode() + b"\n")
        self.process.stdin.flush()
        answer: list[Any] = json.loads(self.process.stdout.readline())
        return subprocess.CompletedProcess(list(argv), *answer)


@contextmanager
def warm(router: Router) -> Iterator[Router]:
    """The same router, with quick commands."""
    program = (sys.executable, f"{CHECKOUT}/tests/system/warm.py", str(CHECKOUT))
    with _running(router, "router", *program) as process:
        found = Warm(router.lab, router.count)
        found.process = process
        yield found


def reach(router: Router, node: str, *targets: str, limit_s: float = 0.8) -> dict[str, str]:
    """What each target answers to a node, all asked at once: `tcp ADDRESS PORT`, `udp ADDRESS PORT`, `icmp ADDRESS
    [TYPE]`, `ip ADDRESS PROTOCOL`. A web host answers with the client's address, a `serving` one also with its own
    port, ICMP with who answered; `refused` for a port that is closed, GONE for silence."""
    text = router.sh(node, *PEER, "reach", str(limit_s), *targets)
    found: dict[str, str] = json.loads(text)
    return found


def opened(router: Router, targets: Sequence[str], *nodes: str) -> list[set[str]]:
    """The targets that answer, for each node; all nodes ask at once."""
    with ThreadPoolExecutor(len(nodes)) as pool:
        asked = pool.map(lambda node: reach(router, node, *targets), nodes)
        return [{target for target, answer in answers.items() if answer != GONE} for answers in asked]


def seen(router: Router, node: str, target: str) -> str:
    """What one target answers."""
    return reach(router, node, target)[target]


@contextmanager
def serving(router: Router, node: str, *specs: str) -> Iterator[None]:
    """A node that answers on `tcp PORT`, `udp PORT` and `ip PROTOCOL`."""
    with _running(router, node, *PEER, "serve", *specs) as process:
        yield
        assert process.poll() is None


class Loop:
    """Something that a node does again and again; its count is known when the block has been left."""

    def __init__(self) -> None:
        self.failed, self.count = -1, 0


@contextmanager
def knocking(router: Router, node: str, address: str, port: int) -> Iterator[Loop]:
    """TCP connections one after the other, as long as the block lasts."""
    yield from _looping(router, node, "knock", address, str(port))


@contextmanager
def asking(router: Router, node: str, server: str, name: str, address: str) -> Iterator[Loop]:
    """DNS queries one after the other that must be answered with one address, as long as the block lasts."""
    yield from _looping(router, node, "ask", server, name, address)


def _looping(router: Router, node: str, *argv: str) -> Iterator[Loop]:
    loop = Loop()
    with _running(router, node, *PEER, *argv) as process:
        yield loop
        out, _ = process.communicate(b"end\n", timeout=10)
        loop.failed, loop.count = map(int, out.split())


@contextmanager
def _running(router: Router, node: str, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    process = router.lab.popen(node, argv, stdin=pipe, stdout=pipe)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def dhcp(
    router: Router, node: str, mac: str, *, device: str = "eth0", last: str = "offer", more: bytes = b""
) -> dict[str, str]:
    """The options that a MAC is offered (or, with last="ack", given), in hexadecimal by their code, and the address
    as `ip`; empty when nobody answers. more: options to send. The node's own addresses stay as they are."""
    text = router.sh(node, *PEER, "dhcp", device, mac, last, more.hex())
    found: dict[str, str] = json.loads(text)
    return found


def queries(router: Router) -> Sequence[str]:
    """What the name server outside was asked: `query[A] NAME from ADDRESS`."""
    lines = router.sh("dns", "cat", "/var/log/dnsmasq-queries.log").splitlines()
    return [line.split(": ", 1)[1] for line in lines if "query[" in line]
