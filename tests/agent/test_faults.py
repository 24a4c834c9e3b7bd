"""Disks, daemons, the kernel and devices that fail: refusal or completion, named, and the next good command works."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.agent import kit
from tests.agent.commands import BROKEN, address, forward, forwards, host
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
    "directory", ["/etc/cloudstack", kit.CACHE, "/var/lib/vrouter", "/etc/dnsmasq.d", "/run/vrouter/units"]
)
def test_a_full_disk(served: Router, reference: Router, directory: str) -> None:
    """The cache's is full as soon as the command files are written."""
    before, agent = served.state(), kit.pid(served)
    refused = 0
    for document in COMMANDS:
        served.count += 1
        name = f"full.json.{served.count}"
        with full(served, directory):
            if directory == kit.CACHE:
                served.sh("router", "rm", f"{kit.CACHE}/.fill1", f"{kit.CACHE}/.fill")
            kit.push(served, (name, document))
            if directory == kit.CACHE:
                served.sh("router", "sh", "-c", f"cat /dev/zero > {kit.CACHE}/.fill 2>/dev/null || true")
            done = served.run(kit.UPDATE, name)
            assert done.returncode in (0, 1) and "Traceback" not in done.stderr + kit.log(served)
            if done.returncode:
                refused += 1
                assert "No space left on device" in done.stderr
        if directory == kit.CACHE:
            served.sh("router", "umount", kit.CACHE)
        served.sh("router", "rm", "-rf", "/tmp/held")
        if done.returncode:
            assert {part: served.state()[part] for part in KERNEL} == {part: before[part] for part in KERNEL}
            assert served.http("public1", "192.0.2.11:443") == "203.0.113.11"
            assert served.update_config(document).returncode == 0
        before = served.state()
    assert refused or directory in (kit.CACHE, "/run/vrouter/units")
    assert kit.pid(served) == agent
    reference.send(*COMMANDS)
    assert served.state() == reference.state()


@pytest.mark.parametrize("directory", ["/run/vrouter", "/var/log"])
def test_a_full_disk_of_the_agent_itself(served: Router, reference: Router, directory: str) -> None:
    """Where its socket, its locks and its daemons' pids lie; where it and dnsmasq write what happens."""
    kit.stop(served)
    script = f"mkdir /tmp/held && cp -a /run/vrouter/units /tmp/held && mount -t tmpfs -o size=256k tmpfs {directory}"
    served.sh("router", "sh", "-c", script)
    if directory == "/run/vrouter":
        served.sh("router", "cp", "-a", "/tmp/held/units", directory)
    assert kit.start(served).returncode == 0
    agent, daemon, refused = kit.pid(served), served.pid(), 0
    served.sh("router", "sh", "-c", f"cat /dev/zero > {directory}/.fill 2>/dev/null || true")
    for document in (BROKEN, *COMMANDS):
        done = served.update_config(document)
        assert "Traceback" not in done.stderr and kit.pid(served) == agent
        if document is BROKEN:
            assert done.returncode == 1 and "'tpc' is not" in done.stderr
        elif done.returncode:
            refused += 1
            assert "No space left on device" in done.stderr and served.lease("guest1")
            served.sh("router", "rm", f"{directory}/.fill")
            assert served.update_config(document).returncode == 0
            served.sh("router", "sh", "-c", f"cat /dev/zero > {directory}/.fill 2>/dev/null || true")
    assert refused or directory == "/var/log"
    served.sh("router", "rm", "-f", f"{directory}/.fill")
    kit.restart(served)
    reference.send(*COMMANDS)
    assert served.state() == reference.state() and served.pid() and daemon


@pytest.fixture
def fussy(served: Router) -> Router:
    """A router whose dnsmasq does as /tmp/mode says."""
    served.lab.put("router", "/tmp/bin/dnsmasq", DNSMASQ.encode(), 0o755)
    served.lab.put("router", "/tmp/mode", b"is good")
    kit.restart(served, dnsmasq="/tmp/bin/dnsmasq", program_limit_s="1")
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
    assert fussy.update_config(forwards(forward(3011))).returncode == 0 and 3011 in kit.ports(fussy)
    fussy.lab.put("router", "/tmp/mode", b"is good")
    assert fussy.update_config(COMMANDS[3]).returncode == 0
    assert fussy.dig("guest1", "web2.other.example.com", "@10.1.1.1") == ["10.1.1.12"]


def test_a_daemon_that_does_not_answer(served: Router) -> None:
    """A process that is stopped while it should read a new guest is as good as dead: another takes its place."""
    daemon = served.pid()
    served.sh("router", "kill", "-STOP", str(daemon))
    begin = time.monotonic()
    assert served.update_config(forwards(forward(3021))).returncode == 0 and 3021 in kit.ports(served)
    assert served.update_config(host(52)).returncode == 0
    assert time.monotonic() - begin < 5
    assert served.pid() != daemon and served.lease("guest1")
    assert served.dig("guest1", "vm52.tenant1.example.com", "@10.1.1.1") == ["10.1.1.52"]


