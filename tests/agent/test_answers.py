"""What update_config and vrouter answer when an agent runs, and who takes a file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.agent import kit
from tests.agent.commands import BROKEN, address, forward, forwards, host
from tests.system.kit import ISOLATED, Router, eventually, example

SOCKET = "/run/vrouter/agent.sock"
ENGINE = {"pyroute2", "jsonschema", "jinja2", "orjson", "json", "click", "vrouter.pipeline", "vrouter.host", "ctypes"}


def said(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """What a program said."""
    return done.returncode, done.stdout, done.stderr


def taken(router: Router) -> bool:
    """Whether the watcher has taken, and finished, everything."""
    return bool(eventually(lambda: kit.settled(router)))


def test_silence_or_the_faults(shared: Router) -> None:
    assert said(shared.update_config(forwards(forward(1001)), "f.json.1001")) == (0, "", "")
    assert 1001 in kit.ports(shared) and "f.json.1001.gz" in kit.listed(shared, "processed")
    done = shared.update_config(BROKEN, "f.json.1002")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("f.json.1002 refused:\n  rules[0].")
    assert "  rules[0].protocol: 'tpc' is not " in done.stderr
    assert {"f.json.1002", "f.json.1002.error"} <= set(kit.listed(shared, "failed"))
    for arguments in ((), ("a", "false", "c"), ("missing.json.4",), ("../x.json",), ("",)):
        done = shared.run(kit.UPDATE, *arguments)
        assert done.returncode == 1 and done.stdout == "" and done.stderr and "Traceback" not in done.stderr, arguments


def test_the_watcher_takes_commands_and_nothing_else(shared: Router) -> None:
    shared.lab.put("router", "/tmp/a.json", json.dumps(forwards(forward(1011))).encode())
    shared.lab.put("router", "/tmp/b.json", json.dumps(forwards(forward(1012))).encode())
    shared.lab.put("router", "/tmp/c.json", json.dumps(forwards(forward(1013))).encode())
    others = (".hidden.json", ".f.json.1014", "f.jsonx", "f.txt", "json", "f.json~")
    for name in others:
        shared.sh("router", "cp", "/tmp/c.json", f"{kit.CACHE}/{name}")
    shared.sh("router", "mkdir", f"{kit.CACHE}/d.json")
    shared.sh("router", "ln", "-s", "/tmp/c.json", f"{kit.CACHE}/l.json")
    shared.sh("router", "cp", "/tmp/a.json", f"{kit.CACHE}/f.json.0b8c1a52-4bd4-4f4e-9c59-38d4f8f7d1c5")
    shared.sh("router", "mv", "/tmp/b.json", f"{kit.CACHE}/forwarding_rules.json")
    assert eventually(lambda: {1011, 1012} <= kit.ports(shared))
    assert 1013 not in kit.ports(shared)
    left = set(shared.sh("router", "ls", "-A", kit.CACHE).split()) - {"claimed", "failed", "processed"}
    assert left == {*others, "d.json", "l.json"}
    shared.sh("router", "rm", "-rf", *(f"{kit.CACHE}/{name}" for name in left))
    assert any(name.startswith("forwarding_rules.json.") for name in kit.listed(shared, "processed"))


def test_a_file_that_cannot_be_taken_stays_and_stops_nobody(served: Router) -> None:
    """A name that leaves no room for its archived copy's; neither now nor at the next start."""
    name, agent = f"{'x' * 201}.json", kit.pid(served)
    kit.push(served, (name, forwards(forward(1061))), ("next.json.1", forwards(forward(1062))))
    assert eventually(lambda: 1062 in kit.ports(served))
    assert name in kit.listed(served) and kit.pid(served) == agent and "is longer than" in kit.log(served)
    assert "is longer than" in served.run(kit.UPDATE, name).stderr
    kit.restart(served)
    assert said(served.update_config(forwards(forward(1063)))) == (0, "", "") and 1061 not in kit.ports(served)


def test_a_name_that_is_no_unicode(shared: Router) -> None:
    shared.put(forwards(forward(1064)), "unicode.json.1")
    shared.lab.put("router", "/tmp/odd", json.dumps(forwards(forward(1065))).encode())
    shared.sh("router", "sh", "-c", f"mv /tmp/odd {kit.CACHE}/odd.json.$(printf '\\377')")
    assert eventually(lambda: 1065 in kit.ports(shared)) and taken(shared)
    assert any(name.startswith("odd.json.") for name in kit.listed(shared, "processed"))


