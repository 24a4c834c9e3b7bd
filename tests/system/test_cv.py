"""Convergence, by packets and counters (contract dataplane 1.4)."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest

from tests.system.commands import boot, forward, gone, ingress, ips, public, static_nat, tier
from tests.system.kit import ISOLATED, Router, eventually, example
from tests.system.probes import knocking, serving
from tests.system.wire import running
from vrouter.lab.lab import Lab

FILES = [path.stem for path in ISOLATED]
INTERFACES = FILES[:3]

HOG = """
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((sys.argv[1], 53)); s.listen()
print('up', flush=True); s.accept()
"""
"""Takes a port that dnsmasq needs."""


@cache
def expected() -> dict[str, Any]:
    """The state after the files of the isolated example in their order."""
    with Lab.up("isolated", f"order{random.getrandbits(32):08x}") as lab:
        router = Router(lab)
        router.send(*(example(f"isolated/{name}") for name in FILES))
        return router.state()


def shuffled(seed: int, names: Sequence[str]) -> list[str]:
    return random.Random(seed).sample(names, len(names))


def test_cv_1_any_order_of_the_rest_after_the_interfaces(bare: Router) -> None:
    for name in [*INTERFACES, *shuffled(1, FILES[3:])]:
        assert bare.update_config(example(f"isolated/{name}")).returncode == 0
    assert bare.state() == expected()


@pytest.mark.parametrize("seed", [2, 3])
def test_cv_1_what_comes_before_its_interface_waits_for_it(bare: Router, seed: int) -> None:
    """Any order at all, in one process."""
    order = shuffled(seed, FILES)
    done = bare.send(*(example(f"isolated/{name}") for name in order))
    assert [entry["refused"] for entry in done["files"]] == [False] * len(FILES)
    assert done["pending"] == []
    assert bare.state() == expected()


def test_cv_1_the_interfaces_last(bare: Router) -> None:
    rest = bare.send(*(example(f"isolated/{name}") for name in FILES[3:]))
    needs = {item["needs"] for item in rest["pending"]}
    assert {"public address 192.0.2.10", "a guest subnet for 10.1.1.11"} <= needs
    for name in reversed(INTERFACES):
        assert bare.update_config(example(f"isolated/{name}")).returncode == 0
    assert bare.state() == expected()
    assert bare.http("router", "203.0.113.11") == "192.0.2.10"


def test_cv_1_all_files_at_once(bare: Router) -> None:
    names = [bare.put(example(f"isolated/{name}"), f"{name}.json.1") for name in shuffled(4, FILES)]
    with ThreadPoolExecutor(len(names)) as pool:
        done = list(pool.map(lambda name: bare.run("/opt/cloud/bin/update_config.py", name), names))
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * len(names)
    assert bare.state() == expected()
    assert bare.run("vrouter", "converge").stdout == "nothing to change\n"


def test_cv_2_the_same_file_twice_changes_nothing(fresh: Router) -> None:
    before = (fresh.generation(), fresh.pid(), fresh.state())
    for path in ISOLATED:
        done = fresh.update_config(example(f"isolated/{path.stem}"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (fresh.generation(), fresh.pid(), fresh.state()) == before


def drift(router: Router) -> None:
    """What foreign hands may do to what is ours."""
    for line in (
        "nft add element ip vrouter ingress_port { 192.0.2.10 . tcp . 23 }",
        "nft delete element ip vrouter static_dnat { 192.0.2.11 }",
        "nft add rule ip vrouter input tcp dport 23 accept", "nft add chain ip vrouter strange",
        "nft add set ip vrouter odd { type ipv4_addr; }",
        "ip address add 192.0.2.66/24 dev eth2", "ip address del 192.0.2.12/24 dev eth2", "ip link set eth3 mtu 1300",
        "ip route add 172.16.9.0/24 via 198.51.100.1 table 103", "ip rule del priority 2103",
        "ip rule add from 10.1.1.99 table 103 priority 700 protocol 118", "ip route del default",
        "sysctl -qw net.ipv4.ip_forward=0", "rm /var/lib/vrouter/dnsmasq/names/10.1.1.12",
        "cp /etc/dnsmasq.d/cloud.conf /var/lib/vrouter/dnsmasq/leases/10.1.1.77", "sed -i 1d /etc/dnsmasq.d/cloud.conf",
    ):  # fmt: skip
        router.sh("router", *line.split())


def test_cv_3_a_command_repairs_what_foreign_hands_did(fresh: Router) -> None:
    assert fresh.lease("guest1")
    before = fresh.state()
    drift(fresh)
    planned = fresh.plan(example("isolated/10-dhcpentry-web1"))["changes"]
    assert {(change["action"], change["kind"]) for change in planned} >= {
        ("remove", "element"), ("add", "element"), ("change", "chain"), ("remove", "chain"), ("remove", "set"),
        ("remove", "address"), ("add", "address"), ("change", "link"), ("remove", "route"), ("add", "route"),
        ("remove", "rule"), ("add", "rule"), ("change", "sysctl"), ("change", "host"), ("change", "file"),
    }  # fmt: skip
    assert fresh.state() != before
    assert fresh.send(example("isolated/10-dhcpentry-web1"))["changes"] == planned
    assert fresh.state() == before
    assert fresh.http("public1", "192.0.2.11:443") == "203.0.113.11"
    assert "10.1.1.12" in fresh.dig("guest1", "@10.1.1.1", "web2")


def test_cv_3_converge_repairs_what_foreign_hands_did(fresh: Router) -> None:
    before = fresh.state()
    drift(fresh)
    shown = fresh.run("vrouter", "converge", "--dry-run", "--json")
    assert shown.returncode == 2 and fresh.state() != before
    assert json.loads(fresh.run("vrouter", "converge", "--json").stdout) == json.loads(shown.stdout)
    assert fresh.run("vrouter", "converge", "--dry-run").returncode == 0
    assert fresh.state() == before
    fresh.sh("router", "nft", "delete", "table", "ip", "vrouter")
    fresh.sh("router", "kill", str(fresh.pid()))
    assert fresh.run("vrouter", "converge").returncode == 0
    assert fresh.state() == before
    assert eventually(lambda: fresh.dig("router", "@10.1.1.1", "web2.tenant1.example.com"))


def test_cv_3_what_is_removed_leaves_nothing(fresh: Router) -> None:
    before = fresh.state()
    mac = "02:00:4c:01:00:04"
    fresh.lab.add_link("router", "eth4", "guest", mac)
    document = tier("eth4", mac, "10.1.2.1")
    fresh.send(
        document, ips(public("198.51.100.20")), static_nat("198.51.100.20", "10.1.2.9"),
        forward("192.0.2.12", 99, "10.1.2.8", 9), ingress(901, "198.51.100.20", "tcp", 9),
    )  # fmt: skip
    fresh.send(
        ingress(901, "198.51.100.20", "tcp", 9, revoked=True), forward("192.0.2.12", 99, "10.1.2.8", 9, revoke=True),
        static_nat("198.51.100.20", "10.1.2.9", revoke=True), gone("198.51.100.20"), {**document, "add": False},
    )  # fmt: skip
    fresh.lab.remove_link("router", "eth4")
    after = fresh.state()
    assert after["bags"].pop("/etc/cloudstack/guestnetwork.json") == {"id": "guestnetwork"}  # empty, as the reference
    assert after == before


def test_cv_4_a_daemon_that_cannot_run_keeps_no_rule_back(fresh: Router) -> None:
    assert fresh.lease("guest3")
    fresh.sh("router", "kill", str(fresh.pid()))
    assert eventually(lambda: not fresh.sh("router", "pidof", "dnsmasq", ok=False))
    with running(fresh, "router", HOG, "10.1.1.1"):
        for document in (forward("192.0.2.12", 81, "10.1.1.13", 80), ingress(901, "192.0.2.12", "tcp", 81)):
            done = fresh.update_config(document)
            assert (done.returncode, done.stderr) == (0, "")
        assert fresh.http("public1", "192.0.2.12:81") == "203.0.113.11"
        failed = fresh.run("vrouter", "converge")
        assert failed.returncode == 1
        assert "dnsmasq" in failed.stderr
    assert fresh.run("vrouter", "converge").returncode == 0
    assert fresh.lease("guest3")


def test_cv_4_what_waits_keeps_nothing_else_back(fresh: Router) -> None:
    fresh.send(static_nat("192.0.2.77", "10.1.1.12"), forward("192.0.2.78", 80, "10.9.9.9", 80))
    assert fresh.lease("guest3")
    fresh.send(forward("192.0.2.12", 81, "10.1.1.13", 80), ingress(901, "192.0.2.12", "tcp", 81))
    assert fresh.http("public1", "192.0.2.12:81") == "203.0.113.11"


def test_cv_6_connections_open_while_the_policy_changes(fresh: Router) -> None:
    assert fresh.lease("guest2")
    with serving(fresh, "guest2", "tcp 22"), knocking(fresh, "public1", "192.0.2.10", 2222) as loop:
        for number in range(3):
            assert fresh.update_config(ingress(901, "192.0.2.12", "tcp", 81 + number)).returncode == 0
            fresh.send(forward("192.0.2.12", 81 + number, "10.1.1.13", 80), static_nat("192.0.2.12", "10.1.1.13"),
                       static_nat("192.0.2.12", "10.1.1.13", revoke=True))  # fmt: skip
            fresh.sh("router", "nft", "add", "rule", "ip", "vrouter", "input", "tcp", "dport", "23", "accept")
            assert fresh.run("vrouter", "converge").returncode == 0  # replaces the whole table
    assert loop.failed == 0
    assert loop.count > 50


def test_cv_6_a_change_of_the_policy_is_one_transaction(fresh: Router) -> None:
    before = fresh.generation()
    rules = [ingress(number, "192.0.2.12", "tcp", number)["rules"][0] for number in range(900, 950)]
    fresh.send({"type": "firewallrules", "rules": rules})
    assert fresh.generation() == before + 1
    fresh.send(boot(disable_rp_filter=None))
    assert fresh.generation() == before + 2
    fresh.sh("router", "nft", "add", "rule", "ip", "vrouter", "input", "tcp", "dport", "23", "accept")
    assert fresh.run("vrouter", "converge").returncode == 0
    assert fresh.generation() == before + 4
