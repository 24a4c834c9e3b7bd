"""Announcements, ARP, MTU and routes of the links (contract dataplane 2.1, IF-10 to IF-16)."""

from __future__ import annotations

import json

from tests.system.commands import aliases, boot, gone, host, ips, public
from tests.system.kit import Router, eventually, example
from tests.system.probes import dhcp
from tests.system.wire import addresses, capture, link, routes, who_has

MAC = "1e:00:4c:00:00:02"


def test_if_10_an_address_is_announced_once_when_it_comes(own: Router) -> None:
    document = ips(public("192.0.2.13"))
    with capture(own, "upstream", "eth0", "arp", "-e") as seen:
        own.send(document)
        assert len(seen.lines(f"{MAC} > ff:ff:ff:ff:ff:ff", "Request who-has 192.0.2.1 ", "tell 192.0.2.13")) == 1
        assert len(seen.lines(f"{MAC} > ff:ff:ff:ff:ff:ff", "Reply 192.0.2.13 is-at", MAC)) == 1
        own.send(document, example("isolated/02-ips-source-nat"))
        assert own.update_config(document).returncode == 0
        assert own.update_config(ips(public("192.0.2.14", gateway=""))).returncode == 0
        assert len(seen.lines("192.0.2.13")) == 2
        assert len(seen.lines("Request who-has 192.0.2.14 ", "tell 192.0.2.14")) == 1
        assert seen.lines("tell 192.0.2.11") + seen.lines("tell 192.0.2.12") + seen.lines("Reply 192.0.2.12") == []


def test_if_10_a_link_that_comes_up_announces_all_its_addresses(own: Router) -> None:
    own.sh("router", "ip", "link", "set", "eth2", "down")
    with capture(own, "upstream", "eth0", "arp") as seen:
        assert own.run("vrouter", "converge").returncode == 0
        for address in ("192.0.2.10", "192.0.2.11", "192.0.2.12"):
            assert len(seen.lines(f"Reply {address} is-at")) == 1
        own.send(ips(public("192.0.2.12", mtu=1450)), ips(public("192.0.2.10", mtu=1450, source_nat=True)))
        assert own.run("vrouter", "converge").returncode == 0
        assert len(seen.lines("Reply 192.0.2.10 is-at")) == 1  # a change of the MTU is no reason to announce


def test_if_10_neighbours_learn_that_an_address_moved(own: Router) -> None:
    own.sh("public2", "ip", "address", "add", "198.51.100.40/24", "dev", "eth0")
    assert own.ping("upstream", "198.51.100.40")
    neighbour = ("ip", "-j", "neigh", "show", "198.51.100.40")
    assert json.loads(own.sh("upstream", *neighbour))[0]["lladdr"] == "02:00:4c:ff:00:32"
    own.sh("public2", "ip", "address", "del", "198.51.100.40/24", "dev", "eth0")
    own.sh("upstream", "sysctl", "-qw", "net.ipv4.neigh.eth1.locktime=0")  # else a change within a second is ignored
    own.send(ips(public("198.51.100.40")))
    assert eventually(lambda: json.loads(own.sh("upstream", *neighbour))[0]["lladdr"] == "1e:00:4c:00:00:03")


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


def test_if_12_the_mtu_of_boot_and_of_addresses_is_set(empty: Router) -> None:
    empty.send(boot(publicMtu="1420", privateMtu="1430"))
    assert [link(empty, f"eth{number}")["mtu"] for number in range(3)] == [1430, 1500, 1420]
    empty.send(ips(public("192.0.2.10", mtu=1440, source_nat=True), public("198.51.100.10", mtu="1380")))
    assert [link(empty, f"eth{number}")["mtu"] for number in range(4)] == [1430, 1500, 1440, 1380]
    empty.send(ips(public("198.51.100.10")))
    assert link(empty, "eth3")["mtu"] == 1500


def test_if_12_a_change_of_the_mtu_alone_touches_nothing_else(own: Router) -> None:
    assert own.lease("guest2")
    element = {**example("isolated/03-ips-second-vlan")["ip_address"][0], "mtu": 1380}
    with own.tcp_server("guest2", 22), own.stream("public1", "192.0.2.10", 2222) as stream:
        before = (own.generation(), own.pid(), addresses(own), routes(own), routes(own, "103"))
        changes = own.send(ips(element))["changes"]
        assert [(one["action"], one["kind"], one["name"]) for one in changes] == [("change", "link", "eth3")]
        assert (own.generation(), own.pid(), addresses(own), routes(own), routes(own, "103")) == before
        assert stream.echoes()
    assert link(own, "eth3")["mtu"] == 1380