RELOAD = """
import os, signal
from vrouter.host.units import Units

def reload(self, name):
    os.kill(self.pid(name), signal.{})

Units.reload, Units.is_stopped = reload, lambda self, name: False
"""
"""Instead of reading anew the daemon dies, or does not come back; that somebody stopped it is not to be seen."""


@pytest.mark.parametrize(("signal", "limit_s"), [("SIGKILL", 12), ("SIGSTOP", 20)])
def test_a_daemon_that_fails_while_it_reads_anew(served: Router, embedded: Router, signal: str, limit_s: float) -> None:
    """Another takes its place, and those that wait meanwhile are answered within seconds.

    A daemon that hangs is given five before it counts as dead."""
    served.send(*(host(number) for number in range(53, 57)))
    kit.restart(served, launcher=RELOAD.format(signal))
    daemon = served.pid()
    moves = [host(number, mac_address=f"02:00:4c:03:00:{number:02x}") for number in range(53, 57)]
    others = [forwards(forward(port)) for port in range(3051, 3071)]
    begin = time.monotonic()
    answers = kit.pushed(served, [moves[0], *others[:10], *moves[1:], *others[10:]], 24, "waiting")
    took = time.monotonic() - begin
    assert set(answers) == {(0, "")} and took < limit_s, f"{took:.1f} s"
    assert served.pid() != daemon and served.lease("guest1")
    assert served.dig("guest1", "vm53.tenant1.example.com", "@10.1.1.1") == ["10.1.1.53"]
    embedded.send(*(host(number) for number in range(53, 57)), *moves, *others)
    assert served.state() == embedded.state()


POWERLESS = """
import ctypes
from vrouter.host.nft import Nft

def effective(bits):
    libc = ctypes.CDLL(None, use_errno=True)
    head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, data) == 0
    before, data[0] = data[0], data[0] & ~(1 << 12) if bits is None else bits
    assert libc.capset(head, data) == 0
    return before

def run(self, command, flags, right=Nft._run):
    if '3081' not in command:
        return right(self, command, flags)
    held = effective(None)
    try:
        return right(self, command, flags)
    finally:
        effective(held)

Nft._run = run
"""
"""A transaction that names a certain port is sent without CAP_NET_ADMIN (capabilities(7)): the kernel refuses it."""


def test_a_transaction_that_the_kernel_refuses_among_others(served: Router, embedded: Router) -> None:
    kit.restart(served, launcher=POWERLESS)
    before, agent = served.state(), kit.pid(served)
    done = served.update_config(forwards(forward(3080), forward(3081), forward(3082)))
    assert done.returncode == 1 and "cannot change the packet policy" in done.stderr
    assert "Operation not permitted" in done.stderr and served.state() == before
    good = [forwards(forward(port)) for port in range(3083, 3093)] + [host(57), address(57)]
    documents = [*good[:6], forwards(forward(3081)), *good[6:]]
    answers = kit.pushed(served, documents, len(documents), "refusing")
    assert [status for status, _ in answers] == [int(document not in good) for document in documents]
    kit.push(served, *((f"f.json.{number}", document) for number, document in enumerate(documents)))
    assert eventually(lambda: kit.settled(served)) and "f.json.6" in kit.listed(served, "failed")
    embedded.send(*good)
    assert served.state() == embedded.state() and kit.pid(served) == agent


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
    assert 2222 in kit.ports(idle)
    assert not any('"odd"' in item for item in idle.state()["nft"])


def test_a_device_that_comes_and_goes_in_the_middle(served: Router, embedded: Router) -> None:
    """Whatever the moment, each command is done, or pending until the device is back; none is refused."""
    many = [public(f"198.51.100.{number}") for number in range(60, 100)]
    kit.push(served, *((f"ip_associations.json.{n}", ips(element)) for n, element in enumerate(many[:20])))
    for number in range(4):
        served.lab.remove_link("router", "eth3")
        kit.push(served, (f"f.json.{number}", forwards(forward(3031 + number))))
        served.lab.add_link("router", "eth3", "public-b", "1e:00:4c:00:00:03")
    for element in many[20:]:
        kit.push(served, (f"ip_associations.json.{element['public_ip']}", ips(element)))
    assert eventually(lambda: kit.settled(served), 20)
    assert kit.listed(served, "failed") == [], kit.log(served)
    embedded.send(*(ips(element) for element in many), forwards(*(forward(3031 + number) for number in range(4))))
    wanted = embedded.state()
    assert eventually(lambda: not kit.differences(served, wanted), 10), kit.differences(served, wanted)
    assert "Traceback" not in kit.log(served)