def test_a_file_that_is_still_being_written_is_left_alone(shared: Router) -> None:
    script = (
        "import sys,time\n"
        f"with open('{kit.CACHE}/slow.json.1','w') as f:\n"
        " text=sys.stdin.read(); f.write(text[:40]); f.flush(); time.sleep(0.7); f.write(text[40:])\n"
    )
    document = json.dumps(forwards(forward(1021))).encode()
    assert shared.lab.run("router", ["python3", "-c", script], stdin=document).returncode == 0
    assert said(shared.run(kit.UPDATE, "slow.json.1")) == (0, "", "") and 1021 in kit.ports(shared)


def test_the_answer_of_a_file_that_the_watcher_took(shared: Router) -> None:
    """From memory, and after a restart from `processed/` and `failed/`."""
    kit.push(shared, ("w.json.1", forwards(forward(1031))), ("w.json.2", BROKEN))
    assert taken(shared)
    for _ in range(2):
        assert said(shared.run(kit.UPDATE, "w.json.1")) == (0, "", "")
        refused = shared.run(kit.UPDATE, "w.json.2")
        assert refused.returncode == 1 and "rules[0].protocol: 'tpc' is not" in refused.stderr
        kit.restart(shared)
    assert 1031 in kit.ports(shared)


def test_a_name_that_is_pushed_again_is_a_new_command(shared: Router) -> None:
    assert said(shared.update_config(forwards(forward(1041)), "again.json.1")) == (0, "", "")
    assert said(shared.update_config(forwards(forward(1042)), "again.json.1")) == (0, "", "")
    assert shared.update_config(BROKEN, "again.json.1").returncode == 1
    assert shared.run(kit.UPDATE, "again.json.1").returncode == 1
    assert said(shared.update_config(forwards(forward(1043)), "again.json.1")) == (0, "", "")
    assert said(shared.run(kit.UPDATE, "again.json.1")) == (0, "", "")
    assert {1041, 1042, 1043} <= kit.ports(shared) and "again.json.1" not in kit.listed(shared, "failed")
    kit.push(shared, *(("again.json.2", forwards(forward(port))) for port in (1044, 1045, 1046)))
    assert taken(shared) and 1046 in kit.ports(shared)


def test_false_deletes_the_archived_copy_also_when_it_comes_late(shared: Router) -> None:
    assert shared.update_config(forwards(forward(1051)), "gone.json.1", "false").returncode == 0
    kit.push(shared, ("gone.json.2", forwards(forward(1052))), ("gone.json", forwards(forward(1053))))
    assert taken(shared)
    assert any(name.startswith("gone.json.") for name in kit.listed(shared, "processed"))
    for name in ("gone.json.2", "gone.json"):
        assert said(shared.run(kit.UPDATE, name, "false")) == (0, "", "")
    kept = [name for name in kit.listed(shared, "processed") if name.startswith("gone.json")]
    assert kept == [] and {1051, 1052, 1053} <= kit.ports(shared)


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """Without file names and times, and the origin of what goes, which only a process that saw it come knows."""
    changes = [
        {key: text for key, text in change.items() if key != "origin" or "after" in change}
        for change in answer["changes"]
    ]
    return {"changes": changes, "pending": answer["pending"]}


def test_the_agent_plans_and_applies_as_the_embedded_pipeline(idle: Router, reference: Router) -> None:
    """File by file, word by word; `reference` has seen the example already, so both get it twice."""
    documents = [example(f"isolated/{path.stem}") for path in ISOLATED]
    planned, applied = idle.plan(*documents), idle.send(*documents)
    assert planned["changes"] == applied["changes"] and planned["changes"]
    assert idle.state() == reference.state()
    more = [host(41), forwards(forward(1061), forward(1062, address="192.0.2.77")), host(42), host(41, remove=True)]
    for document in more:
        assert bare(idle.plan(document)) == bare(reference.plan(document))
        assert bare(idle.send(document)) == bare(reference.send(document))
    assert idle.plan(more[1])["pending"]
    for router in (idle, reference):
        assert router.run("vrouter", "converge").returncode == 0
        assert router.run("vrouter", "converge", "--dry-run").stdout == "nothing to change\n"
    assert idle.state() == reference.state()


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_done(shared: Router) -> None:
    for verb in ("plan", "apply"):
        done = shared.run("vrouter", verb, "/nowhere.json")
        assert done.returncode == 1 and "/nowhere.json refused:\n  cannot read it" in done.stdout, done


