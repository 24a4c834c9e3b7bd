"""History, rollback and changes that go back by themselves, on a router at work."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import Any

import pytest

from tests.agent.kit import address, forward, forwards, host, pid, ports, start, stop
from tests.agent.test_storm import pushed
from tests.system.commands import egress, ingress, static_nat
from tests.system.kit import Document, Router, eventually, example, sorted_lists


def draw(number: int, chance: random.Random) -> Document:
    """A change of some kind; often one of something that was there before."""
    place = chance.randrange(12)
    revoke = chance.random() < 0.4
    return chance.choice(
        [
            forwards(forward(5000 + place, f"10.1.1.{chance.choice((11, 12, 13))}", revoke=revoke)),
            host(100 + place, remove=revoke),
            address(100 + place, add=not revoke, source_nat=chance.random() < 0.3),
            ingress(5000 + place, "192.0.2.11", "tcp", 100 + number, revoked=revoke),
            egress(6000 + place, "tcp", 100 + number, revoked=revoke),
            static_nat("192.0.2.14", f"10.1.1.{100 + place}", revoke),
        ]
    )


def history(router: Router) -> list[dict[str, Any]]:
    """The states that are kept."""
    states: list[dict[str, Any]] = json.loads(router.sh("router", "vrouter", "history", "--json"))["states"]
    return states


def whole(router: Router) -> Any:
    """The router's state, the order in bags' lists left out (design 4a)."""
    return sorted_lists(router.state())


def test_back_to_any_of_fifty_states(served: Router) -> None:
    chance = random.Random(4)
    seen: dict[int, Any] = {history(served)[-1]["number"]: whole(served)}
    for number in range(200):
        done = served.send(draw(number, chance))["files"][0]
        if done["state"]:
            seen[done["state"]] = whole(served)
        if len(seen) == 50:
            break
    assert [state["number"] for state in history(served)][-49:] == sorted(seen)[1:]
    first = min(seen)
    for _ in range(12):
        number = chance.choice([state["number"] - 1 for state in history(served) if state["number"] - 1 in seen])
        planned = json.loads(served.run("vrouter", "rollback", str(number), "--dry-run", "--json").stdout)["changes"]
        done = json.loads(served.sh("router", "vrouter", "rollback", str(number), "--json"))
        assert done["changes"] == planned
        assert whole(served) == seen[number], number
        seen[done["files"][0]["state"]] = seen[number]
    assert first in seen


def test_back_within_a_second_with_a_thousand_guests(served: Router) -> None:
    before, number = whole(served), history(served)[-1]["number"]
    hosts = [host(n, ipv4_address=f"10.1.{n // 250 + 1}.{n % 250 + 2}") for n in range(20, 1020)]
    rules = [forwards(*(forward(port) for port in range(7000, 7500)))]
    served.send(*rules)
    many = history(served)[-1]["number"]
    assert set(pushed(served, hosts, 8, "many")) == {(0, "")}
    first = history(served)[0]["number"] - 1
    guests = len(served.sh("router", "ls", "/var/lib/vrouter/dnsmasq/leases").split())
    found = json.loads(served.sh("router", "vrouter", "rollback", str(first), "--json"))["files"][0]
    back = json.loads(served.sh("router", "vrouter", "rollback", str(found["state"] - 1), "--json"))["files"][0]
    print(f"\n50 of {guests} guests: {found['elapsed_ms']:.0f} ms, {back['elapsed_ms']:.0f} ms")
    assert max(found["elapsed_ms"], back["elapsed_ms"]) < 1000
    assert before and number < many


def test_what_is_not_kept_is_refused(served: Router) -> None:
    for arguments in (("rollback", "999"), ("diff", "1", "999"), ("rollback", "-1")):
        done = served.run("vrouter", *arguments)
        assert done.returncode in (1, 64) and "Traceback" not in done.stderr and done.stderr
    assert served.run("vrouter", "confirm").returncode == 1


# -- unconfirmed changes ----------------------------------------------------------------------------------------------


@pytest.fixture
def file(served: Router) -> str:
    """A command in the router's files."""
    served.lab.put("router", "/root/f.json", json.dumps(forwards(forward(5100))).encode())
    return "/root/f.json"


def test_unconfirmed_changes_go_back_and_later_ones_stay(served: Router, file: str) -> None:
    done = served.run("vrouter", "apply", "--confirm", "2", file)
    assert done.returncode == 0 and "vrouter confirm keeps it" in done.stderr
    again = served.run("vrouter", "apply", "--confirm", "2", file)
    assert again.returncode == 1 and "another change waits" in again.stderr
    served.send(forwards(forward(5101)))
    assert {5100, 5101} <= ports(served)
    assert eventually(lambda: 5100 not in ports(served), 5) and 5101 in ports(served)
    assert served.run("vrouter", "apply", "--confirm", "2", file).returncode == 0
    assert served.sh("router", "vrouter", "confirm") == "kept\n"
    time.sleep(3)
    assert 5100 in ports(served)


def test_without_agent_and_with_one_that_died(served: Router, file: str) -> None:
    stop(served)
    assert served.run("vrouter", "apply", "--confirm", "1", file).returncode == 0
    assert eventually(lambda: 5100 not in ports(served), 6)
    assert start(served).returncode == 0
    assert served.run("vrouter", "apply", "--confirm", "600", file).returncode == 0
    stop(served, "KILL")
    served.sh("router", "pkill", "-KILL", "-f", "vrouter confirm")
    assert start(served).returncode == 0 and pid(served)
    assert 5100 not in ports(served), "nobody waits for a confirmation any more"


def test_it_goes_back_when_it_cuts_the_operators_own_connection(served: Router) -> None:
    """The operator comes in over the control network, as by SSH, and changes the control address."""
    before = whole(served)
    served.lab.popen("router", ("busybox", "nc", "-ll", "-p", "3922", "-e", "/bin/sh"))
    boot = example("isolated/01-cmdline")
    boot["cmd_line"] = {**boot["cmd_line"], "eth1ip": "169.254.77.77"}
    served.lab.put("router", "/root/boot.json", json.dumps(boot).encode())
    address = example("isolated/01-cmdline")["cmd_line"]["eth1ip"]
    script = (
        "import socket,sys,time\n"
        f"s=socket.create_connection(('{address}',3922),5); s.settimeout(3)\n"
        "s.sendall(b'vrouter apply --confirm 9 /root/boot.json >/dev/null 2>&1\\n'); time.sleep(2)\n"
        "s.sendall(b'echo still here\\n')\n"
        "try: print(s.recv(100))\n"
        "except OSError as error: print('cut')\n"
    )
    assert "cut" in served.sh("control", "python3", "-c", script)
    assert "169.254.77.77" in served.sh("router", "ip", "-4", "addr", "show", "eth1")
    assert eventually(lambda: whole(served) == before, 20)


def test_the_operators_session_ends(served: Router, file: str) -> None:
    operator = served.lab.popen("router", ("sh", "-c", f"vrouter apply --confirm 3 {file}; sleep 60"))
    assert eventually(lambda: 5100 in ports(served))
    operator.send_signal(signal.SIGHUP)
    operator.kill()
    operator.communicate()
    assert eventually(lambda: 5100 not in ports(served), 8)
