"""What the nodes of a lab are and do, and how a program works with them. Needs root."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.test_lab import NAME, until
from vrouter.lab import state
from vrouter.lab.errors import LabError
from vrouter.lab.lab import Lab
from vrouter.lab.rootfs import CHECKOUT, ROUTER_OWN
from vrouter.lab.services import QUERIES
from vrouter.lab.topology import SWITCH, TOPOLOGIES


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up("isolated", f"{NAME}-nodes") as lab:
        yield lab


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
    of_commands = ["/var/cache/cloud/claimed", "/var/cache/cloud/failed", "/var/cache/cloud/processed"]
    assert sorted(found) == ["/etc/vrouter/vrouter.toml", *of_commands]
    for directory in (*ROUTER_OWN, "/etc", "/root", "/tmp", "/run", "/dev/shm"):
        mine = f"{directory}/{NAME}"
        lab.put("router", mine, b"x")
        assert not Path(mine).exists()
        assert lab.run("guest1", ["test", "-e", mine]).returncode == 1


def test_router_has_the_commands_of_the_checkout(lab: Lab) -> None:
    for path in ("/opt/cloud/bin/update_config.py", "/usr/local/bin/update_config", "/usr/local/bin/vrouter"):
        text = lab.run("router", ["cat", path], check=True).stdout
        assert text.split()[0] == f"#!{sys.executable}"
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
