"""Addresses on NICs, by asking the kernel and by packets (contract dataplane 2.1, IF-1 to IF-9)."""

from __future__ import annotations

import subprocess
import time

from tests.system.commands import MACS, boot, gone, host, ips, public, tier
from tests.system.kit import Router, eventually, example
from tests.system.wire import addresses, link, routes, rules, who_has

NEW_MAC = "1e:00:4c:00:00:09"


def impatient(router: Router) -> None:
    """Devices that are not there are waited for a tenth of a second."""
    settings = b'supervisor = "process"\ndevice_wait_s = 0.1\n'
    router.lab.put("router", "/etc/vrouter/vrouter.toml", settings, 0o644)


def waiting(router: Router) -> list[str]:
    """What `plan` says is pending: entry and need."""
    plan = router.plan(host("none", "02:00:4c:01:00:99", "10.1.1.99"))
    return [f"{item['origin']}: {item['needs']}" for item in plan["pending"]]


def test_if_1_the_mac_wins_over_the_number_in_any_letter_case(own: Router) -> None:
    own.send(ips(public("198.51.100.20", vif_mac_address=MACS[3].upper(), nic_dev_id=2)))
    assert addresses(own)["198.51.100.20"] == ("eth3", True)


def test_if_1_without_a_known_mac_the_number_and_then_the_old_place_tell(own: Router) -> None:
    unknown = public("198.51.100.20", vif_mac_address="1e:00:4c:00:00:77", nic_dev_id=3)
    silent = public("198.51.100.20", vif_mac_address=None, nic_dev_id=None, mtu=1400)
    own.send(ips(unknown))
    assert addresses(own)["198.51.100.20"] == ("eth3", True)
    own.send(ips({name: value for name, value in silent.items() if value is not None}))
    assert addresses(own)["198.51.100.20"] == ("eth3", True)


def test_if_1_an_address_follows_its_mac_to_a_nic_that_is_plugged_later(own: Router) -> None:
    impatient(own)
    own.send(ips(public("198.51.100.20", vif_mac_address=NEW_MAC.upper(), nic_dev_id=4)))
    own.lab.add_link("router", "eth5", "public-b", NEW_MAC)
    own.send(example("isolated/10-dhcpentry-web1"))
    assert addresses(own)["198.51.100.20"] == ("eth5", False)
    assert waiting(own) == []


def test_if_2_a_tier_is_found_by_its_mac(own: Router) -> None:
    own.lab.add_link("router", "eth5", "guest", NEW_MAC)
    document = tier("eth4", NEW_MAC.upper(), "10.1.2.1")
    own.send(document)
    assert addresses(own)["10.1.2.1"] == ("eth5", False)
    own.send(host("web1", "02:00:4c:01:00:11", "10.1.1.11"), host("db1", "02:00:4c:01:00:13", "10.1.2.13"))
    assert who_has(own, "guest1", "eth0", "10.1.2.1", "10.1.2.50")
    own.send({**document, "add": False})
    assert "10.1.2.1" not in addresses(own)
    assert not who_has(own, "guest1", "eth0", "10.1.2.1", "10.1.2.50")


def test_if_4_an_address_without_its_device_waits_for_it(own: Router) -> None:
    impatient(own)
    document = ips(public("198.51.100.20", vif_mac_address=NEW_MAC, nic_dev_id=4))
    assert own.plan(document)["pending"] == [{"origin": "ips 198.51.100.20", "needs": "device eth4"}]
    done = own.update_config(document)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "198.51.100.20" not in addresses(own)
    assert waiting(own) == ["ips 198.51.100.20: device eth4"]
    assert own.run("vrouter", "converge").stdout == "nothing to change\n"

    own.lab.add_link("router", "eth4", "public-b", NEW_MAC)
    own.send(example("isolated/10-dhcpentry-web1"))
    assert addresses(own)["198.51.100.20"] == ("eth4", False)
    assert "default via 198.51.100.1 dev eth4 proto static" in routes(own, "104")
    assert own.ping("router", "198.51.100.12", "-I", "198.51.100.20")
    assert waiting(own) == []


def test_if_4_converge_takes_a_device_that_appeared_and_one_that_went(own: Router) -> None:
    impatient(own)
    own.send(ips(public("198.51.100.20", vif_mac_address=NEW_MAC, nic_dev_id=4)))
    without = own.state()
    own.lab.add_link("router", "eth4", "public-b", NEW_MAC)
    assert own.run("vrouter", "converge").returncode == 0
    assert addresses(own)["198.51.100.20"] == ("eth4", False)
    own.lab.remove_link("router", "eth4")
    assert own.run("vrouter", "converge").returncode == 0
    assert own.state() == without
    assert own.update_config(gone("198.51.100.20")).returncode == 0
    assert waiting(own) == []


def test_if_4_a_device_plugged_while_the_command_runs_is_waited_for(own: Router) -> None:
    name = own.put(ips(public("198.51.100.20", vif_mac_address=NEW_MAC, nic_dev_id=4)))
    command = own.lab.popen("router", ("/opt/cloud/bin/update_config.py", name), stdout=subprocess.PIPE)
    time.sleep(1)  # the behaviour itself: a second after the command was started
    assert command.poll() is None
    own.lab.add_link("router", "eth4", "public-b", NEW_MAC)
    assert command.wait(10) == 0
    assert addresses(own)["198.51.100.20"] == ("eth4", False)
    assert link(own, "eth4")["operstate"] == "UP"


