"""Labs made from an operator's files, many at once, and the state of a router kept and brought back. Needs root."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core import Core, documents, machine
from tests.lab.test_lab import LAB, NAME, command, left_over, until
from tests.system.kit import EXAMPLES, Router, canonical, eventually, example
from vrouter.lab import lab as labs
from vrouter.lab import snapshot, state
from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab
from vrouter.lab.rootfs import CHECKOUT

MASK = "255.255.255.0"
HOST = {"type": "dhcpentry", "host_name": "vm", "mac_address": "02:00:00:00:01:01", "ipv4_address": "10.1.1.21"}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a lab that is ended after the test, whatever it comes to."""
    name = f"{NAME}-from"
    yield name
    for each in labs.names():
        if each == name or each.startswith(f"{name}-"):
            labs.end(each)
            assert left_over(each) == []


def write(directory: Path, *files: Any) -> Path:
    """A directory of these documents, in their order; a text is written as it is."""
    directory.mkdir()
    for place, content in enumerate(files):
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / f"{place:02}.json").write_text(text)
    return directory


def test_a_directory_of_commands_becomes_a_working_lab(name: str) -> None:
    done = command("up", "--from", str(EXAMPLES / "isolated"), "--name", name)
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode()
    assert "  01-cmdline.json: " in out and f"vrouter lab exec {name} router" in out
    router = Router(Lab.open(name))
    assert router.lab.topology.name == "isolated"
    assert router.lease("guest2")["ip"] == "10.1.1.12"
    assert router.http("guest2", "203.0.113.11") == "192.0.2.10"
    assert router.http("public1", "198.51.100.10:8443") == "203.0.113.11"
    assert router.dig("guest2", "public2.example.com") == ["198.51.100.12"]


def test_what_is_refused_is_told_and_the_lab_stays(name: str, tmp_path: Path) -> None:
    """Broken JSON, an unknown type, a kind of router that is not built, devices with gaps, narrow networks."""
    boot = {"type": "vpcrouter", "eth0ip": "169.254.1.2", "eth0mask": "255.255.0.0", "name": "r", "dns1": "9.9.9.9"}
    entries = [
        {"public_ip": "192.0.2.3", "netmask": "255.255.255.254", "gateway": "192.0.2.2", "nic_dev_id": 4, "add": True,
         "broadcast_uri": "vlan://101", "vif_mac_address": "1E:00:4C:00:00:04"},
        {"public_ip": "198.51.100.7", "netmask": "255.255.255.255", "gateway": "198.51.100.1", "nic_dev_id": 11},
        {"public_ip": "100.64.0.9", "netmask": MASK, "gateway": "100.64.0.1", "nic_dev_id": 7},
        {"public_ip": "100.64.0.10", "netmask": MASK, "gateway": "100.64.0.1", "nic_dev_id": 7},
    ]  # fmt: skip
    tier = {"type": "guestnetwork", "add": True, "device": "eth5", "mac_address": "02:00:08:01:00:01", "cidr": "24",
            "router_guest_ip": "10.1.1.1", "router_guest_netmask": MASK, "router_guest_gateway": "10.1.1.1",
            "dns": "100.64.0.53", "domain_name": "x.example", "is_vr_guest_gateway": True, "network_id": 1}  # fmt: skip
    files = write(
        tmp_path / "files", {"type": "cmdline", "cmd_line": boot}, {"type": "ips", "ip_address": entries}, tier, "{",
        {"type": "lights", "on": True}, HOST,
    )  # fmt: skip
    done = command("up", "--from", str(files), "--name", name, "--json")
    assert done.returncode == 1, done.stderr
    (started,) = json.loads(done.stdout)["labs"]
    assert started["state"] == "up"
    assert [(file["file"], file["refused"]) for file in started["fed"]["files"]] == [
        ("00.json", True), ("01.json", False), ("02.json", False), ("03.json", True), ("04.json", True),
        ("05.json", False),
    ]  # fmt: skip
    assert "not JSON at line 1" in json.dumps(started["fed"]["files"][3]["faults"])
    assert any("04.json: type: 'lights'" in note for note in started["notes"])
    router = Router(Lab.open(name))
    links = {link["ifname"]: link["address"] for link in json.loads(router.sh("router", "ip", "-j", "link"))}
    assert set(links) == {"lo", "eth0", "eth4", "eth5", "eth7", "eth11"}
    assert links["eth4"] == "1e:00:4c:00:00:04" and links["eth5"] == "02:00:08:01:00:01"
    assert router.ping("upstream", "100.64.0.9") is False, "no rule lets it in"
    addresses = router.sh("router", "ip", "-4", "-br", "addr")
    assert "192.0.2.3/31" in addresses and "100.64.0.10/24" in addresses


