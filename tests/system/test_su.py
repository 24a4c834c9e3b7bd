"""Restart, reboot and failed reloads (contract dataplane 14)."""

from __future__ import annotations

from pathlib import Path

from tests.system.commands import ips, public
from tests.system.kit import Router, example
from tests.system.probes import GONE, knocking, reach, serving
from tests.system.wire import addresses, link

DEVICES = ("eth0", "eth1", "eth2", "eth3")


def reboot(router: Router) -> None:
    """What a reboot leaves: files, and a kernel and processes that know nothing."""
    router.sh("router", "sh", "-c", "kill -9 $(pidof dnsmasq)", ok=False)
    for device in ("eth0", "eth1", "eth2", "eth3"):
        router.sh("router", "ip", "address", "flush", "dev", device)
        router.sh("router", "ip", "link", "set", device, "down", "mtu", "1500")
    for line in (
        "nft flush ruleset", "ip rule flush protocol 118", "sysctl -qw net.ipv4.ip_forward=0",
        "conntrack -F", "rm -rf /run/vrouter",
    ):  # fmt: skip
        router.sh("router", *line.split())


def test_su_1_a_converger_that_starts_again_touches_nothing(fresh: Router) -> None:
    assert fresh.lease("guest2")
    before = (fresh.generation(), fresh.pid(), fresh.state())
    with (
        serving(fresh, "guest2", "tcp 22"), fresh.stream("public1", "192.0.2.10", 2222) as stream,
        knocking(fresh, "public1", "192.0.2.10", 2222) as loop,
    ):  # fmt: skip
        for _ in range(3):
            assert fresh.run("vrouter", "converge").stdout == "nothing to change\n"
        assert stream.echoes()
    assert loop.failed == 0
    assert (fresh.generation(), fresh.pid(), fresh.state()) == before


def test_su_2_a_reboot_brings_everything_back(fresh: Router) -> None:
    before = fresh.state()
    reboot(fresh)
    assert {device for device, _ in addresses(fresh).values()} == {"lo"}
    assert fresh.run("vrouter", "converge").returncode == 0
    assert fresh.state() == before
    for guest in ("guest1", "guest3"):
        assert fresh.lease(guest)
    assert fresh.http("guest3", "203.0.113.11") == "192.0.2.10"
    assert fresh.http("public1", "192.0.2.11:443") == "203.0.113.11"
    assert fresh.http("public1", "198.51.100.10:8443") == "203.0.113.11"


def test_su_2_the_policy_is_there_before_any_link_comes_up(fresh: Router) -> None:
    """A boot that dies right after it has no link up yet."""
    before = fresh.state()["nft"]
    reboot(fresh)
    assert fresh.run("env", "VROUTER_FAULT=policy applied", "vrouter", "converge").returncode != 0
    assert fresh.state()["nft"] == before
    assert not [device for device in DEVICES if "UP" in link(fresh, device)["flags"]]
    assert fresh.run("vrouter", "converge").returncode == 0


def test_what_cannot_be_written_does_not_keep_packets_from_passing(fresh: Router) -> None:
    """Policy, links and routes come up; the boot names the file and fails."""
    before = fresh.state()
    reboot(fresh)
    file = "/etc/iproute2/rt_tables.d/vrouter.conf"
    fresh.sh("router", "mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(Path(file).parent))
    done = fresh.run("vrouter", "converge")
    assert done.returncode == 1 and file in done.stderr
    now = fresh.state()
    assert [now[part] for part in ("nft", "addresses")] == [before[part] for part in ("nft", "addresses")]
    assert fresh.ping("public1", "192.0.2.10")
    fresh.sh("router", "umount", str(Path(file).parent))
    assert fresh.run("vrouter", "converge").returncode == 0 and fresh.state() == before


def test_su_2_without_readable_bags_only_the_control_network_may_log_in(fresh: Router) -> None:
    for guest in ("guest1", "guest2"):
        assert fresh.lease(guest)
    bag = fresh.sh("router", "cat", "/etc/cloudstack/forwardingrules.json")
    before = fresh.state()
    fresh.lab.put("router", "/etc/cloudstack/forwardingrules.json", bag.encode()[: len(bag) // 2])
    reboot(fresh)
    for device in ("eth0", "eth1", "eth2"):
        fresh.sh("router", "ip", "link", "set", device, "up")
    for line in ("ip address add 169.254.10.20/16 dev eth1", "ip address add 10.1.1.1/24 dev eth0",
                 "ip address add 192.0.2.10/24 dev eth2", "ip route add default via 192.0.2.1",
                 "sysctl -qw net.ipv4.ip_forward=1"):  # fmt: skip
        fresh.sh("router", *line.split())
    done = fresh.run("vrouter", "converge")
    assert done.returncode == 1
    assert "forwardingrules.json" in done.stderr
    with serving(fresh, "router", "tcp 3922", "tcp 53", "tcp 8080"):
        assert reach(fresh, "control", "tcp 169.254.10.20 3922", "tcp 169.254.10.20 8080") == {
            "tcp 169.254.10.20 3922": "169.254.0.1 3922", "tcp 169.254.10.20 8080": GONE,
        }  # fmt: skip
        closed = ["tcp 10.1.1.1 3922", "tcp 10.1.1.1 53", "tcp 10.1.1.1 8080", "tcp 203.0.113.11 80"]
        assert reach(fresh, "guest2", *closed) == dict.fromkeys(closed, GONE)
        closed = ["tcp 192.0.2.10 3922", "tcp 192.0.2.10 53", "tcp 192.0.2.10 2222", "tcp 192.0.2.10 8080"]
        assert reach(fresh, "public1", *closed) == dict.fromkeys(closed, GONE)
    fresh.lab.put("router", "/etc/cloudstack/forwardingrules.json", bag.encode())
    assert fresh.run("vrouter", "converge").returncode == 0
    assert fresh.state() == before


def test_su_2_a_policy_that_is_there_is_kept_when_a_bag_is_unreadable(fresh: Router) -> None:
    assert fresh.lease("guest1")
    before = fresh.generation()
    fresh.lab.put("router", "/etc/cloudstack/dhcpentry.json", b'{"10.1.1.11": ')
    assert fresh.run("vrouter", "converge").returncode == 1
    assert fresh.generation() == before
    assert fresh.http("public1", "192.0.2.11:443") == "203.0.113.11"


def test_su_3_a_configuration_that_the_daemon_refuses_never_reaches_it(fresh: Router) -> None:
    """The checker says no, so nothing was touched: neither the file nor the process nor anything else."""
    program = b'#!/bin/sh\ncase "$*" in *--test*) echo "dnsmasq: bad option at line 3" >&2; exit 1;; esac\nexit 9\n'
    fresh.lab.put("router", "/usr/local/sbin/picky", program, 0o755)
    fresh.lab.put("router", "/etc/vrouter/vrouter.toml", b'supervisor = "process"\n', 0o644)
    before = (fresh.generation(), fresh.pid(), fresh.state())
    document = example("isolated/01-cmdline")
    document["cmd_line"]["domain"] = "other.example.com"
    name = fresh.put(document)
    done = fresh.run("env", "VROUTER_DNSMASQ=/usr/local/sbin/picky", "/opt/cloud/bin/update_config.py", name)
    assert done.returncode == 1
    assert "bad option at line 3" in done.stderr
    assert (fresh.generation(), fresh.pid(), fresh.state()) == before
    assert fresh.dig("router", "@10.1.1.1", "web1.tenant1.example.com") == ["10.1.1.11"]
    fresh.send(ips(public("192.0.2.13")))
    assert fresh.pid() == before[1]