def test_if_5_a_flagged_address_that_comes_later_is_the_primary_one(empty: Router) -> None:
    """Nothing else is lost while the addresses change places: neither other addresses nor routes."""
    empty.send(boot(), ips(public("198.51.100.20"), public("198.51.100.30")))
    empty.sh("router", "ip", "route", "add", "172.16.0.0/24", "via", "198.51.100.1")
    before, tables = addresses(empty), [routes(empty, table) for table in ("main", "102", "103")]
    assert (before["198.51.100.20"], before["198.51.100.30"]) == (("eth3", False), ("eth3", True))
    assert empty.http("router", "198.51.100.12") == "198.51.100.20"

    empty.send(ips(public("198.51.100.10", source_nat=True)))
    assert addresses(empty) == before | {"198.51.100.10": ("eth3", False), "198.51.100.20": ("eth3", True)}
    assert empty.http("router", "198.51.100.12") == "198.51.100.10"
    after = [routes(empty, table) for table in ("main", "102", "103")]
    assert [[line.replace("src 198.51.100.10", "src 198.51.100.20") for line in table] for table in after] == tables

    empty.send(gone("198.51.100.10"))
    assert addresses(empty) == before
    assert [routes(empty, table) for table in ("main", "102", "103")] == tables


def test_if_6_the_others_stay_when_the_first_address_of_a_subnet_goes(own: Router) -> None:
    assert own.lease("guest1")
    before = routes(own)
    own.send(gone("192.0.2.10"))
    assert {a: place for a, place in addresses(own).items() if place[0] == "eth2"} == {
        "192.0.2.11": ("eth2", False), "192.0.2.12": ("eth2", True),
    }  # fmt: skip
    assert routes(own) == [line.replace("src 192.0.2.10", "src 192.0.2.11") for line in before]
    assert own.http("public1", "192.0.2.11:443") == "203.0.113.11"
    assert own.http("router", "203.0.113.11") == "192.0.2.11"


def test_if_7_a_removed_address_and_those_that_no_bag_explains_go(own: Router) -> None:
    assert who_has(own, "upstream", "eth0", "192.0.2.12", "192.0.2.1")
    own.send(gone("192.0.2.12"))
    assert not who_has(own, "upstream", "eth0", "192.0.2.12", "192.0.2.1")
    before = addresses(own)
    for number, address in enumerate(("10.7.7.7/24", "169.254.77.7/16", "192.0.2.77/24", "198.51.100.77/32")):
        own.sh("router", "ip", "address", "add", address, "dev", f"eth{number}")
    own.sh("router", "ip", "address", "add", "192.0.2.12/24", "dev", "eth3")
    changes = own.plan(example("isolated/10-dhcpentry-web1"))["changes"]
    assert {change["name"] for change in changes if change["action"] == "remove"} >= {
        "eth0 10.7.7.7/24", "eth1 169.254.77.7/16", "eth2 192.0.2.77/24", "eth3 198.51.100.77/32", "eth3 192.0.2.12/24",
    }  # fmt: skip
    assert own.update_config(example("isolated/10-dhcpentry-web1")).returncode == 0
    assert addresses(own) == before


def test_if_7_what_is_foreign_elsewhere_is_left_alone(own: Router) -> None:
    before = own.state()
    for line in (
        "ip link add br9 type bridge", "ip link set br9 up", "ip address add 172.17.0.1/24 dev br9",
        "ip address add 127.0.0.9/8 dev lo", "ip route add 172.16.5.0/24 via 192.0.2.1",
        "ip route add 172.16.6.0/24 via 192.0.2.1 table 77", "ip rule add from 172.18.0.1 table 77 priority 500",
        "nft add table ip foreign", "nft add chain ip foreign watch { type filter hook input priority 5; }",
        "nft add rule ip foreign watch tcp dport 9999 drop", "nft add table inet foreign6",
    ):  # fmt: skip
        own.sh("router", *line.split())
    with_foreign = own.state()
    assert with_foreign != before
    own.send(gone("192.0.2.12"), example("isolated/02-ips-source-nat"))
    assert own.run("vrouter", "converge").stdout == "nothing to change\n"
    assert own.state() == with_foreign


def test_if_8_removing_what_is_not_there_is_no_error(own: Router) -> None:
    before = (own.generation(), own.state())
    done = own.update_config(gone("192.0.2.99"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (own.generation(), own.state()) == before


def test_if_9_links_come_up_with_their_addresses(empty: Router) -> None:
    def up() -> list[str]:
        return [f"eth{number}" for number in range(4) if "UP" in link(empty, f"eth{number}")["flags"]]

    assert up() == []
    empty.send(boot())
    assert up() == ["eth0", "eth1", "eth2"]
    empty.send(ips(public("198.51.100.10")))
    assert up() == ["eth0", "eth1", "eth2", "eth3"]
    empty.sh("router", "ip", "link", "set", "eth3", "down")
    empty.send(example("isolated/10-dhcpentry-web1"))
    assert eventually(lambda: empty.ping("public2", "198.51.100.10") or link(empty, "eth3")["operstate"] == "UP")
    assert any("lookup Table_eth3" in line for line in rules(empty))
