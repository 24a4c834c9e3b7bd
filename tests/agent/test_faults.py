"""Disks, daemons, the kernel and devices that fail: refusal or completion, named, and the next good command works."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.agent.kit import (
    CACHE,
    UPDATE,
    address,
    forward,
    forwards,
    host,
    listed,
    log,
    pid,
    ports,
    push,
    restart,
    settled,
    start,
    stop,
)
from tests.system.commands import boot, ips, public
from tests.system.kit import Document, Router, eventually, example

COMMANDS: tuple[Document, ...] = (
    forwards(forward(3001)),
    host(50),
    address(50),
    boot(domain="other.example.com"),
    host(51),
    forwards(forward(3001, revoke=True), forward(3002)),
)
KERNEL = ("nft", "addresses", "routes", "rules")
DNSMASQ = """#!/bin/sh
# dnsmasq, but for a configuration that names other.example.com and the mode in /tmp/mode
case "$*" in *--test*) asked=test ;; *) asked=start ;; esac
if grep -q other.example.com "$(printf '%s\\n' "$@" | sed -n 's/^--conf-file=//p')"; then
    case "$(cat /tmp/mode) $asked" in
    "refuses test" | "refuses-start start") echo "it is not to my liking" >&2; exit 1 ;;
    "hangs test" | "hangs-at-start start") exec sleep 60 ;;
    "dies start") exit 0 ;;
    esac
fi
exec /usr/sbin/dnsmasq "$@"
"""


@contextmanager
def full(router: Router, directory: str) -> Iterator[None]:
    """Nothing more can be written below the directory while the block runs."""
    script = (
        f"set -e; cp -a {directory} /tmp/held; mount -t tmpfs -o size=512k,mode=0755 tmpfs {directory}; "
        f"cp -a /tmp/held/. {directory}; cat /dev/zero > {directory}/.fill 2>/dev/null || true; "
        f"for n in $(seq 200); do echo x > {directory}/.fill$n || break; done 2>/dev/null"
    )
    router.sh("router", "sh", "-c", script)
    yield
    router.sh("router", "sh", "-c", f"rm -f {directory}/.fill*")


@pytest.mark.parametrize(
    "directory", ["/etc/cloudstack", CACHE, "/var/lib/vrouter", "/etc/dnsmasq.d", "/run/vrouter/units"]
)
def test_a_full_disk(served: Router, reference: Router, directory: str) -> None:
    """The cache's is full as soon as the command files are written."""
    before, agent = served.state(), pid(served)
    refused = 0
    for document in COMMANDS:
        served.count += 1
        name = f"full.json.{served.count}"
        with full(served, directory):
            if directory == CACHE:
                served.sh("router", "rm", f"{CACHE}/.fill1", f"{CACHE}/.fill")
            push(served, (name, document))
            if directory == CACHE:
                served.sh("router", "sh", "-c", f"cat /dev/zero > {CACHE}/.fill 2>/dev/null || true")
            done = served.run(UPDATE, name)
            assert done.returncode in (0, 1) and "Traceback" not in done.stderr + log(served)
            if done.returncode:
                refused += 1
                assert "No space left on device" in done.stderr
        if directory == CACHE:
            served.sh("router", "umount", CACHE)
        served.sh("router", "rm", "-rf", "/tmp/held")
        if done.returncode:
            assert {part: served.state()[part] for part in KERNEL} == {part: before[part] for part in KERNEL}
            assert served.http("public1", "192.0.2.11:443") == "203.0.113.11"
            assert served.update_config(document).returncode == 0
        before = served.state()
    assert refused or directory in (CACHE, "/run/vrouter/units")
    assert pid(served) == agent
    reference.send(*COMMANDS)
    assert served.state() == reference.state()


@pytest.fixture
def fussy(served: Router) -> Router:
    """A router whose dnsmasq does as /tmp/mode says."""
    served.lab.put("router", "/tmp/bin/dnsmasq", DNSMASQ.encode(), 0o755)
    served.lab.put("router", "/tmp/mode", b"is good")
    restart(served, dnsmasq="/tmp/bin/dnsmasq", program_limit_s="1")
    return served


@pytest.mark.parametrize("mode", ["refuses", "refuses-start", "hangs", "hangs-at-start", "dies"])
def test_a_daemon_that_fails(fussy: Router, mode: str) -> None:
    """The command is refused with the daemon's words, and the old configuration serves on."""
    before = fussy.state()
    fussy.lab.put("router", "/tmp/mode", mode.encode())
    done = fussy.update_config(COMMANDS[3])
    assert done.returncode == 1 and "dnsmasq" in done.stderr and "Traceback" not in done.stderr
    words = {"r": "not to my liking", "h": "timed out", "d": "is not running"}[mode[0]]
    assert words in done.stderr
    assert fussy.state() == before and fussy.pid()
    assert fussy.lease("guest1") and fussy.dig("guest1", "web2.tenant1.example.com", "@10.1.1.1") == ["10.1.1.12"]
    assert fussy.update_config(forwards(forward(3011))).returncode == 0 and 3011 in ports(fussy)
    fussy.lab.put("router", "/tmp/mode", b"is good")
    assert fussy.update_config(COMMANDS[3]).returncode == 0
    assert fussy.dig("guest1", "web2.other.example.com", "@10.1.1.1") == ["10.1.1.12"]


