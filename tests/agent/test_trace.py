"""`vrouter trace` on a router with its agent: real packets, foreign tables, and what is left of it when it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.agent import kit
from tests.system.commands import forward
from tests.system.kit import Router, eventually
from tests.system.probes import serving

TABLE = "table ip vrouter_trace"
COMMAND = r"c\d+\.json\.[0-9a-f-]+ of 20[0-9T:-]+Z\)"


@pytest.fixture(scope="module", autouse=True)
def guests(shared: Router) -> None:
    """They have their addresses before anything is traced."""
    for guest in ("guest1", "guest2", "guest3"):
        assert shared.lease(guest)


class Trace:
    """A trace that runs."""

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self.process, self.text = process, ""

    def end(self) -> int:
        """Its exit status, when it has ended."""
        out, error = self.process.communicate(timeout=20)
        assert b"Traceback" not in error, error.decode()
        self.text = out.decode()
        return int(self.process.returncode)


def tables(router: Router) -> list[str]:
    return router.sh("router", "nft", "list", "tables").splitlines()


@contextmanager
def tracing(router: Router, *words: str) -> Iterator[Trace]:
    """A trace that has begun; the next one can begin when the block ends."""
    process = router.lab.popen("router", ("vrouter", "trace", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert eventually(lambda: TABLE in tables(router), 10), process.communicate(timeout=1)
        yield Trace(process)
    finally:
        process.kill()
        process.wait()
    assert eventually(lambda: TABLE not in tables(router), 5)


@contextmanager
def foreign(router: Router, family: str, *rules: str) -> Iterator[None]:
    """Another program's table at the forward hook, before ours."""
    name = f"{family} other"
    lines = [f"add table {name}", f"add chain {name} mine {{ type filter hook forward priority -10; }}",
             *(f"add rule {name} mine {rule}" for rule in rules)]  # fmt: skip
    router.sh("router", "nft", "; ".join(lines))
    try:
        yield
    finally:
        router.sh("router", "nft", "delete", "table", *name.split())


def test_a_forwarded_packet_with_all_that_decided(shared: Router) -> None:
    words = ("--packets", "1", "--in", "eth2", "tcp", "any", "192.0.2.10:2222")
    with serving(shared, "guest2", "tcp 22"), tracing(shared, *words) as trace:
        assert shared.tcp("public1", "192.0.2.10", 2222)
        assert trace.end() == 0
    lines = [line.strip() for line in trace.text.splitlines()]
    assert re.fullmatch(r"tcp 203\.0\.113\.11:\d+ > 192\.0\.2\.10:2222, (new, )?in eth2", lines[0])
    place = lines.index("ip vrouter ingress: FI-1 port, from: lets it go on")
    assert re.fullmatch(rf"by ingress_from 192\.0\.2\.10 tcp 2222 \S+ \(firewallrules 101, {COMMAND}", lines[place + 1])
    place = lines.index("ip vrouter translate: PF-1 port: destination becomes 10.1.1.12:22")
    by = rf"by forward_port 192\.0\.2\.10 tcp 2222: 10\.1\.1\.12 \. 22 \(forwardingrules [^,]+, {COMMAND}"
    assert re.fullmatch(by, lines[place + 1])
    assert lines[place + 2].startswith("now 203.0.113.11:") and lines[place + 2].endswith(" > 10.1.1.12:22")
    assert "forward      ip vrouter forward: PF-9 translated to a guest: accepted" in lines
    assert re.fullmatch(r"passes: leaves by eth0 as 203\.0\.113\.11:\d+ > 10\.1\.1\.12:22", lines[-2])


def test_both_ways_and_as_json(shared: Router) -> None:
    words = ("--json", "--both", "--packets", "4", "--seconds", "3", "icmp", "10.1.1.12", "203.0.113.11")
    with tracing(shared, *words) as trace:
        assert shared.ping("guest2", "203.0.113.11") and shared.ping("guest2", "203.0.113.11")
        assert trace.end() == 0
    packets = json.loads(trace.text)["packets"]
    assert [packet["packet"]["in"] for packet in packets] == ["eth0", "eth2"] * 2
    assert [packet["ends"]["source"] for packet in packets] == ["192.0.2.10", "203.0.113.11"] * 2
    assert [packet["out"] for packet in packets] == ["eth2", "eth0"] * 2
    [snat] = [step for step in packets[0]["steps"] if step["chain"] == "srcnat" and step["because"]]
    assert snat["does"] == "source becomes 192.0.2.10" and snat["because"][-1]["origin"].startswith("ips ")


