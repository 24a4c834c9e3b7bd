"""What foreign hands change: of ours it is noticed, told and repaired within a second; of theirs nothing is touched."""

from __future__ import annotations

import time

import pytest

from tests.agent import kit
from tests.agent.commands import forward, forwards
from tests.system.commands import ips, public
from tests.system.kit import Router, eventually
from vrouter.lab.box import Command

NOTICED_S, REPAIRED_S = 1.0, 3.0
NOTICED, REPAIRED = "drift: not as the databags say", "drift: repaired"
LEASE = "/var/lib/vrouter/dnsmasq/leases/10.1.1.11"
NAME = "/var/lib/vrouter/dnsmasq/names/10.1.1.12"
CONF = "/etc/dnsmasq.d/cloud.conf"

DEEDS = {
    "flushed table": ("nft flush table ip vrouter", "chain"),
    "deleted table": ("nft delete table ip vrouter", "chain"),
    "deleted rules": ("nft flush chain ip vrouter input", "chain input"),
    "foreign rule in our chain": ("nft add rule ip vrouter input tcp dport 99 accept", "chain input"),
    "deleted element": (
        "nft delete element ip vrouter forward_port { 192.0.2.10 . tcp . 2222 }",
        "forward_port",
    ),
    "foreign element": (
        "nft add element ip vrouter forward_port { 192.0.2.10 . tcp . 99 : 10.1.1.99 . 99 }",
        "forward_port",
    ),
    "removed address": ("ip address del 192.0.2.11/24 dev eth2", "address eth2 192.0.2.11"),
    "removed first address": ("ip address del 192.0.2.10/24 dev eth2", "address eth2 192.0.2.10"),
    "link that was taken down": ("ip link set eth3 down", "link eth3"),
    "deleted route": ("ip route flush table Table_eth3", "route"),
    "deleted rule": ("ip rule flush protocol 118", "rule"),
    "edited configuration": (f"sed -i s/^dhcp/#dhcp/ {CONF}", f"file {CONF}"),
    "deleted configuration": (f"rm {CONF}", f"file {CONF}"),
    "edited lease": (f"echo nonsense > {LEASE}", "host 10.1.1.11"),
    "deleted name": (f"rm {NAME}", "host 10.1.1.12"),
    "foreign lease": (f"cp {LEASE} /var/lib/vrouter/dnsmasq/leases/10.1.1.99", "host 10.1.1.99"),
    "killed daemon": ("kill -9 $(pidof dnsmasq)", "unit dnsmasq"),
}
"""What is done, and what the log then names."""


def said(router: Router, what: str) -> int:
    """How often the agent has said it."""
    return kit.log(router).count(what)


@pytest.mark.parametrize("deed", DEEDS)
def test_noticed_repaired_and_told(shared: Router, deed: str) -> None:
    command, named = DEEDS[deed]
    before, agent = shared.state(), kit.pid(shared)
    noticed, repaired = said(shared, NOTICED), said(shared, REPAIRED)
    with kit.logged(shared) as lines:
        shared.sh("router", "sh", "-c", command)
        took = kit.within(lambda: said(shared, NOTICED) > noticed)
        whole = took + kit.within(lambda: said(shared, REPAIRED) > repaired)
    assert any(named in line for line in lines), lines
    assert shared.state() == before and kit.pid(shared) == agent
    assert took < NOTICED_S and whole < REPAIRED_S, f"noticed after {took:.2f} s, repaired after {whole:.2f} s"
    time.sleep(0.3)
    assert said(shared, REPAIRED) == repaired + 1, "what the agent does itself is no drift"


def test_reported_and_not_repaired_by_setting(served: Router) -> None:
    kit.restart(served, repair="false")
    for deed in ("deleted element", "removed address", "edited lease", "killed daemon"):
        command, named = DEEDS[deed]
        with kit.logged(served) as lines:
            served.sh("router", "sh", "-c", command)
            assert eventually(lambda named=named: named in kit.log(served), 2)  # type: ignore[misc]
        assert not any("repaired" in line for line in lines)
    assert "192.0.2.11" not in served.sh("router", "ip", "-4", "addr") and 2222 not in kit.ports(served)
    kit.restart(served)
    assert "192.0.2.11" in served.sh("router", "ip", "-4", "addr") and 2222 in kit.ports(served)


def test_what_is_not_ours_stays(served: Router) -> None:
    before = served.state()
    deeds = (
        "nft add table ip foreign", "nft add chain ip foreign c '{ type filter hook input priority 10; }'",
        "nft add rule ip foreign c counter", "nft add table inet filter",
        "ip link add br0 type bridge", "ip address add 172.31.0.1/24 dev br0", "ip link set br0 up",
        "ip route add 172.30.0.0/16 via 172.31.0.2", "ip route add 172.29.0.0/16 dev br0 table 77",
        "ip rule add from 172.31.0.0/24 lookup 77 priority 77", "echo x > /etc/foreign",
    )  # fmt: skip
    with kit.logged(served) as lines:
        for deed in deeds:
            served.sh("router", "sh", "-c", deed)
        time.sleep(0.5)
        foreign = served.state()
        assert served.update_config(forwards(forward(1201))).returncode == 0
        served.sh("router", "nft", "flush", "table", "ip", "vrouter")
        assert eventually(lambda: 1201 in kit.ports(served), 3)
        assert served.update_config(forwards(forward(1201, revoke=True))).returncode == 0
        assert served.run("vrouter", "converge").returncode == 0
    after = served.state()
    for part in ("nft", "addresses", "routes", "rules"):
        assert after[part] == foreign[part] != before[part], part
    assert sum("drift: not as" in line for line in lines) == 1, lines


