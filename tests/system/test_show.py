"""`status` and `show` on a real router: planted faults are named, connections and leases are seen."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.system.commands import forward, gone, ingress, public
from tests.system.kit import ISOLATED, Router, eventually, example

OPEN = ingress(901, "192.0.2.10", "tcp", 8081)
LED = forward("192.0.2.10", 8081, "10.1.1.12", 8081)


@pytest.fixture(scope="module")
def shown(lone: Callable[[], AbstractContextManager[Router]]) -> Iterator[Router]:
    """A router of its own for this module, with the isolated example and leases; each test leaves it as it was."""
    with lone() as router:
        router.send(*(example(f"isolated/{path.stem}") for path in ISOLATED), OPEN, LED)
        assert router.lease("guest1") and router.lease("guest2")
        yield router


@pytest.fixture(scope="module")
def resident(shown: Router) -> Iterator[Router]:
    """The same with an agent; asked for by the last tests, since the others look without one."""
    shown.sh("router", "vrouter", "agent", "--background")
    yield shown
    shown.sh("router", "pkill", "-CONT", "-f", "vrouter agent$")
    shown.sh("router", "pkill", "-f", "vrouter agent$")


def status(router: Router, code: int) -> dict[str, Any]:
    done = router.run("vrouter", "status", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def problems(router: Router) -> dict[str, str]:
    return {problem["what"]: problem["says"] for problem in status(router, 2)["problems"]}


def rows(router: Router, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(router.sh("router", "vrouter", "show", *arguments, "--json"))["rows"]
    return found


def test_all_is_well_and_told_on_one_screen(shown: Router) -> None:
    found = status(shown, 0)
    assert found["well"] and found["router"]["name"] == "r-101-VM" and found["router"]["guests"] == 3
    assert {one["state"] for one in found["interfaces"]} == {"up"}
    [daemon] = found["daemons"]
    assert (daemon["name"], daemon["state"], daemon["pid"]) == ("dnsmasq", "running", shown.pid())
    assert {one["result"] for one in found["commands"]} == {"done"}
    assert found["agent"]["state"] == "not running"
    for name in ("forwards", "routes"):
        assert {row["state"] for row in rows(shown, name)} == {"in effect"}, name


def test_a_stopped_dnsmasq_is_named(shown: Router) -> None:
    pid = shown.pid()
    shown.sh("router", "kill", "-STOP", str(pid))
    try:
        assert f"dnsmasq (pid {pid}) is stopped by a signal" in problems(shown)["daemon"]
    finally:
        shown.sh("router", "kill", "-CONT", str(pid))


def test_a_dead_dnsmasq_is_named(shown: Router) -> None:
    shown.sh("router", "kill", "-KILL", str(shown.pid()))
    found = problems(shown)
    assert "dnsmasq does not run" in found["daemon"] and "drift" in found
    assert shown.run("vrouter", "converge").returncode == 0


def test_a_foreign_table_that_drops_is_named(shown: Router) -> None:
    shown.sh(
        "router",
        "nft",
        "add table inet bad; add chain inet bad f { type filter hook forward priority -5; policy drop; }",
    )
    try:
        said = problems(shown)["foreign"]
        assert said.startswith("nft table inet bad, chain f (hook forward, priority filter - 5) drops")
    finally:
        shown.sh("router", "nft", "delete", "table", "inet", "bad")


def test_foreign_routes_are_named(shown: Router) -> None:
    shown.sh("router", "ip", "route", "add", "blackhole", "203.0.113.77/32")
    try:
        assert "route blackhole 203.0.113.77/32" in problems(shown)["foreign"]
    finally:
        shown.sh("router", "ip", "route", "del", "blackhole", "203.0.113.77/32")


def test_drift_is_shown_where_it_is(shown: Router) -> None:
    shown.sh("router", "nft", "delete", "element", "ip", "vrouter", "forward_port", "{ 192.0.2.10 . tcp . 8081 }")
    shown.sh("router", "ip", "addr", "add", "10.9.9.9/24", "dev", "eth0")
    shown.sh("router", "ip", "rule", "del", "priority", "1102")
    [lost] = rows(shown, "forwards", "--wrong")
    assert (lost["state"], lost["public_ports"]) == ("differs", "8081")
    assert [row["address"] for row in rows(shown, "addresses") if row["state"] == "foreign"] == ["10.9.9.9/24"]
    assert [row["to"] for row in rows(shown, "routes", "--wrong")] == ["mark 102"]
    assert "drift" in problems(shown)
    assert shown.run("vrouter", "converge").returncode == 0
    assert rows(shown, "forwards", "--wrong") == []


def test_a_refused_command_is_named_until_it_succeeds(shown: Router) -> None:
    assert shown.update_config({"type": "ips", "ip_address": [{"public_ip": "x"}]}, "ips.json.77").returncode == 1
    assert "ips.json.77 was refused" in problems(shown)["command"]
    assert shown.update_config(example("isolated/02-ips-source-nat"), "ips.json.77").returncode == 0
    assert status(shown, 0)["well"]


def test_a_file_that_nobody_takes_is_named(shown: Router) -> None:
    shown.put({"type": "ips", "ip_address": []}, "ips.json.78")
    shown.sh("router", "touch", "-d", "10 minutes ago", "/var/cache/cloud/ips.json.78")
    try:
        assert "1 command file not done, the oldest for 10 min" in problems(shown)["queue"]
    finally:
        shown.sh("router", "rm", "/var/cache/cloud/ips.json.78")


def test_leases_and_connections_are_seen(shown: Router) -> None:
    assert {row["address"] for row in rows(shown, "leases")} >= {"10.1.1.11", "10.1.1.12"}
    assert [row["leased"] for row in rows(shown, "dhcp", "--find", "web1")] == [True]
    with shown.tcp_server("guest2", 8081), shown.stream("public1", "192.0.2.10", 8081) as stream:
        assert stream.greeting.startswith("203.0.113.11")
        [row] = rows(shown, "connections", "--guest", "10.1.1.12", "--find", "8081")
        assert (row["kind"], row["answers"], row["guest"]) == ("forward", "10.1.1.12", "web2")
        assert row["origin"] == "forwardingrules 192.0.2.10 tcp 8081:8081" and row["state"] == "established"
        by_public = rows(shown, "connections", "--public", "192.0.2.10", "--find", "8081")
        assert [one["origin"] for one in by_public] == [row["origin"]]
        planned = shown.plan(forward("192.0.2.10", 8081, "10.1.1.12", 8081, revoke=True))
        assert planned["files"][0]["ends"]["connections"] == 1
    assert any(row["name"] == "eth2" and row["packets"] for row in rows(shown, "counters"))


def test_plan_for_people_names_daemons_and_files(shown: Router) -> None:
    document = example("isolated/01-cmdline")
    document["cmd_line"]["domain"] = "other.example.com"
    shown.lab.put("router", "/tmp/domain.json", json.dumps(document).encode())
    done = shown.run("vrouter", "plan", "/tmp/domain.json")
    assert (
        done.returncode == 2 and "+domain=other.example.com" in done.stdout and "dnsmasq would restart" in done.stdout
    )
    planned = shown.plan(ips_gone())
    assert planned["files"][0]["ends"]["rules"] == ["to and from 192.0.2.12, which goes"]
    assert planned["changes"] and planned["pending"]


def ips_gone() -> dict[str, Any]:
    return dict(gone(public("192.0.2.12")["public_ip"]))


def test_a_terminal_gets_colours_and_its_width(shown: Router) -> None:
    text = _on_terminal(shown, "vrouter", "show", "forwards")
    assert "\x1b[1m" in text and max(len(line) for line in text.splitlines()) < 100


def _on_terminal(router: Router, *argv: str) -> str:
    """What a program says to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    process = router.lab.popen("router", ("env", "COLUMNS=80", "TERM=xterm", *argv), stdout=theirs)
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
        process.wait()
    return said.decode()


