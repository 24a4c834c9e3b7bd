"""The command `vrouter explain` on a router, with and without its agent; what it says is judged in test_oracle.py."""

from __future__ import annotations

import json
import re

import pytest

from tests.system.kit import Router

FORWARDED = ("--in", "eth2", "tcp", "203.0.113.11:40000", "192.0.2.10:2222")
PASSED = "passes: leaves by eth0 as 203.0.113.11:40000 > 10.1.1.12:22"


def explain(router: Router, *words: str) -> tuple[int, list[str]]:
    done = router.run("vrouter", "explain", *words)
    assert done.stderr == ""
    return done.returncode, [line.strip() for line in done.stdout.splitlines()]


@pytest.mark.parametrize("agent", [False, True])
def test_explain_on_a_router(own: Router, agent: bool) -> None:
    before = (own.state(), own.generation())
    if agent:
        own.sh("router", "vrouter", "agent", "--background")
    status, lines = explain(own, *FORWARDED)
    assert status == 0
    assert lines[0] == "tcp 203.0.113.11:40000 > 192.0.2.10:2222, new, in eth2"
    [rule] = [line for line in lines if line.startswith("prerouting") and "firewallrules 101" in line]
    assert re.search(r"\(firewallrules 101, c\d+\.json\S* of 20[0-9T:.Z+-]+\)$", rule)
    assert lines[-2:] == [
        PASSED, "its answer passes: leaves by eth2 via 192.0.2.1 as 192.0.2.10:2222 > 203.0.113.11:40000",
    ]  # fmt: skip
    status, lines = explain(own, "tcp", "198.51.100.7:40000", "192.0.2.12:81")
    assert status == 2
    assert lines[0].endswith("in eth2 (guessed; say --in)")
    assert lines[-1] == "hint: no ingress rule for 192.0.2.12 tcp 81 from 198.51.100.7"
    assert explain(own, "--in", "local", "icmp", "192.0.2.10", "203.0.113.11")[0] == 0
    status, lines = explain(own, "--json", *FORWARDED)
    found = json.loads("\n".join(lines))
    assert (status, found["verdict"], found["out"]) == (0, "accepted", "eth0")
    assert found["ends"] == {"source": "203.0.113.11", "source_port": 40000, "destination": "10.1.1.12",
                             "destination_port": 22}  # fmt: skip
    assert (own.state(), own.generation()) == before


def test_explain_leaves_what_foreign_hands_did(own: Router) -> None:
    """It answers from what is wanted, and repairs nothing."""
    own.sh("router", "nft", "flush", "chain", "ip", "vrouter", "translate")
    before = own.generation()
    assert explain(own, *FORWARDED)[0] == 0
    assert own.generation() == before
    assert own.run("vrouter", "explain", "tcp", "203.0.113.11", "192.0.2.10").returncode == 64