def test_an_address_whose_nic_comes_later(served: Router) -> None:
    """Accepted and pending (design 4a); in effect when the NIC is there, without another command."""
    element = public("198.51.100.70", nic_dev_id=4, vif_mac_address="1e:00:4c:00:00:04")
    assert served.update_config(ips(element)).returncode == 0
    assert "198.51.100.70" not in served.sh("router", "ip", "-4", "addr")
    assert any("198.51.100.70" in str(item) for item in served.plan(forwards(forward(1211)))["pending"])
    served.lab.add_link("router", "eth4", "public-b", "1e:00:4c:00:00:04")
    took = kit.within(lambda: "198.51.100.70" in served.sh("router", "ip", "-4", "addr"))
    assert took < REPAIRED_S
    served.lab.remove_link("router", "eth4")
    assert served.update_config(forwards(forward(1212))).returncode == 0 and 1212 in kit.ports(served)
    served.lab.add_link("router", "eth4", "public-b", "1e:00:4c:00:00:04")
    kit.within(lambda: "198.51.100.70" in served.sh("router", "ip", "-4", "addr"))


def test_a_command_right_after_foreign_hands_repairs_as_well(served: Router) -> None:
    before = served.state()
    for _ in range(5):
        served.sh("router", "sh", "-c", "nft flush table ip vrouter; ip address del 192.0.2.11/24 dev eth2; true")
        assert served.update_config(forwards(forward(1221))).returncode == 0
        assert 1221 in kit.ports(served) and 2222 in kit.ports(served)
        assert served.update_config(forwards(forward(1221, revoke=True))).returncode == 0
    eventually(lambda: not kit.differences(served, before))
    assert not kit.differences(served, before)


def busy(router: Router) -> Command:
    """Tables of others that come and go all the time."""
    return router.lab.popen("router", ("sh", "-c", "while :; do nft add table ip busy; nft delete table ip busy; done"))


def test_foreign_hands_that_never_rest(served: Router) -> None:
    """Commands are taken, what is ours is repaired, theirs is no drift."""
    with busy(served) as noise:
        try:
            for number in range(10):
                assert served.update_config(forwards(forward(1230 + number))).returncode == 0
            assert "drift" not in kit.log(served)
            served.sh("router", "nft", "flush", "chain", "ip", "vrouter", "input")
            assert kit.within(lambda: said(served, REPAIRED)) < REPAIRED_S
        finally:
            noise.kill()


def test_foreign_hands_in_the_policy_cost_no_reading(served: Router) -> None:
    """On a router whose policy is long, so that to read it once costs more than all that is told of others."""
    assert served.update_config(forwards(*(forward(port) for port in range(10_000, 14_000)))).returncode == 0
    agent = kit.outer_pid(served)
    begin = kit.cpu_s(agent)
    served.sh(
        "router", "nft", "add", "element", "ip", "vrouter", "forward_port", "{ 192.0.2.10 . tcp . 99 : 10.1.1.99 . 99 }"
    )
    kit.within(lambda: said(served, REPAIRED))
    reading = kit.cpu_s(agent) - begin
    time.sleep(1)  # what the repair brought is told, too
    with busy(served) as noise:
        generation, begin = served.generation(), kit.cpu_s(agent)
        time.sleep(2)
        spent, steps = kit.cpu_s(agent) - begin, served.generation() - generation
        noise.kill()
    print(f"\n{steps} foreign transactions in {spent:.3f} s of the agent; one repair {reading:.3f} s")
    assert steps > 50 and spent / steps < 0.001 and spent < reading * 2
    assert said(served, NOTICED) == 1


def test_what_the_agent_does_itself_costs_no_reading(served: Router) -> None:
    """On a router that takes long to compare."""
    assert served.update_config(forwards(*(forward(port) for port in range(10_000, 14_000)))).returncode == 0
    agent = kit.outer_pid(served)
    time.sleep(2)  # a bag that long is written within a second
    spent = []
    for more in ({}, {"add": False}) * 5:
        assert served.update_config(ips(public("198.51.100.200", **more))).returncode == 0
        begin = kit.cpu_s(agent)
        time.sleep(1)
        spent.append(kit.cpu_s(agent) - begin)
    begin = kit.cpu_s(agent)
    served.sh("router", "ip", "address", "add", "203.0.113.99/32", "dev", "eth2")
    time.sleep(1)
    reading = kit.cpu_s(agent) - begin
    print(f"\n{max(spent):.3f} s after a command of ours, {reading:.3f} s after foreign hands")
    assert max(spent) < reading / 2


def test_a_directory_of_guests_that_is_taken_away(served: Router) -> None:
    before = served.state()
    for _ in range(2):
        so_far = said(served, REPAIRED)
        served.sh("router", "rm", "-rf", "/var/lib/vrouter/dnsmasq")
        assert kit.within(lambda so_far=so_far: said(served, REPAIRED) > so_far)  # type: ignore[misc]
        assert eventually(lambda: served.state() == before)
    assert served.lease("guest1")


def test_a_router_that_was_told_nothing_is_left_as_it_is(idle: Router) -> None:
    before = idle.state()
    idle.sh(
        "router", "sh", "-c", "ip link set eth3 up; ip link set eth3 down; nft add table ip x; nft delete table ip x"
    )
    kit.restart(idle)
    time.sleep(0.8)
    assert not kit.differences(idle, before) and kit.log(idle) == ""
