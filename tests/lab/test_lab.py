"""The lab itself: what it starts, how it is entered, and that nothing of it stays. Needs root, as the lab does."""

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
from vrouter.lab.rootfs import CHECKOUT, ROUTER_OWN
from vrouter.lab.services import QUERIES
from vrouter.lab.topology import SWITCH, TOPOLOGIES

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


# what is started


def test_nodes_are_those_of_the_topology(lab: Lab) -> None:
    wanted = TOPOLOGIES["isolated"]
    assert lab.nodes == tuple(node.name for node in wanted.nodes)
    for node in wanted.nodes:
        assert lab.run(node.name, ["hostname"], check=True).stdout == f"{node.hostname}\n"
        found = json.loads(lab.run(node.name, ["ip", "-j", "addr"], check=True).stdout)
        nics = {link["ifname"]: link for link in found if link["ifname"] != "lo"}
        assert nics.keys() == {nic.device for nic in node.nics}
        for nic in node.nics:
            assert nics[nic.device]["address"] == nic.mac
            held = [f"{a['local']}/{a['prefixlen']}" for a in nics[nic.device]["addr_info"] if a["family"] == "inet"]
            assert held == [str(address) for address in nic.addresses]


def test_router_is_untouched(lab: Lab) -> None:
    links = json.loads(lab.run("router", ["ip", "-j", "link"], check=True).stdout)
    assert {link["ifname"]: link["operstate"] for link in links if link["ifname"] != "lo"} == dict.fromkeys(
        ("eth0", "eth1", "eth2", "eth3"), "DOWN"
    )
    assert lab.run("router", ["ip", "route"], check=True).stdout == ""
    assert lab.run("router", ["nft", "list", "ruleset"], check=True).stdout == ""
    ports = json.loads(lab.run(SWITCH, ["ip", "-j", "link"], check=True).stdout)
    assert all("UP" in port["flags"] for port in ports)


def test_router_directories_are_empty_and_private(lab: Lab) -> None:
    found = lab.run("router", ["find", *ROUTER_OWN, "-mindepth", "1"], check=True).stdout.split()
    assert sorted(found) == ["/etc/vrouter/vrouter.toml", "/var/cache/cloud/failed", "/var/cache/cloud/processed"]
    for directory in (*ROUTER_OWN, "/etc", "/root", "/tmp", "/run", "/dev/shm"):
        mine = f"{directory}/{NAME}"
        lab.put("router", mine, b"x")
        assert not Path(mine).exists()
        assert lab.run("guest1", ["test", "-e", mine]).returncode == 1


def test_router_has_the_commands_of_the_checkout(lab: Lab) -> None:
    for path in ("/opt/cloud/bin/update_config.py", "/usr/local/bin/update_config", "/usr/local/bin/vrouter"):
        text = lab.run("router", ["cat", path], check=True).stdout
        assert text.startswith(f"#!{sys.executable}\n")
        assert lab.run("router", ["test", "-x", path]).returncode == 0
    where = "import vrouter, sys; sys.stdout.write(vrouter.__file__)"
    found = lab.run("router", ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-c", where], check=True)
    assert found.stdout == f"{CHECKOUT}/vrouter/__init__.py"


# packets


@pytest.mark.parametrize(
    ("node", "url", "seen"),
    [
        ("public2", "http://203.0.113.11/", "198.51.100.12"),
        ("public1", "http://198.51.100.12:443/x", "203.0.113.11"),
        ("public1", "https://198.51.100.12/", "203.0.113.11"),
        ("dns", "http://203.0.113.11/", "192.0.2.53"),
        ("control", "http://169.254.0.1/", "169.254.0.1"),
    ],
)
def test_web_host_answers_with_the_address_it_sees(lab: Lab, node: str, url: str, seen: str) -> None:
    answer = lab.run(node, ["curl", "-sSk", "-m", "5", "-w", "%{http_code} %{content_type}", url], check=True)
    assert answer.stdout == f"{seen}\n200 text/plain"


@pytest.mark.parametrize("said", [b"", b"hello\n", b"GET / HTTP/1.0\r\n"])
def test_web_host_answers_clients_that_say_little(lab: Lab, said: bytes) -> None:
    talk = (
        "import socket, sys; s = socket.create_connection(('203.0.113.11', 80), 5); s.settimeout(5);"
        "s.sendall(sys.stdin.buffer.read()); f = s.makefile('rb'); sys.stdout.write(f.read().decode())"
    )
    answer = lab.run("public2", [sys.executable, "-c", talk], stdin=said, check=True)
    assert answer.stdout.endswith("198.51.100.12\n")
    assert answer.stdout.startswith("HTTP/1.1 200 OK\r\n") == said.startswith(b"GET")


def test_web_host_keeps_connections(lab: Lab) -> None:
    urls = ["http://203.0.113.11/a", "http://203.0.113.11/b"]
    answer = lab.run("public2", ["curl", "-sS", "-d", "x" * 3000, "-w", "%{num_connects} ", *urls], check=True)
    assert answer.stdout == "198.51.100.12\n1 198.51.100.12\n0 "


def test_udp_echo(lab: Lab) -> None:
    talk = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5);"
        "s.sendto(b'x', ('203.0.113.11', 7)); print(s.recv(99).decode(), end='')"
    )
    assert lab.run("public2", [sys.executable, "-c", talk], check=True).stdout == "198.51.100.12\n"