def test_without_an_agent_the_client_does_the_work_itself(served: Router) -> None:
    kit.stop(served)
    assert said(served.update_config(forwards(forward(1071)), "f.json.1")) == (0, "", "")
    holder = ("flock", "/run/vrouter/lock", "sleep", "1.5")
    with served.lab.popen("router", holder) as other:
        assert eventually(lambda: served.run("flock", "-n", "/run/vrouter/lock", "true").returncode)
        assert said(served.update_config(forwards(forward(1072)), "f.json.2")) == (0, "", "")
        assert other.poll() == 0, "it waited for the other writer"
    served.put(forwards(forward(1073)), "f.json.3")
    assert kit.start(served).returncode == 0
    assert said(served.run(kit.UPDATE, "f.json.3")) == (0, "", "")
    assert {1071, 1072, 1073} <= kit.ports(served)


def test_two_agents_never_serve_at_once(served: Router) -> None:
    first = kit.pid(served)
    second = served.lab.popen("router", ("vrouter", "agent"))
    try:
        assert said(served.update_config(forwards(forward(1081)), "f.json.1")) == (0, "", "")
        served.sh("router", "kill", str(first))
        assert eventually(lambda: served.run("kill", "-0", str(first)).returncode)
        assert said(served.update_config(forwards(forward(1082)), "f.json.2")) == (0, "", "")
        assert second.poll() is None and {1081, 1082} <= kit.ports(served)
    finally:
        second.kill()
        second.wait()


def test_the_socket_is_for_root_alone(shared: Router) -> None:
    assert shared.sh("router", "stat", "-c", "%a %U %F", SOCKET) == "600 root socket\n"


def test_nonsense_on_the_socket_harms_nobody(shared: Router) -> None:
    script = (
        "import socket,sys\n"
        "def ask(data, wait=True):\n"
        f" s=socket.socket(socket.AF_UNIX); s.connect('{SOCKET}'); s.sendall(data)\n"
        " if wait: print(s.recv(4096)[:2], end='')\n"
        " s.close()\n"
        "ask(b'\\n'); ask(b'plan\\0{\\n'); ask(b'apply\\0[]\\n'); ask(b'apply\\0{\"files\":[[1]]}\\n')\n"
        "ask(b'\\xff\\xfe\\0\\0\\0\\n'); ask(b'converge\\0null\\n'); ask(b'update_config\\0x.json\\0keep\\n', False)\n"
        "ask(b'', False); ask(b'half a request', False); ask(b'update_config\\0\\xff\\n\\0keep\\n')\n"
    )
    before = kit.pid(shared)
    assert shared.sh("router", "python3", "-c", script).count("b'1\\n'") == 7
    assert said(shared.update_config(forwards(forward(1091)), "n.json.1")) == (0, "", "") and kit.pid(shared) == before


def test_the_thin_client_imports_no_engine(shared: Router) -> None:
    name = shared.put(forwards(forward(1101)), "thin.json.1")
    head = shared.sh("router", "head", "-1", kit.UPDATE).removeprefix("#!").split()
    done = shared.run(head[0], "-X", "importtime", *head[1:], kit.UPDATE, name)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "vrouter.agent.client" in imported
    assert not {name for name in imported if name in ENGINE or name.partition(".")[0] in ENGINE}
    assert len(imported) < 60


def test_the_agent_starts_no_process_for_a_rule_a_host_or_an_address(shared: Router, tmp_path: Path) -> None:
    seen = tmp_path / "strace"
    calls = "trace=execve,execveat,clone,clone3,fork,vfork"
    argv = ["strace", "-f", "-qq", "-o", str(seen), "-e", calls, "-p", str(kit.outer_pid(shared))]
    tracer = subprocess.Popen(argv)
    try:
        status = Path(f"/proc/{kit.outer_pid(shared)}/status")
        assert eventually(lambda: "TracerPid:\t0\n" not in status.read_text())
        rule, one = forward(1111), address(61)
        for document in (forwards(rule), forwards(rule | {"revoke": True}), host(61), host(61, remove=True), one):
            assert said(shared.update_config(document)) == (0, "", "")
        assert said(shared.update_config(address(61, add=False))) == (0, "", "")
        assert tracer.poll() is None
    finally:
        tracer.terminate()
        tracer.wait()
    assert seen.read_text() == ""