def test_if_12_option_26_follows_the_mtu_of_the_guest_network(own: Router) -> None:
    assert own.lease("guest1")["mtu"] == "1500"
    before = (own.generation(), addresses(own), routes(own), routes(own, "102"))
    own.send(boot(privateMtu="1400"))
    assert link(own, "eth0")["mtu"] == 1400
    assert own.lease("guest1")["mtu"] == "1400"
    guest = public("10.1.1.1", nic_dev_id=0, nw_type="guest", gateway="", mtu=1390)
    own.send(ips({name: value for name, value in guest.items() if name != "vif_mac_address"}))
    assert link(own, "eth0")["mtu"] == 1390
    assert own.lease("guest1")["mtu"] == "1390"
    assert (own.generation(), addresses(own), routes(own), routes(own, "102")) == before


def test_if_13_interfaces_are_not_promiscuous_and_keep_their_macs(built: Router) -> None:
    nics = {nic.device: nic.mac for node in built.lab.topology.nodes if node.router for nic in node.nics}
    found = {device: link(built, device) for device in nics}
    assert {device: one["address"] for device, one in found.items()} == nics
    assert {one["promiscuity"] for one in found.values()} == {0}
    names = {one["ifname"] for one in json.loads(built.sh("router", "ip", "-j", "link"))}
    assert names == {"lo", *nics}  # no virtual MAC on a link of its own


def test_if_15_management_networks_are_reached_through_the_control_gateway(own: Router) -> None:
    before = routes(own)
    own.sh("control", "ip", "address", "add", "10.10.0.5/32", "dev", "lo")
    own.send(boot(mgmtcidr="10.10.0.0/16,172.31.0.0/24", localgw="169.254.0.1"))
    added = {
        "10.10.0.0/16 via 169.254.0.1 dev eth1 proto 118", "172.31.0.0/24 via 169.254.0.1 dev eth1 proto 118",
    }  # fmt: skip
    assert set(routes(own)) == {*before, *added}
    assert own.http("router", "10.10.0.5") == "169.254.10.20"
    with own.tcp_server("router", 3922):
        own.sh("control", "ip", "route", "add", "169.254.10.20/32", "dev", "eth0", "src", "10.10.0.5")
        assert own.tcp("control", "169.254.10.20", 3922) == "10.10.0.5 3922"
    own.send(boot(mgmtcidr="10.10.0.0/16", localgw="169.254.0.1"))
    assert set(routes(own)) == {*before, "10.10.0.0/16 via 169.254.0.1 dev eth1 proto 118"}
    own.send(boot())
    assert routes(own) == before


def test_if_16_aliases_are_guest_addresses_with_their_own_dhcp(own: Router) -> None:
    mac = "02:00:4c:01:00:13"
    guest = host("db1", mac, "10.1.3.13", default_gateway="10.1.3.1")
    own.send({**guest, "ipv4_address": "10.1.1.13", "remove": True}, guest)
    assert dhcp(own, "guest3", mac) == {}
    own.send(aliases(["10.1.3.1"]))
    assert addresses(own)["10.1.3.1"] == ("eth0", False)
    lease = own.lease("guest3")
    assert (lease["ip"], lease["router"], lease["dns"].split()[0]) == ("10.1.3.13", "10.1.3.1", "10.1.3.1")
    assert own.ping("guest3", "10.1.3.1")
    own.send(aliases(["10.1.3.1"], revoke=True))
    assert "10.1.3.1" not in addresses(own)
    assert not own.ping("guest3", "10.1.3.1")
    assert dhcp(own, "guest3", mac) == {}
    assert own.lease("guest1")["ip"] == "10.1.1.11"


def test_if_10_a_removed_address_is_silent(own: Router) -> None:
    with capture(own, "upstream", "eth0", "arp") as seen:
        own.send(gone("192.0.2.12"))
        assert not seen.lines("192.0.2.12 is-at")