def test_nothing_is_applied_when_told_so(name: str, tmp_path: Path) -> None:
    files = write(tmp_path / "Some Files", HOST, "[]")
    done = command("up", "--from", str(files), "--name", name, "--no-apply")
    assert done.returncode == 0, done.stderr
    assert "01.json: a list of 0 is not a JSON object; it says nothing of the topology" in done.stdout.decode()
    lab = Lab.open(name)
    assert lab.run("router", ["ls", "/etc/cloudstack"]).stdout == ""
    planned = command("exec", name, "router", "--", "vrouter", "plan", "/root/from/00.json")
    assert planned.returncode == 2 and b"waits for a guest subnet" in planned.stdout
    assert command("reset", name).returncode == 0
    assert lab.run("router", ["ls", "/root/from"]).stdout == "00.json\n01.json\n", "in the router's new node"


@pytest.mark.parametrize("agent", [False, True])
def test_a_copy_of_databags_becomes_a_working_lab(name: str, tmp_path: Path, agent: bool) -> None:
    core = Core(machine({}))
    core.run(*documents(EXAMPLES / "isolated"))
    for bag, saved in core.saved().items():
        (tmp_path / f"{bag}.json").write_text(json.dumps(saved))
    (tmp_path / "vmdata.json").write_text('{"id": "vmdata"}')
    done = command("up", "--from", str(tmp_path), "--name", name, "--agent" if agent else "--no-agent")
    assert done.returncode == 0, done.stdout + done.stderr
    router = Router(Lab.open(name))
    assert router.lease("guest3")["ip"] == "10.1.1.13"
    assert router.http("guest3", "203.0.113.11") == "192.0.2.10"
    assert "vmdata.json" in router.sh("router", "ls", "/etc/cloudstack")


@pytest.mark.parametrize("agent", ["--agent", "--no-agent"])
def test_databags_that_cannot_be_read_are_told_and_the_lab_stays(name: str, tmp_path: Path, agent: str) -> None:
    (tmp_path / "cmdline.json").write_text('{"id": "cmdline", "config": {"type": "router", "name": "r"}}')
    (tmp_path / "ips.json").write_text('{"eth2": [')
    done = command("up", "--from", str(tmp_path), "--name", name, agent)
    assert done.returncode == 1
    assert "databag /etc/cloudstack/ips.json is unreadable" in done.stdout.decode()
    assert Lab.open(name).complete()


def test_wrong_usage_and_directories_without_files(tmp_path: Path) -> None:
    for words in (
        ["up"],
        ["up", "isolated", "--from", "."],
        ["up", "isolated", "--no-apply"],
        ["up", "x", "--count", "0"],
    ):
        assert command(*words).returncode == 64, words
    done = command("up", "--from", str(tmp_path))
    assert done.returncode == 1 and b"holds no file *.json" in done.stderr
    assert b"cannot read" in command("up", "--from", str(tmp_path / "none")).stderr
    (tmp_path / "ips.json").write_text('{"id": "ips"}')
    (tmp_path / "a.json").write_text(json.dumps(HOST))
    assert b"holds a command file, a.json, and a databag, ips.json" in command("up", "--from", str(tmp_path)).stderr


# many


def test_many_labs_at_once(name: str, tmp_path: Path) -> None:
    files = write(tmp_path / "files", HOST)
    done = command("up", "--from", str(files), "--name", name, "--count", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["name"] for row in json.loads(done.stdout)["labs"]] == [f"{name}-{n}" for n in (1, 2, 3)]
    assert all(row["state"] == "up" for row in json.loads(done.stdout)["labs"])