def test_dns_serves_its_zone_and_logs(lab: Lab) -> None:
    for server in ("192.0.2.53", "198.51.100.53"):
        answer = lab.run("public1", ["dig", "+short", f"@{server}", "www.example.com"], check=True)
        assert answer.stdout == "203.0.113.11\n"
    nothing = f"{NAME}.example.com"
    assert "NXDOMAIN" in lab.run("public1", ["dig", "@192.0.2.53", nothing], check=True).stdout
    assert f"query[A] {nothing} from 203.0.113.11" in lab.run("dns", ["cat", QUERIES], check=True).stdout


@pytest.fixture
def served(lab: Lab) -> Iterator[Lab]:
    """The router gives addresses to the guests by hand, and forgets it afterwards."""
    lab.run("router", ["ip", "link", "set", "eth0", "up"], check=True)
    lab.run("router", ["ip", "addr", "add", "10.1.1.1/24", "dev", "eth0"], check=True)
    options = [
        "119,lab.example",
        "26,1400",
        "42,10.1.1.9",
        "15,lab.example",
        "121,10.9.0.0/16,10.1.1.8,0.0.0.0/0,10.1.1.1",
    ]
    lab.run(
        "router",
        ["dnsmasq", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--dhcp-range=10.1.1.0,static"]
        + ["--dhcp-host=02:00:4c:01:00:11,10.1.1.21", "--dhcp-leasefile=/run/leases", "--no-ping", "--log-dhcp"]
        + [f"--dhcp-option={option}" for option in options]
        + ["--dhcp-range=10.1.1.100,10.1.1.120", "--pid-file=/run/dnsmasq.pid", "--dhcp-ignore=tag:!known"],
        check=True,
    )
    yield lab
    lab.run("router", ["sh", "-c", "kill $(cat /run/dnsmasq.pid)"], check=True)
    lab.run("router", ["ip", "addr", "flush", "dev", "eth0"], check=True)
    lab.run("router", ["ip", "link", "set", "eth0", "down"], check=True)


def test_guest_leases_and_renews(served: Lab) -> None:
    for _ in until("the client in the background got its lease"):
        if served.run("guest1", ["test", "-e", "/run/dhcp/eth0"]).returncode == 0:
            break
    for _ in range(3):
        begin = time.monotonic()
        served.run("guest1", ["dhcp-renew"], check=True)
        assert time.monotonic() - begin < 1.0
        lease = dict(line.split("=", 1) for line in served.run("guest1", ["cat", "/run/dhcp/eth0"]).stdout.splitlines())
        assert lease["ip"] == "10.1.1.21"
        assert lease["mtu"] == "1400"
        assert lease["search"] == "lab.example"
        assert lease["ntpsrv"] == "10.1.1.9"
        assert served.run("guest1", ["cat", "/etc/resolv.conf"]).stdout == "search lab.example\nnameserver 10.1.1.1\n"
        routes = served.run("guest1", ["ip", "route"]).stdout
        assert "default via 10.1.1.1 " in routes
        assert "10.9.0.0/16 via 10.1.1.8 " in routes
        assert "mtu 1400" in served.run("guest1", ["ip", "link", "show", "eth0"]).stdout
        served.run("guest1", ["ping", "-c1", "-W1", "10.1.1.1"], check=True)
        assert served.run("guest1", ["sh", "-c", "ps ax | grep -c '[u]dhcpc -f'"]).stdout == "1\n"
    assert served.run("guest2", ["dhcp-renew"]).returncode == 1


def test_guest_without_a_server_has_no_lease(lab: Lab) -> None:
    assert lab.run("guest3", ["dhcp-renew"]).returncode == 1
    assert lab.run("guest3", ["ip", "-4", "addr", "show", "eth0"]).stdout == ""


# the Python interface


def test_run_gives_status_output_and_input(lab: Lab) -> None:
    done = lab.run("guest1", ["sh", "-c", "cat; echo error >&2; exit 7"], stdin=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "in\n", "error\n")
    assert lab.run("guest1", ["sh", "-c", "kill -9 $$"]).returncode == -signal.SIGKILL
    assert lab.run("guest1", ["pwd"]).stdout == "/\n"
    with pytest.raises(LabError, match="guest1: false exited 1"):
        lab.run("guest1", ["false"], check=True)


def test_a_command_that_takes_too_long_is_killed(lab: Lab) -> None:
    with pytest.raises(LabError, match="took longer"):
        lab.run("guest1", ["sleep", "4711"], timeout_s=0.2)
    assert lab.run("guest1", ["pgrep", "-x", "-f", "sleep 4711"]).returncode == 1


def test_signals_reach_the_command_and_not_only_nsenter(lab: Lab) -> None:
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    with lab.popen("guest1", ["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.stdout.read() == b"bye\n"
    assert process.returncode == 3


def test_put_writes_the_file_with_its_mode(lab: Lab) -> None:
    data = bytes(range(256)) * 1000
    for mode in (0o600, 0o755):
        lab.put("router", "/root/deep/down/file", data, mode)
        found = lab.run("router", ["sh", "-c", "stat -c %a /root/deep/down/file; sha256sum </root/deep/down/file"])
        again = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout.decode()
        assert found.stdout == f"{mode:o}\n{again}"


def test_links_come_and_go(lab: Lab) -> None:
    lab.add_link("router", "eth4", "public", "1e:00:4c:00:00:44")
    try:
        lab.run("router", ["ip", "link", "set", "eth4", "up"], check=True)
        lab.run("router", ["ip", "addr", "add", "192.0.2.44/24", "dev", "eth4"], check=True)
        lab.run("router", ["ping", "-c1", "-W1", "192.0.2.1"], check=True)  # at once: no port state, no delay
        with pytest.raises(LabError, match="File exists"):
            lab.add_link("router", "eth4", "public", "1e:00:4c:00:00:45")
    finally:
        lab.remove_link("router", "eth4")
    assert lab.run("router", ["ip", "link", "show", "eth4"]).returncode == 1
    with pytest.raises(LabError, match="Cannot find device"):
        lab.remove_link("router", "eth4")
    with pytest.raises(LabError, match="no segment 'nowhere'"):
        lab.add_link("router", "eth4", "nowhere", "1e:00:4c:00:00:45")


def test_guests_can_be_added(served: Lab) -> None:
    served.add_guest("guest9", "02:00:4c:01:00:19")
    assert "guest9" in Lab.open(served.name).nodes
    served.run("guest9", ["ip", "addr", "add", "10.1.1.99/24", "dev", "eth0"], check=True)
    served.run("guest9", ["ping", "-c1", "-W1", "10.1.1.1"], check=True)
    assert served.run("router", ["curl", "-sS", "-m", "5", "http://10.1.1.99"], check=True).stdout == "10.1.1.1\n"
    with pytest.raises(LabError, match="has a node guest9 already"):
        served.add_guest("guest9", "02:00:4c:01:00:19")
    with pytest.raises(LabError, match="at most 15 characters"):
        served.add_guest("a-much-too-long-name", "02:00:4c:01:00:19")
    with pytest.raises(LabError, match="more than 15 characters"):
        served.add_guest("a-long-name", "02:00:4c:01:00:19")
    assert not (state.root() / served.name / "a-long-name").exists()


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
    assert up.returncode == 0, up.stderr
    assert f"vrouter lab exec {name} router" in up.stdout.decode()
    assert took_s < 5, "about one on an idle machine"
    try:
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
    assert command("exec", lab.name, "guest1", "--", "no-such-command").returncode == 127
    assert command("exec", lab.name, "guest1", "--", "/etc/hosts").returncode == 126
    assert command("exec", lab.name, "guest1", "--", "sh", "-c", "echo $PATH; pwd; hostname").stdout == (
        b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\nweb1\n"
    )
    unknown = command("exec", lab.name, "guest77", "--", "true")
    assert (unknown.returncode, unknown.stdout) == (1, b"")
    assert "has no node 'guest77'" in unknown.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_exec_and_its_command_end_together(lab: Lab, number: signal.Signals) -> None:
    script = [*LAB, "exec", lab.name, "guest1", "--", "sh", "-c", "echo ready; exec sleep 4712"]
    with subprocess.Popen(script, stdout=subprocess.PIPE, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait() == (-number if number == signal.SIGKILL else 128 + number)
    for _ in until("the command ended"):
        if lab.run("guest1", ["pgrep", "-x", "-f", "sleep 4712"]).returncode == 1:
            break


def test_two_labs_side_by_side() -> None:
    """Names where one begins with the other, started at the same moment."""
    names = [f"{NAME}-a", f"{NAME}-ab"]
    starts = [subprocess.Popen([*LAB, "up", "isolated", "--name", name], cwd=CHECKOUT) for name in names]
    assert [start.wait(60) for start in starts] == [0, 0]
    first, second = (Lab.open(name) for name in names)
    try:
        assert not namespaces_of(first) & namespaces_of(second)
        first.put("router", "/etc/cloudstack/ips.json", b"{}")
        assert second.run("router", ["ls", "/etc/cloudstack"]).stdout == ""
        first.down()
        assert left_over(names[0]) == []
        assert second.complete()
        assert second.run("public2", ["curl", "-sS", "http://203.0.113.11"], check=True).stdout == "198.51.100.12\n"
    finally:
        first.down()
        second.down()
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
        assert process.wait(30) != 0
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
    lab = Lab.up("isolated", name)
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