def test_watch_goes_on_until_ctrl_c(shown: Router) -> None:
    process = shown.lab.popen("router", ("vrouter", "show", "nat", "--watch", "0.2"), stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(9)]
    shown.sh("router", "pkill", "-INT", "-f", "show nat --watch")
    assert sum(b"---" in (line if isinstance(line, bytes) else line.encode()) for line in lines) >= 2
    process.stdout.close()
    assert process.wait(timeout=5) in (130, -signal.SIGINT)


def test_the_agent_answers_and_tells_of_itself(resident: Router) -> None:
    resident.update_config(OPEN, "firewall_rules.json.91")
    begin = time.monotonic()
    found = status(resident, 0)
    took = time.monotonic() - begin
    assert found["agent"]["state"] == "running" and found["agent"]["memory_bytes"] > 1_000_000
    assert found["commands"][0]["file"] == "firewall_rules.json.91" and found["commands"][0]["took_ms"] > 0
    assert took < 2
    resident.sh("router", "sysctl", "-qw", "net.ipv4.ip_forward=0")  # of which no notification tells
    try:
        assert "drift" in problems(resident)
    finally:
        resident.sh("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    assert eventually(lambda: resident.run("vrouter", "status").returncode == 0)


def test_an_agent_that_is_stopped_is_named(resident: Router) -> None:
    pid = str(status(resident, 0)["agent"]["pid"])
    resident.sh("router", "kill", "-STOP", pid)
    try:
        assert f"the agent (pid {pid}) is stopped by a signal" in problems(resident)["agent"]
    finally:
        resident.sh("router", "kill", "-CONT", pid)
