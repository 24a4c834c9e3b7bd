"""Announcements, ARP, MTU and routes of the links (contract dataplane 2.1, IF-10 to IF-16)."""

from __future__ import annotations

import json

from tests.system.commands import aliases, boot, gone, host, ips, public
from tests.system.kit import Router, eventually, example
from tests.system.wire import addresses, capture, link, routes, who_has

MAC = "1e:00:4c:00:00:02"


def test_if_10_an_address_is_announced_once_when_it_comes(fresh: Router) -> None:
    document = ips(public("192.0.2.13"))
    with capture(fresh, "upstream", "eth0", "arp", "-e") as seen:
        fresh.send(document)
        assert len(seen.lines(f"{MAC} > ff:ff:ff:ff:ff:ff", "Request who-has 192.0.2.1 ", "tell 192.0.2.13")) == 1
        assert len(seen.lines(f"{MAC} > ff:ff:ff:ff:ff:ff", "Reply 192.0.2.13 is-at", MAC)) == 1
        fresh.send(document, example("isolated/02-ips-source-nat"))
        assert fresh.update_config(document).returncode == 0
        assert fresh.update_config(ips(public("192.0.2.14", gateway=""))).returncode == 0
        assert len(seen.lines("192.0.2.13")) == 2
        assert len(seen.lines("Request who-has 192.0.2.14 ", "tell 192.0.2.14")) == 1
        assert seen.lines("tell 192.0.2.11") + seen.lines("tell 192.0.2.12") + seen.lines("Reply 192.0.2.12") == []


def test_if_10_a_link_that_comes_up_announces_all_its_addresses(fresh: Router) -> None:
    fresh.sh("router", "ip", "link", "set", "eth2", "down")
    with capture(fresh, "upstream", "eth0", "arp") as seen:
        assert fresh.run("vrouter", "converge").returncode == 0
        for address in ("192.0.2.10", "192.0.2.11", "192.0.2.12"):
            assert len(seen.lines(f"Reply {address} is-at")) == 1
        fresh.send(ips(public("192.0.2.12", mtu=1450)), ips(public("192.0.2.10", mtu=1450, source_nat=True)))
        assert fresh.run("vrouter", "converge").returncode == 0
        assert len(seen.lines("Reply 192.0.2.10 is-at")) == 1  # a change of the MTU is no reason to announce


def test_if_10_neighbours_learn_that_an_address_moved(fresh: Router) -> None:
    fresh.sh("public2", "ip", "address", "add", "198.51.100.40/24", "dev", "eth0")
    assert fresh.ping("upstream", "198.51.100.40")
    neighbour = ("ip", "-j", "neigh", "show", "198.51.100.40")
    assert json.loads(fresh.sh("upstream", *neighbour))[0]["lladdr"] == "02:00:4c:ff:00:32"
    fresh.sh("public2", "ip", "address", "del", "198.51.100.40/24", "dev", "eth0")
    fresh.sh("upstream", "sysctl", "-qw", "net.ipv4.neigh.eth1.locktime=0")  # else a change within a second is ignored
    fresh.send(ips(public("198.51.100.40")))
    assert eventually(lambda: json.loads(fresh.sh("upstream", *neighbour))[0]["lladdr"] == "1e:00:4c:00:00:03")


def test_if_11_arp_answers_only_for_the_interface_and_its_subnet(built: Router) -> None:
    assert who_has(built, "public2", "eth0", "198.51.100.10", "198.51.100.12")
    assert not who_has(built, "public2", "eth0", "192.0.2.10", "198.51.100.12")
    assert not who_has(built, "public2", "eth0", "10.1.1.1", "198.51.100.12")
    assert not who_has(built, "public2", "eth0", "198.51.100.10", "192.0.2.99")
    assert who_has(built, "guest1", "eth0", "10.1.1.1", "10.1.1.11")
    assert not who_has(built, "guest1", "eth0", "192.0.2.10", "10.1.1.11")


def test_if_11_arp_requests_carry_an_address_of_the_link(built: Router) -> None:
    with capture(built, "guest1", "eth0", "arp") as seen:
        built.sh("router", "ip", "neigh", "flush", "dev", "eth0")
        built.ping("router", "10.1.1.11", "-I", "192.0.2.12")
        assert seen.lines("who-has 10.1.1.11 ", "tell 10.1.1.1,")
        assert not seen.lines("tell 192.0.2.12")


def test_if_12_the_mtu_of_boot_and_of_addresses_is_set(bare: Router) -> None:
    bare.send(boot(publicMtu="1420", privateMtu="1430"))
    assert [link(bare, f"eth{number}")["mtu"] for number in range(3)] == [1430, 1500, 1420]
    bare.send(ips(public("192.0.2.10", mtu=1440, source_nat=True), public("198.51.100.10", mtu="1380")))
    assert [link(bare, f"eth{number}")["mtu"] for number in range(4)] == [1430, 1500, 1440, 1380]
    bare.send(ips(public("198.51.100.10")))
    assert link(bare, "eth3")["mtu"] == 1500