def test_egress_that_is_dropped(shared: Router) -> None:
    with tracing(shared, "--packets", "1", "tcp", "10.1.1.0/24", "any:81") as trace:
        assert not shared.tcp("guest2", "203.0.113.11", 81)
        assert trace.end() == 0
    assert "ip vrouter egress: FE-5 denied by default: dropped" in trace.text
    assert "does not pass: dropped by table ip vrouter, chain egress, rule: FE-5 denied by default" in trace.text


@pytest.mark.parametrize("family", ["ip", "inet"])
def test_a_foreign_table_that_drops_is_named_with_its_rule(shared: Router, family: str) -> None:
    with foreign(shared, family, "ip daddr 10.1.1.12 tcp dport 22 counter drop"), serving(shared, "guest2", "tcp 22"):
        with tracing(shared, "--packets", "1", "tcp", "any", "192.0.2.10:2222") as trace:
            assert not shared.tcp("public1", "192.0.2.10", 2222)
            assert trace.end() == 0
        said = trace.text.splitlines()
        assert f"  forward      {family} other mine: ip daddr 10.1.1.12 tcp dport 22 drop" in said
        assert (
            f"  does not pass: dropped by the foreign table {family} other, chain mine, rule: "
            "ip daddr 10.1.1.12 tcp dport 22 drop" in said
        )


def test_a_packet_that_no_way_leads_on(shared: Router) -> None:
    """The kernel drops it between the hooks; what `explain` reckons says why."""
    assert shared.ping("guest2", "10.1.1.1"), "it knows the router's MAC"
    shared.sh("guest2", "ip", "addr", "add", "10.9.9.9/32", "dev", "lo")
    with tracing(shared, "--packets", "1", "icmp", "10.9.9.9") as trace:
        assert not shared.ping("guest2", "10.1.1.1", "-I", "10.9.9.9")
        assert trace.end() == 0
    assert "does not pass: not routed; every rule at prerouting let it go on" in trace.text
    assert "why: the way back to 10.9.9.9 is eth2, not eth0 (rp_filter 1)" in trace.text


def test_none_seen(shared: Router) -> None:
    with tracing(shared, "--seconds", "1", "tcp", "203.0.113.99", "192.0.2.10:2222") as trace:
        assert trace.end() == 2
    assert "no packet seen in 1" in trace.text and "the databags say that the router would let it pass" in trace.text
    assert shared.run("vrouter", "trace", "tcp", "nobody").returncode == 64
    assert shared.run("vrouter", "trace", "--in", "eth9").returncode == 1


def interrupted(trace: Trace) -> None:
    trace.process.send_signal(signal.SIGINT)
    assert trace.end() == 130 and "10.1.1.12 > 203.0.113.11" in trace.text


def terminated(trace: Trace) -> None:
    trace.process.send_signal(signal.SIGTERM)
    trace.end()


def killed(trace: Trace) -> None:
    trace.process.send_signal(signal.SIGKILL)
    trace.process.wait()


@pytest.mark.parametrize("ending", [interrupted, terminated, killed])
def test_it_leaves_nothing_and_the_agent_does_not_mind(shared: Router, ending: Callable[[Trace], None]) -> None:
    before, agent = shared.state(), kit.pid(shared)
    with kit.logged(shared) as said, tracing(shared, "--seconds", "60", "icmp") as trace:
        assert shared.ping("guest2", "203.0.113.11")
        shared.send(forward("192.0.2.12", 2300, "10.1.1.12", 22))
        shared.send(forward("192.0.2.12", 2300, "10.1.1.12", 22, revoke=True))
        ending(trace)
        assert eventually(lambda: TABLE not in tables(shared))
    assert kit.differences(shared, before) == {}
    assert not any("drift" in line for line in said) and kit.pid(shared) == agent


def test_without_an_agent_one_at_a_time_and_without_databags(shared: Router) -> None:
    """The last of this module: it stops the agent and spoils a databag."""
    kit.stop(shared)
    with tracing(shared, "--packets", "1", "icmp", "10.1.1.12") as trace:
        other = shared.run("vrouter", "trace", "--seconds", "1")
        assert (other.returncode, other.stdout) == (1, "") and "another vrouter trace runs" in other.stderr
        assert shared.ping("guest2", "203.0.113.11")
        assert trace.end() == 0
    assert "(firewallrules 204, " in trace.text
    shared.lab.put("router", "/etc/cloudstack/ips.json", b"{")
    with tracing(shared, "--packets", "1", "icmp", "10.1.1.12") as trace:
        assert shared.ping("guest2", "203.0.113.11")
        assert trace.end() == 0
    assert 'comment "FE-2 permit icmp [' in trace.text and "passes: leaves by eth2 as 192.0.2.10" in trace.text
    assert "the databags cannot be asked" in trace.text