def test_when_one_of_many_fails_the_others_are_taken_down(name: str) -> None:
    with Lab.up("isolated", f"{name}-3") as other:
        done = command("up", "isolated", "--name", name, "--count", "4")
        assert done.returncode == 1
        assert f"lab {name}-3 is up already" in done.stderr.decode()
        assert other.complete(), "what others started stays"
        assert [each for each in labs.names() if each.startswith(name)] == [f"{name}-3"]


@pytest.mark.parametrize("after_s", [0.5])
def test_many_that_are_interrupted_are_taken_down(name: str, after_s: float) -> None:
    words = [*LAB, "up", "isolated", "--name", name, "--count", "4"]
    with subprocess.Popen(words, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as process:
        for _ in until("the first start began"):
            if (state.root() / f"{name}-1").exists():
                break
        time.sleep(after_s)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
    assert [each for each in labs.names() if each.startswith(name)] == []


# states of a router


def state_of(router: Router) -> list[str]:
    """What makes two states equal (design 4a), in few processes; bags to the byte."""
    script = (
        "ip -4 -o addr | awk '{print $2, $4}'; ip -4 route list table all; ip -4 rule;"
        " find /etc/cloudstack /etc/dnsmasq.d /etc/dnsmasq-resolv.conf /etc/resolv.conf /var/lib/vrouter /etc/iproute2"
        " /var/log/vrouter"
        " -type f 2>&-"
        " | xargs md5sum"
    )
    ruleset = json.loads(router.sh("router", "nft", "-j", "list", "ruleset"))
    return [*canonical(ruleset), *sorted(router.sh("router", "sh", "-c", script).splitlines())]


@pytest.mark.parametrize("agent", [False, True])
def test_snapshot_and_reset(name: str, agent: bool) -> None:
    with Lab.up("isolated", name, agent=agent) as lab:
        router = Router(lab)
        untold = state_of(router)
        router.send(*documents(EXAMPLES / "isolated"))
        router.sh("router", "touch", "/var/cache/cloud/failed/kept")
        full = state_of(router)
        assert snapshot.save(lab) == "1"
        router.send(example("dhcpentry-remove"), example("ips-remove"))
        less = state_of(router)
        assert snapshot.save(lab, "less") == "less"
        router.sh("router", "rm", "/var/cache/cloud/failed/kept")
        router.sh("router", "ip", "addr", "flush", "dev", "eth3")

        assert (snapshot.reset(lab, "1") or 0) > 0
        assert state_of(router) == full
        assert router.lab.run("router", ["ls", "/var/cache/cloud/failed/kept"]).returncode == 0
        assert snapshot.reset(lab, "less") is not None
        assert state_of(router) == less
        assert snapshot.names(name) == ["1", "less"]

        assert snapshot.reset(lab) is None
        assert state_of(router) == untold
        assert command("exec", name, "router", "--", "test", "-S", "/run/vrouter/agent.sock").returncode == (not agent)
        router.send(*documents(EXAMPLES / "isolated"))
        assert eventually(lambda: router.lease("guest1")).get("ip") == "10.1.1.11", "its links are plugged in again"


def test_a_lab_from_files_is_reset_to_what_they_made_of_it(name: str) -> None:
    assert command("up", "--from", str(EXAMPLES / "isolated"), "--name", name).returncode == 0
    router = Router(Lab.open(name))
    before = state_of(router)
    router.send(example("dhcpentry-remove"))
    assert state_of(router) != before
    assert b"is back at up" in command("reset", name).stdout
    assert state_of(router) == before
    assert b"saved mine" in command("snapshot", name, "mine").stdout
    unknown = command("reset", name, "other")
    assert unknown.returncode == 1 and b"has no snapshot 'other'; it has up, mine" in unknown.stderr
    for bad in ("../x", "-x", "up/../y"):
        with pytest.raises(LabError, match="snapshot"):
            snapshot.reset(router.lab, bad)
        with pytest.raises(LabError, match="not a snapshot name"):
            snapshot.save(router.lab, bad)