def test_a_daemon_that_does_not_answer(served: Router) -> None:
    """A process that is stopped while it should read a new guest is as good as dead: another takes its place."""
    daemon = served.pid()
    served.sh("router", "kill", "-STOP", str(daemon))
    begin = time.monotonic()
    assert served.update_config(forwards(forward(3021))).returncode == 0 and 3021 in ports(served)
    assert served.update_config(host(52)).returncode == 0
    assert time.monotonic() - begin < 5
    assert served.pid() != daemon and served.lease("guest1")
    assert served.dig("guest1", "vm52.tenant1.example.com", "@10.1.1.1") == ["10.1.1.52"]


def test_a_kernel_that_refuses_the_transaction(idle: Router) -> None:
    """The table belongs to another process (NFT_TABLE_F_OWNER), as long as that lives."""
    owner = idle.lab.popen("router", ("nft", "-i"), stdin=-1)
    assert owner.stdin is not None
    owner.stdin.write(b"add table ip vrouter { flags owner; }\n")
    owner.stdin.flush()
    assert eventually(lambda: "vrouter" in idle.sh("router", "nft", "list", "tables"))
    for _ in range(2):
        done = idle.update_config(boot(), "cmd_line.json")
        assert done.returncode == 1 and "the packet policy" in done.stderr
        assert idle.files("/etc/cloudstack") == {}
    owner.kill()
    owner.communicate()
    assert eventually(lambda: "vrouter" not in idle.sh("router", "nft", "list", "tables"))
    assert idle.update_config(boot(), "cmd_line.json").returncode == 0
    assert any("input" in item for item in idle.state()["nft"])


def test_foreign_things_under_our_names(idle: Router) -> None:
    """A chain with another hook, a map of another type: replaced, not stumbled over."""
    for line in (
        "add table ip vrouter",
        "add chain ip vrouter input { type nat hook prerouting priority 0; }",
        "add map ip vrouter forward_port { type ipv4_addr : ipv4_addr; }",
        "add set ip vrouter odd { type mark; }",
    ):
        idle.sh("router", "nft", line)
    for path in ("01-cmdline", "02-ips-source-nat", "07-forwardrules"):
        done = idle.update_config(example(f"isolated/{path}"))
        assert done.returncode == 0, done.stderr
    assert 2222 in ports(idle)
    assert not any('"odd"' in item for item in idle.state()["nft"])


def test_a_device_that_comes_and_goes_in_the_middle(served: Router, embedded: Router) -> None:
    """Whatever the moment, each command is done, pending or refused by the device's name; all is there in the end."""
    many = [public(f"198.51.100.{number}") for number in range(60, 100)]
    push(served, *((f"ip_associations.json.{n}", ips(element)) for n, element in enumerate(many[:20])))
    for _ in range(4):
        served.lab.remove_link("router", "eth3")
        push(served, (f"f.json.{time.monotonic_ns()}", forwards(forward(3031))))
        served.lab.add_link("router", "eth3", "public-b", "1e:00:4c:00:00:03")
    for element in many[20:]:
        push(served, (f"ip_associations.json.{element['public_ip']}", ips(element)))
    assert eventually(lambda: settled(served), 20)
    for name in listed(served, "failed"):
        if not name.endswith(".error"):
            assert "eth3" in served.sh("router", "cat", f"{CACHE}/failed/{name}.error")
            assert (
                served.update_config(json.loads(served.sh("router", "cat", f"{CACHE}/failed/{name}"))).returncode == 0
            )
    embedded.send(*(ips(element) for element in many), forwards(forward(3031)))
    wanted = embedded.state()
    assert eventually(lambda: served.state()["addresses"] == wanted["addresses"], 5)
    assert eventually(lambda: served.state() == wanted, 5)
    assert "Traceback" not in log(served)


def test_a_clock_that_jumped(served: Router) -> None:
    """The machine's own clock cannot be set for one lab; files from other years stand for it."""
    stop(served)
    later = [forwards(forward(3041, "10.1.1.11")), forwards(forward(3041, "10.1.1.12"))]
    for number, document in enumerate(later):
        path = f"{CACHE}/claimed/f.json.{number}"
        served.lab.put("router", path, json.dumps(document).encode())
        served.sh("router", "touch", "-d", f"2040-01-0{number + 1}", path)
    served.put(forwards(forward(3041, revoke=True), forward(3042)), "g.json.1")
    served.sh("router", "touch", "-d", "1971-01-01", f"{CACHE}/g.json.1")
    served.put(forwards(forward(3043)), "g.json.2")
    served.sh("router", "touch", "-d", "2040-01-05", f"{CACHE}/g.json.2")
    assert start(served).returncode == 0
    assert served.run(UPDATE, "g.json.1").returncode == 0 and served.run(UPDATE, "g.json.2").returncode == 0
    assert {3042, 3043} <= ports(served) and 3041 not in ports(served)
