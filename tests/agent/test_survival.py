"""Nothing that passes through is lost while commands are applied, and while the agent is stopped and started."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.agent import kit
from tests.agent.commands import address, forward, forwards, host
from tests.system.commands import egress, ingress
from tests.system.kit import Document, Router
from tests.system.probes import Loop, knocking, serving
from vrouter.lab.rootfs import CHECKOUT


@contextmanager
def pinging(router: Router, node: str, target: str) -> Iterator[list[str]]:
    """An echo request every 10 ms; the list then holds what ping says of them."""
    process = router.lab.popen(node, ("ping", "-q", "-i", "0.01", target), stdout=subprocess.PIPE)
    said: list[str] = []
    try:
        yield said
        process.send_signal(signal.SIGINT)
        said.append(process.communicate(timeout=10)[0].decode())
    finally:
        process.kill()
        process.communicate()


@contextmanager
def traffic(router: Router) -> Iterator[None]:
    """Streams, pings and new connections through SNAT, a forward and static NAT; nothing of it may be lost."""
    with ExitStack() as stack:
        stack.enter_context(serving(router, "guest2", "tcp 22"))
        stack.enter_context(serving(router, "guest1", "tcp 7001"))
        stack.enter_context(serving(router, "public1", "tcp 7000"))
        streams = [
            stack.enter_context(router.stream("public1", "192.0.2.10", 2222)),
            stack.enter_context(router.stream("guest3", "203.0.113.11", 7000)),
            stack.enter_context(router.stream("public1", "192.0.2.11", 7001)),
        ]
        loops: list[Loop] = []
        pings: list[list[str]] = []
        with ExitStack() as running:
            for node, target, port in (
                ("public1", "192.0.2.10", 2222),
                ("guest3", "203.0.113.11", 7000),
                ("public1", "192.0.2.11", 7001),
            ):
                loops.append(running.enter_context(knocking(router, node, target, port)))
            for node, target in (("guest3", "203.0.113.11"), ("public1", "192.0.2.11")):
                pings.append(running.enter_context(pinging(router, node, target)))
            assert all(stream.echoes() for stream in streams)
            yield
            assert all(stream.echoes() for stream in streams)
        assert [loop.failed for loop in loops] == [0, 0, 0] and min(loop.count for loop in loops) > 50
        for [text] in pings:
            sent, received = re.findall(r"(\d+) packets transmitted, (\d+) received", text)[0]
            assert sent == received and int(sent) > 20, text


def opened(router: Router) -> None:
    """What the traffic needs beside the example."""
    router.send(
        egress(70001, "tcp", 7000), egress(70002, "icmp"),
        ingress(70003, "192.0.2.11", "tcp", 7001), ingress(70004, "192.0.2.11", "icmp"),
    )  # fmt: skip


def test_nothing_is_lost_while_200_unrelated_commands_are_applied(served: Router) -> None:
    opened(served)
    documents: list[Document] = []
    for number in range(40):
        documents += [
            forwards(forward(4000 + number)), host(60 + number), address(60 + number),
            ingress(71000 + number, "192.0.2.11", "tcp", 8000 + number),
            forwards(forward(4000 + number, revoke=True)),
        ]  # fmt: skip
    with traffic(served):
        assert set(kit.pushed(served, documents[:100], 1, "one")) == {(0, "")}
        assert set(kit.pushed(served, documents[100:], 4, "four")) == {(0, "")}


def test_nothing_is_lost_while_the_agent_is_stopped_killed_upgraded_and_started(served: Router) -> None:
    """Upgraded: the new process runs from another path on disk."""
    opened(served)
    generation, daemon = served.generation(), served.pid()
    with traffic(served):
        kit.stop(served)
        assert kit.start(served).returncode == 0
        kit.stop(served, "KILL")
        assert kit.start(served).returncode == 0
        parts = [f"{CHECKOUT}/{part}" for part in ("vrouter", "databags", "templates")]
        served.sh("router", "install", "-d", "/tmp/new")
        served.sh("router", "cp", "-r", *parts, "/tmp/new")
        kit.stop(served)
        new = ("env", "PYTHONPATH=/tmp/new", sys.executable, "-m", "vrouter", "agent", "--background")
        assert served.run(*new).returncode == 0
        assert "/tmp/new" in served.sh("router", "cat", f"/proc/{kit.pid(served)}/environ")
    assert (served.generation(), served.pid()) == (generation, daemon) and kit.pid(served)