def test_if_12_a_change_of_the_mtu_alone_touches_nothing_else(fresh: Router) -> None:
    assert fresh.lease("guest1")["mtu"] == "1500"
    element = {**example("isolated/03-ips-second-vlan")["ip_address"][0], "mtu": 1380}
    with fresh.tcp_server("guest3", 9443), fresh.tcp_server("public2", 8000):
        before = (fresh.generation(), fresh.pid(), addresses(fresh), routes(fresh), routes(fresh, "103"))
        changes = fresh.send(ips(element))["changes"]
        assert [(change["action"], change["kind"], change["name"]) for change in changes] == [("change", "link", "eth3")]
        assert (fresh.generation(), fresh.pid(), addresses(fresh), routes(fresh), routes(fresh, "103")) == before
    assert link(fresh, "eth3")["mtu"] == 1380


def test_if_12_option_26_follows_the_mtu_of_the_guest_network(fresh: Router) -> None:
    assert fresh.lease("guest1")["mtu"] == "1500"
    before = (fresh.generation(), addresses(fresh), routes(fresh), routes(fresh, "102"))
    fresh.send(boot(privateMtu="1400"))
    assert link(fresh, "eth0")["mtu"] == 1400
    assert fresh.lease("guest1")["mtu"] == "1400"
    guest = public("10.1.1.1", nic_dev_id=0, nw_type="guest", gateway="", mtu=1390)
    fresh.send(ips({name: value for name, value in guest.items() if name != "vif_mac_address"}))
    assert link(fresh, "eth0")["mtu"] == 1390
    assert fresh.lease("guest1")["mtu"] == "1390"
    assert (fresh.generation(), addresses(fresh), routes(fresh), routes(fresh, "102")) == before


def test_if_13_interfaces_are_not_promiscuous_and_keep_their_macs(built: Router) -> None:
    nics = {nic.device: nic.mac for node in built.lab.topology.nodes if node.router for nic in node.nics}
    found = {device: link(built, device) for device in nics}
    assert {device: one["address"] for device, one in found.items()} == nics
    assert {one["promiscuity"] for one in found.values()} == {0}
    names = {one["ifname"] for one in json.loads(built.sh("router", "ip", "-j", "link"))}
    assert names == {"lo", *nics}  # no virtual MAC on a link of its own


def test_if_15_management_networks_are_reached_through_the_control_gateway(fresh: Router) -> None:
    before = routes(fresh)
    fresh.sh("control", "ip", "address", "add", "10.10.0.5/32", "dev", "lo")
    fresh.send(boot(mgmtcidr="10.10.0.0/16,172.31.0.0/24", localgw="169.254.0.1"))
    added = {
        "10.10.0.0/16 via 169.254.0.1 dev eth1 proto 118", "172.31.0.0/24 via 169.254.0.1 dev eth1 proto 118",
    }  # fmt: skip
    assert set(routes(fresh)) == {*before, *added}
    assert fresh.http("router", "10.10.0.5") == "169.254.10.20"
    with fresh.tcp_server("router", 3922):
        fresh.sh("control", "ip", "route", "add", "169.254.10.20/32", "dev", "eth0", "src", "10.10.0.5")
        assert fresh.tcp("control", "169.254.10.20", 3922) == "10.10.0.5 3922"
    fresh.send(boot(mgmtcidr="10.10.0.0/16", localgw="169.254.0.1"))
    assert set(routes(fresh)) == {*before, "10.10.0.0/16 via 169.254.0.1 dev eth1 proto 118"}
    fresh.send(boot())
    assert routes(fresh) == before


def test_if_16_aliases_are_guest_addresses_with_their_own_dhcp(fresh: Router) -> None:
    mac = "02:00:4c:01:00:13"
    guest = host("db1", mac, "10.1.3.13", default_gateway="10.1.3.1")
    fresh.send({**guest, "ipv4_address": "10.1.1.13", "remove": True}, guest)
    assert fresh.lease("guest3") == {}
    fresh.send(aliases(["10.1.3.1"]))
    assert addresses(fresh)["10.1.3.1"] == ("eth0", False)
    lease = fresh.lease("guest3")
    assert (lease["ip"], lease["router"], lease["dns"].split()[0]) == ("10.1.3.13", "10.1.3.1", "10.1.3.1")
    assert fresh.ping("guest3", "10.1.3.1")
    fresh.send(aliases(["10.1.3.1"], revoke=True))
    assert "10.1.3.1" not in addresses(fresh)
    assert not fresh.ping("guest3", "10.1.3.1")
    assert fresh.lease("guest3") == {}
    assert fresh.lease("guest1")["ip"] == "10.1.1.11"


def test_if_10_a_removed_address_is_silent(fresh: Router) -> None:
    with capture(fresh, "upstream", "eth0", "arp") as seen:
        fresh.send(gone("192.0.2.12"))
        assert not seen.lines("192.0.2.12 is-at")
