"""How a lab starts, is entered from the command line and ends, and that nothing of it stays. Needs root."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vrouter.lab import box, state
from vrouter.lab import lab as labs
from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab
from vrouter.lab.rootfs import CHECKOUT
from vrouter.lab.topology import SWITCH

NAME = f"t{os.getpid()}"
"""Of the labs here; others may run on the same machine."""

LAB = [sys.executable, "-m", "vrouter", "lab"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up("isolated", f"{NAME}-shared") as lab:
        yield lab


@pytest.fixture
def own_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of labs of this test's own, so that `--all` is all of this test."""
    monkeypatch.setenv("VROUTER_LAB_DIR", str(tmp_path / "labs"))
    return tmp_path / "labs"


def command(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*LAB, *words], input=stdin, capture_output=True, cwd=CHECKOUT, timeout=60, check=False)


def until(what: str, limit_s: float = 10.0) -> Iterator[None]:
    """Loop until the body breaks; fails after `limit_s`."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        yield
        time.sleep(0.02)
    pytest.fail(f"not within {limit_s} s: {what}")


def left_over(name: str) -> list[str]:
    """What a lab left behind: processes that name it, mounts, files."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [f"{process}: {words!r}" for word in words if word.startswith(f"vrouter-lab:{name}:".encode())]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"vrouter-lab/{name}" in line]
    return found + [str(path) for path in [state.root() / name] if path.exists()]


def namespaces_of(lab: Lab) -> set[str]:
    return {os.readlink(f"/proc/{lab.pid(node)}/ns/{kind}") for node in lab.nodes for kind in ("net", "mnt", "pid")}


