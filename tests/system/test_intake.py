"""Who takes a command file, what update_config and vrouter answer, and what is finished after a crash."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.system.kit import ISOLATED, Router, example

CACHE = "/var/cache/cloud"
UPDATE = "/opt/cloud/bin/update_config.py"
BOOT, IPS = example("isolated/01-cmdline"), example("isolated/02-ips-source-nat")


def listed(router: Router, directory: str) -> list[str]:
    return router.sh("router", "ls", f"{CACHE}/{directory}").split()


def forward(port: int) -> dict[str, Any]:
    rule = example("forwardrules")["rules"][0] | {"source_port_range": f"{port}:{port}"}
    return {"type": "forwardrules", "rules": [rule | {"destination_port_range": "80:80"}]}


def ports(router: Router) -> set[int]:
    """The public ports that single forwards have."""
    return {element[0]["concat"][2] for element in router.elements("forward_port")}


def test_the_first_command_of_a_router(bare: Router) -> None:
    """It has no suffix and is archived with one (contract commands 2.4)."""
    done = bare.update_config(BOOT, "cmd_line.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    [archived] = listed(bare, "processed")
    assert archived.startswith("cmd_line.json.") and len(archived) == len("cmd_line.json..gz") + 36
    assert bare.run(UPDATE, "cmd_line.json").returncode == 1
    assert bare.update_config(BOOT, "cmd_line.json", "false").returncode == 0
    assert listed(bare, "processed") == [archived]
    refused = bare.update_config(example("cmdline-vpc"), "cmd_line.json")
    assert refused.returncode == 1 and "not supported yet: router kind 'vpcrouter'" in refused.stderr


def test_pending_boot_arguments_are_taken_first(bare: Router) -> None:
    bare.put(BOOT, "cmd_line.json")
    done = bare.update_config(IPS, "ip_associations.json.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(listed(bare, "processed")) == 2 and not listed(bare, "failed") and not listed(bare, "claimed")
    assert "cmdline.json" in bare.sh("router", "ls", "/etc/cloudstack")
    assert bare.run("test", "-e", f"{CACHE}/cmd_line.json").returncode == 1


def test_malformed_pending_boot_arguments_block_nothing(bare: Router) -> None:
    for content in (
        b'{"type": "cmdline", "cmd_line": {"name": "a"b"}}',
        b"",
        json.dumps(example("cmdline-vpc")).encode(),
    ):
        bare.put(content, "cmd_line.json")
        done = bare.update_config(IPS)
        assert (done.returncode, done.stderr) == (0, "")
        assert listed(bare, "failed") == ["cmd_line.json", "cmd_line.json.error"]
    assert bare.run("test", "-e", f"{CACHE}/cmd_line.json").returncode == 1
    assert bare.update_config(BOOT, "cmd_line.json").returncode == 0
    assert listed(bare, "failed") == []


def test_answers_of_update_config(fresh: Router) -> None:
    kept = "forwarding_rules.json.3f2b0c64-7a5e-4d0c-9a51-0b6c7d3c9e11"
    assert fresh.update_config(forward(1001), kept).returncode == 0
    assert f"{kept}.gz" in listed(fresh, "processed")
    again = fresh.run(UPDATE, kept)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    before = listed(fresh, "processed")
    assert fresh.update_config(forward(1002), "f.json.2", "FALSE").returncode == 0
    assert listed(fresh, "processed") == before and {1001, 1002} <= ports(fresh)
    assert fresh.run("test", "-e", f"{CACHE}/f.json.2").returncode == 1
    assert fresh.update_config(forward(1003), "f.json.3", "true").returncode == 0
    assert "f.json.3.gz" in listed(fresh, "processed")
    for arguments in ((), ("a", "false", "c"), ("missing.json.4",), ("f.json.2",)):
        done = fresh.run(UPDATE, *arguments)
        assert done.returncode == 1 and done.stdout == "" and done.stderr, arguments
    assert fresh.run("update_config", "missing").returncode == 1


def test_answers_of_vrouter(fresh: Router) -> None:
    before = (fresh.generation(), fresh.state())
    for name, document in (
        ("new", forward(1001)),
        ("same", example("isolated/07-forwardrules")),
        ("bad", {"type": "x"}),
    ):
        fresh.lab.put("router", f"/tmp/{name}.json", json.dumps(document).encode())
    statuses = {
        name: fresh.run("vrouter", "plan", f"/tmp/{name}.json").returncode for name in ("new", "same", "bad", "none")
    }
    assert statuses == {"new": 2, "same": 0, "bad": 1, "none": 1}
    assert fresh.run("vrouter", "plan", "/tmp/new.json", "/tmp/bad.json").returncode == 1
    for arguments in ((), ("plan",), ("apply", "--wrong"), ("nonsense",)):
        assert fresh.run("vrouter", *arguments).returncode == 64
    assert (fresh.generation(), fresh.state()) == before
    assert fresh.run("vrouter", "apply", "/tmp/new.json").returncode == 0
    assert fresh.run("vrouter", "apply", "/tmp/new.json").returncode == 0
    assert fresh.run("vrouter", "apply", "/tmp/new.json", "/tmp/bad.json", "/tmp/none.json").returncode == 1
    assert fresh.run("ls", "/tmp/new.json").returncode == 0
    assert fresh.run("vrouter", "plan", "/tmp/new.json").returncode == 0


def test_an_unreadable_bag_is_named_and_nothing_changes(fresh: Router) -> None:
    bag = "/etc/cloudstack/forwardingrules.json"
    for content in (b'{"192.0.2.10": [', b"", b"[]", b'{"192.0.2.10": "x"}'):
        good = fresh.sh("router", "cat", bag)
        fresh.lab.put("router", bag, content)
        before = (fresh.generation(), fresh.pid(), fresh.files("/etc/cloudstack"))
        done = fresh.update_config(forward(1001), "f.json.5")
        assert done.returncode == 1 and bag in done.stderr and "Traceback" not in done.stderr
        assert listed(fresh, "failed") == ["f.json.5", "f.json.5.error"]
        assert bag in fresh.sh("router", "cat", f"{CACHE}/failed/f.json.5.error")
        for verb in ("plan", "apply"):
            shown = fresh.run("vrouter", verb, f"{CACHE}/failed/f.json.5")
            assert shown.returncode == 1 and bag in shown.stderr
        assert (fresh.generation(), fresh.pid(), fresh.files("/etc/cloudstack")) == before
        fresh.lab.put("router", bag, good.encode())
    assert fresh.update_config(forward(1001), "f.json.5").returncode == 0
    assert listed(fresh, "failed") == []


def test_what_a_dead_run_had_claimed_is_finished_first(fresh: Router) -> None:
    """Whatever the next command is, also the same one again; a claimed file that is wrong blocks nothing."""
    for place, (port, content) in enumerate(((1001, forward(1001)), (1002, forward(1002)), (0, {"type": "x"}))):
        name = f"f.json.{place}"
        fresh.lab.put("router", f"{CACHE}/claimed/{name}", json.dumps(content).encode())
        fresh.lab.put("router", "/tmp/empty.json", b'{"type": "firewallrules", "rules": []}')
        command = (UPDATE, name) if place == 1 else ("vrouter", "apply", "/tmp/empty.json")
        assert fresh.run(*command).returncode == 0
        assert listed(fresh, "claimed") == []
        if port:
            assert port in ports(fresh) and f"{name}.gz" in listed(fresh, "processed")
    assert listed(fresh, "failed") == ["f.json.2", "f.json.2.error"]
    fresh.lab.put("router", f"{CACHE}/claimed/f.json.9", json.dumps(forward(1009)).encode())
    assert fresh.run("vrouter", "converge").returncode == 0
    assert 1009 in ports(fresh)


def test_calls_at_the_same_time_all_succeed(fresh: Router) -> None:
    names = {port: fresh.put(forward(port)) for port in range(1001, 1009)}
    calls = [
        fresh.lab.popen("router", (UPDATE, name), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for name in names.values()
    ]
    answers = [(call.communicate(timeout=100)[0], call.returncode) for call in calls]
    assert answers == [(b"", 0)] * len(calls)
    assert set(names) <= ports(fresh)
    bag = json.loads(fresh.sh("router", "cat", "/etc/cloudstack/forwardingrules.json"))
    saved = {entry["public_ports"] for entry in bag["192.0.2.10"]}
    assert {f"{port}:{port}" for port in names} <= saved


def test_an_example_that_is_planned_is_applied_just_so(bare: Router) -> None:
    """`plan` before and `apply` after agree exactly, file by file."""
    for path in ISOLATED:
        document = example(f"isolated/{path.stem}")
        planned, applied = bare.plan(document), bare.send(document)
        assert planned["changes"] == applied["changes"] and planned["changes"], path.stem
        assert planned["pending"] == applied["pending"]
        assert bare.plan(document)["changes"] == []


def test_all_examples_at_once_are_applied_as_planned(bare: Router) -> None:
    documents = [example(f"isolated/{path.stem}") for path in ISOLATED]
    planned, applied = bare.plan(*documents), bare.send(*documents)
    assert planned["changes"] == applied["changes"] and len(planned["files"]) == len(documents)
    assert bare.plan(*documents)["changes"] == [] == bare.send(*documents)["changes"]
