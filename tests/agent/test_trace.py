"""`vrouter trace` on a router with its agent: real packets, foreign tables, and what is left of it when it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.agent import kit
from tests.system.commands import forward
from tests.system.kit import Router, eventually
from tests.system.probes import serving

TABLE = "table ip vrouter_trace"


class Trace:
    """A trace that runs."""

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self.process, self.output = process, ""

    def end(self) -> int:
        """Its exit status, when it has ended."""
        out, error = self.process.communicate(timeout=20)
        self.output = out.decode()
        assert b"Traceback" not in error, error.decode()
        return self.process.returncode


def tables(router: Router) -> list[str]:
    return router.sh("router", "nft", "list", "tables").splitlines()


@contextmanager
def tracing(router: Router, *words: str) -> Iterator[Trace]:
    """A trace that has begun; it is ended with the block."""
    process = router.lab.popen(
        "router", ("vrouter", "trace", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    try:
        assert eventually(lambda: TABLE in tables(router), 10), process.communicate(timeout=1)
        yield Trace(process)
    finally:
        process.kill()
        process.wait()


def test_a_forwarded_packet_with_all_that_decided(shared: Router) -> None:
    with serving(shared, "guest2", "tcp 22"), tracing(shared, "--packets", "1", "--in", "eth2", "tcp", "any",
                                                     "192.0.2.10:2222") as trace:  # fmt: skip
        shared.tcp("public1", "192.0.2.10", 2222)
        assert trace.end() == 0
    print(trace.output)
    assert TABLE not in tables(shared)