def namespaces_in_use() -> set[str]:
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/*"):
        try:
            found.add(os.readlink(link))
        except OSError:
            continue
    return found


def test_unknown_names_are_told(lab: Lab) -> None:
    with pytest.raises(LabError, match="has no node 'guest77'; it has router, upstream"):
        lab.run("guest77", ["true"])
    with pytest.raises(LabError, match=f"lab {NAME}-none does not exist"):
        Lab.open(f"{NAME}-none")
    with pytest.raises(LabError, match="unknown topology 'moon'; known: isolated"):
        Lab.up("moon")
    for name in ("../x", "A", "-a", "a" * 32):
        with pytest.raises(LabError, match="not a lab name"):
            Lab.up("isolated", name)


def test_root_is_asked_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for act in (lambda: Lab.up("isolated", f"{NAME}-user"), lambda: labs.end(lab.name), lambda: lab.run("dns", ["id"])):
        with pytest.raises(LabError, match="needs root"):
            act()


def test_a_failing_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vrouter.lab.services.QUERIES", "/nowhere/at/all")
    with pytest.raises(LabError, match="dnsmasq in node dns exited"):
        Lab.up("isolated", f"{NAME}-fails")
    assert left_over(f"{NAME}-fails") == []


# the command line


def test_up_list_exec_down() -> None:
    name = f"{NAME}-cli"
    begin = time.monotonic()
    up = command("up", "isolated", "--name", name)
    took_s = time.monotonic() - begin
    try:
        assert up.returncode == 0, up.stderr
        assert f"vrouter lab exec {name} router" in up.stdout.decode()
        assert took_s < 20, "less than one on an idle machine"
        again = command("up", "isolated", "--name", name)
        assert again.returncode == 1
        assert f"lab {name} is up already" in again.stderr.decode()
        rows = {row["name"]: row for row in json.loads(command("list", "--json").stdout)}
        assert rows[name]["state"] == "up"
        assert rows[name]["nodes"].keys() == {*Lab.open(name).nodes, SWITCH}
        assert name in command("list").stdout.decode()
        assert command("exec", name, "public2", "--", "curl", "-sS", "http://203.0.113.11").stdout == b"198.51.100.12\n"
        spaces = namespaces_of(Lab.open(name))
    finally:
        down = command("down", name)
    assert down.returncode == 0, down.stderr
    assert left_over(name) == []
    assert not spaces & namespaces_in_use()
    assert command("down", name).returncode == 1
    assert f"lab {name} does not exist" in command("exec", name, "router", "--", "true").stderr.decode()


def test_exec_passes_everything_through(lab: Lab) -> None:
    done = command("exec", lab.name, "guest1", "--", "sh", "-c", "cat; echo error >&2; exit 7", stdin=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"in\n", b"error\n")
    assert command("exec", lab.name, "guest1", "--", "ls", "-d", "--", "/").stdout == b"/\n"
    assert command("exec", lab.name, "guest1", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    assert command("exec", lab.name, "guest1", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + 15
    blocked = command("exec", lab.name, "guest1", "--", "grep", "SigBlk:", "/proc/self/status").stdout.split()[1]
    assert int(blocked, 16) == 0
    assert command("exec", lab.name, "guest1", "--", "no-such-command").returncode == 127
    assert command("exec", lab.name, "guest1", "--", "/etc/hosts").returncode == 126
    assert command("exec", lab.name, "guest1", "--", "sh", "-c", "echo $PATH; pwd; hostname").stdout == (
        b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\nweb1\n"
    )
    unknown = command("exec", lab.name, "guest77", "--", "true")
    assert (unknown.returncode, unknown.stdout) == (1, b"")
    assert "has no node 'guest77'" in unknown.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_exec_and_its_command_end_together(lab: Lab, number: signal.Signals) -> None:
    script = [*LAB, "exec", lab.name, "guest1", "--", "sh", "-c", "echo ready; exec sleep 4712"]
    with subprocess.Popen(script, stdout=subprocess.PIPE, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        try:
            assert process.wait(30) == (-number if number == signal.SIGKILL else 128 + number)
        finally:
            process.kill()
    for _ in until("the command ended"):
        if lab.run("guest1", ["pgrep", "-x", "-f", "sleep 4712"]).returncode == 1:
            break


def test_two_labs_side_by_side() -> None:
    """Names where one begins with the other, started at the same moment."""
    names = [f"{NAME}-a", f"{NAME}-ab"]
    starts = [subprocess.Popen([*LAB, "up", "isolated", "--name", name], cwd=CHECKOUT) for name in names]
    try:
        assert [start.wait(60) for start in starts] == [0, 0]
        first, second = (Lab.open(name) for name in names)
        assert not namespaces_of(first) & namespaces_of(second)
        first.put("router", "/etc/cloudstack/ips.json", b"{}")
        assert second.run("router", ["ls", "/etc/cloudstack"]).stdout == ""
        first.down()
        assert left_over(names[0]) == []
        assert second.complete()
        assert second.run("public2", ["curl", "-sS", "http://203.0.113.11"], check=True).stdout == "198.51.100.12\n"
    finally:
        for name in names:
            labs.end(name)
    assert left_over(names[1]) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.15])
def test_an_interrupted_start_takes_everything_down(own_root: Path, number: signal.Signals, after_s: float) -> None:
    name = f"{NAME}-int"
    with subprocess.Popen([*LAB, "up", "isolated", "--name", name], cwd=CHECKOUT, stdout=subprocess.DEVNULL) as process:
        for _ in until("the start began"):
            if (own_root / name).exists():
                break
        time.sleep(after_s)
        process.send_signal(number)
        try:
            assert process.wait(30) != 0
        finally:
            process.kill()
    assert left_over(name) == []
    assert not own_root.exists()


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3])
def test_down_all_after_a_killed_start_leaves_nothing(own_root: Path, after_s: float) -> None:
    name = f"{NAME}-kill"
    with subprocess.Popen([*LAB, "up", "isolated", "--name", name], cwd=CHECKOUT, stdout=subprocess.DEVNULL) as process:
        for _ in until("the start began"):
            if (own_root / name).exists():
                break
        time.sleep(after_s)
        process.kill()
    assert command("down", "--all").returncode == 0
    assert left_over(name) == []
    assert not own_root.exists()


def test_down_finds_boxes_without_any_file() -> None:
    name = f"{NAME}-lost"
    with Lab.up("isolated", name) as lab:
        state.remove(name)
        assert name in labs.names()
        assert lab.complete()
        assert command("down", name).returncode == 0
    assert left_over(name) == []


def test_processes_that_only_mention_a_marker_are_left_alone() -> None:
    name = f"{NAME}-mark"
    words = ["box.sh", box.marker(name, "router"), "/run/elsewhere"]
    with subprocess.Popen(["sh", "-c", "read line", *words], stdin=subprocess.PIPE) as bystander:
        assert box.find(name) == []
        box.end(name)
        assert bystander.poll() is None
        bystander.communicate(b"\n")
    assert bystander.returncode == 0


def test_down_all_with_none_is_fine(own_root: Path) -> None:
    assert not own_root.exists()
    assert command("down", "--all").returncode == 0
