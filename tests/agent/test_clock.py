"""Clocks that jump: commands are done in their order, none is lost, the next ones work."""

from __future__ import annotations

import json
import time

import pytest

from tests.agent import kit
from tests.agent.commands import forward, forwards
from tests.system.kit import Document, Router, eventually

YEAR_S = 365 * 86400
JUMPS_S = (10 * YEAR_S, -30 * YEAR_S, 0, 10 * YEAR_S, -30 * YEAR_S)
CLOCK = """
import time
real, real_ns = time.time, time.time_ns
def shift_s():
    try:
        with open('/tmp/shift') as file:
            return int(file.read())
    except OSError:
        return 0
time.time = lambda: real() + shift_s()
time.time_ns = lambda: real_ns() + shift_s() * 10**9
"""
"""The machine's own clock cannot be set for one lab: the agent's is shifted by the seconds in a file."""


def jump(router: Router, by_s: int) -> None:
    router.lab.put("router", "/tmp/shift", str(by_s).encode())


@pytest.fixture
def jumping(served: Router) -> Router:
    """A router whose agent's clock jumps as `jump` says."""
    kit.restart(served, launcher=CLOCK)
    return served


def in_order(number: int) -> list[tuple[str, Document]]:
    """Commands of which each undoes a part of the one before."""
    port = 5000 + 10 * number
    return [
        (f"c.json.{number}", forwards(forward(port, "10.1.1.11"), forward(port + 1))),
        (f"b.json.{number}", forwards(forward(port, "10.1.1.12"), forward(port + 2))),
        (f"a.json.{number}", forwards(forward(port + 1, revoke=True), forward(port + 2, "10.1.1.11"))),
    ]


def test_a_clock_that_jumps_between_commands(jumping: Router, reference: Router) -> None:
    names = set()
    for number, by_s in enumerate(JUMPS_S):
        jump(jumping, by_s)
        dropped, asked = in_order(number), in_order(number + len(JUMPS_S))
        kit.push(jumping, *dropped)
        for name, document in asked:
            done = jumping.update_config(document, name)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        names |= {f"{name}.gz" for name, _ in [*dropped, *asked]}
        reference.send(*(document for _, document in [*dropped, *asked]))
    assert eventually(lambda: kit.settled(jumping)) and names <= set(kit.listed(jumping, "processed"))
    assert jumping.state() == reference.state()


@pytest.mark.parametrize("by_s", [10 * YEAR_S, -30 * YEAR_S])
def test_a_clock_that_jumps_between_two_agents(jumping: Router, by_s: int) -> None:
    """What the first one had claimed comes first, in the order of its claims; then what was dropped meanwhile."""
    kit.restart(jumping, launcher=CLOCK, fault="decided")
    jump(jumping, -by_s)
    first, second = in_order(0), in_order(1)
    kit.push(jumping, *first)
    assert kit.ended(jumping)
    claimed = kit.inside(jumping, f"{kit.CACHE}/claimed/{first[0][0]}").stat().st_mtime
    assert abs(claimed + by_s - time.time()) < YEAR_S, "the launcher shifts the agent's clock"
    jump(jumping, by_s)
    kit.push(jumping, *second)
    assert kit.start(jumping, launcher=CLOCK).returncode == 0
    assert eventually(lambda: kit.settled(jumping)) and kit.listed(jumping, "failed") == []
    found = {element[0]["concat"][2]: element[1]["concat"][0] for element in jumping.elements("forward_port")}
    wanted = {5000: "10.1.1.12", 5002: "10.1.1.11", 5010: "10.1.1.12", 5012: "10.1.1.11"}
    assert {port: guest for port, guest in found.items() if 5000 <= port < 5100} == wanted
    assert jumping.update_config(forwards(forward(5090))).returncode == 0 and 5090 in kit.ports(jumping)


def test_files_of_other_years(served: Router) -> None:
    kit.stop(served)
    later = [forwards(forward(3041, "10.1.1.11")), forwards(forward(3041, "10.1.1.12"))]
    for number, document in enumerate(later):
        path = f"{kit.CACHE}/claimed/f.json.{number}"
        served.lab.put("router", path, json.dumps(document).encode())
        served.sh("router", "touch", "-d", f"2040-01-0{number + 1}", path)
    served.put(forwards(forward(3041, revoke=True), forward(3042)), "g.json.1")
    served.sh("router", "touch", "-d", "1971-01-01", f"{kit.CACHE}/g.json.1")
    served.put(forwards(forward(3043)), "g.json.2")
    served.sh("router", "touch", "-d", "2040-01-05", f"{kit.CACHE}/g.json.2")
    assert kit.start(served).returncode == 0
    assert served.run(kit.UPDATE, "g.json.1").returncode == 0 and served.run(kit.UPDATE, "g.json.2").returncode == 0
    assert {3042, 3043} <= kit.ports(served) and 3041 not in kit.ports(served)
