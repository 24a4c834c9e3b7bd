"""The VM is not reachable: three faults in a router with 200 guests and 2 000 rules, each found by two commands."""

from __future__ import annotations

import json
import re

import pytest

from tests.agent.commands import host
from tests.agent.test_trace import foreign, tracing
from tests.bench.documents import rules
from tests.system.commands import ingress
from tests.system.kit import Router, eventually
from tests.system.probes import serving

GUESTS, RULES = 200, 2000
CLIENT, SERVICE, GUEST = "203.0.113.11", ("192.0.2.10", 2222), "10.1.1.12"


@pytest.fixture(scope="module")
def router(shared: Router) -> Router:
    """Of the guests three are nodes; the rules open ports that nobody forwards."""
    shared.send(*(host(number) for number in range(20, 20 + GUESTS - 3)))
    found = json.loads(shared.run("vrouter", "status", "--json").stdout)["router"]
    shared.send(rules(range(10_000, 10_000 + RULES - found["rules"])))
    return shared


def status(router: Router) -> tuple[int, list[str]]:
    done = router.run("vrouter", "status")
    return done.returncode, done.stdout.splitlines()


def wrong(lines: list[str]) -> str:
    """The part of the screen that says what is wrong, on one line."""
    return " ".join(" ".join(lines[lines.index("Wrong") : lines.index("Interfaces")]).split())


def test_nothing_is_wrong_before(router: Router) -> None:
    code, lines = status(router)
    assert code == 0 and "Wrong" not in lines, "\n".join(lines)
    assert f"{GUESTS} guests" in lines[1] and f"{RULES} rules" in lines[1]


def test_a_wrong_ingress_cidr(router: Router) -> None:
    """One command: the rule that was meant is named, with the network that it lets in."""
    router.send(ingress(101, *SERVICE[:1], "tcp", SERVICE[1], source_cidr_list=["203.0.114.0/24"]))
    try:
        with serving(router, "guest2", "tcp 22"):
            assert not router.tcp("public1", *SERVICE)
            done = router.run("vrouter", "explain", "--in", "eth2", "tcp", f"{CLIENT}:40000", "192.0.2.10:2222")
            assert done.returncode == 2
            hint = (
                f"no ingress rule for 192.0.2.10 tcp 2222 from {CLIENT}; "
                "it is let in only from 203.0.114.0/24 (firewallrules 101)"
            )
            assert done.stdout.splitlines()[-1].strip() == f"hint: {hint}"
            with tracing(router, "--packets", "1", "tcp", CLIENT, "192.0.2.10:2222") as trace:
                router.tcp("public1", *SERVICE)
                assert trace.end() == 0
            assert trace.text.splitlines()[-2].strip() == f"why: {hint}"
    finally:
        router.send(ingress(101, *SERVICE[:1], "tcp", SERVICE[1], source_cidr_list=["203.0.113.0/24"]))


def test_a_stopped_dnsmasq(router: Router) -> None:
    """One command: the first screen says it, and how to go on."""
    number = str(router.pid())
    router.sh("router", "kill", "-STOP", number)
    try:
        assert router.lease("guest1") == {}
        code, lines = status(router)
    finally:
        router.sh("router", "kill", "-CONT", number)
    assert code == 2
    assert f"dnsmasq (pid {number}) is stopped by a signal, answers nobody -> kill -CONT {number}" in wrong(lines)
    assert eventually(lambda: router.lease("guest1"))


def test_a_foreign_table_that_drops(router: Router) -> None:
    """Two commands: the first names the table that may drop, the second shows that this packet is dropped by it."""
    rule = f"ip daddr {GUEST} tcp dport 22 drop"
    with foreign(router, "inet", rule), serving(router, "guest2", "tcp 22"):
        code, lines = status(router)
        assert code == 2
        assert re.search(
            rf"foreign nft table inet other, chain mine .*can stop what is forwarded: {rule}", wrong(lines)
        )
        assert wrong(lines).endswith("-> nft list table inet other")
        with tracing(router, "--packets", "1", "tcp", CLIENT, "192.0.2.10:2222") as trace:
            assert not router.tcp("public1", *SERVICE)
            assert trace.end() == 0
        assert trace.text.splitlines()[-2].strip() == (
            f"does not pass: dropped by the foreign table inet other, chain mine, rule: {rule}"
        )
    assert status(router)[0] == 0
