"""What is saved and waits (design 4a)."""

from __future__ import annotations

from tests.core import Core, machine
from tests.generators import DEVICES, MASK
from vrouter.pending import Pending, pending

FORWARD = {
    "protocol": "tcp", "source_ip_address": "192.0.2.10", "source_port_range": "80:80",
    "destination_ip_address": "10.1.1.11", "destination_port_range": "80:80",
}  # fmt: skip


def waits(core: Core) -> list[Pending]:
    return pending(core.wanted.intents(), core.machine)


def test_nothing_waits_on_an_empty_router() -> None:
    assert waits(Core(machine({}))) == []


def test_a_forward_waits_for_address_and_subnet_until_they_come() -> None:
    core = Core(machine(DEVICES))
    core.run({"type": "forwardrules", "rules": [FORWARD]})
    origin = "forwardingrules 192.0.2.10 tcp 80:80"
    assert waits(core) == [
        Pending(origin, "a guest subnet for 10.1.1.11"),
        Pending(origin, "public address 192.0.2.10"),
    ]
    core.run({"type": "ips", "ip_address": [{"public_ip": "192.0.2.10", "netmask": MASK, "nic_dev_id": 2}]})
    assert [item.needs for item in waits(core)] == ["a guest subnet for 10.1.1.11"]
    core.run({"type": "cmdline", "cmd_line": {"type": "router", "eth0ip": "10.1.1.1", "eth0mask": MASK}})
    assert waits(core) == []


def test_an_address_waits_for_its_device() -> None:
    address = {"public_ip": "192.0.2.10", "netmask": MASK, "nic_dev_id": 7}
    core = Core(machine(DEVICES))
    core.run({"type": "ips", "ip_address": [address]})
    assert waits(core) == [Pending("ips 192.0.2.10", "device eth7")]
    assert waits(core)[0].as_json() == {"origin": "ips 192.0.2.10", "needs": "device eth7"}
    plugged = Core(machine({**DEVICES, "eth7": "1e:00:4c:00:00:07"}), core.saved())
    assert waits(plugged) == []


def test_an_address_whose_nic_is_not_there_goes_where_its_mac_appears() -> None:
    mac = "1E:00:4C:00:00:09"
    core = Core(machine(DEVICES))
    core.run({"type": "ips", "ip_address": [{"public_ip": "192.0.2.10", "netmask": MASK, "vif_mac_address": mac}]})
    assert [item.needs for item in waits(core)] == ["device ethNone"]
    plugged = Core(machine({**DEVICES, "eth9": mac}), core.saved())
    assert waits(plugged) == [] and ("link", "eth9") in plugged.resources


def test_rules_and_guests_wait_once_each() -> None:
    core = Core(machine(DEVICES))
    rule = {"id": 1, "protocol": "tcp", "traffic_type": "Ingress", "src_ip": "192.0.2.10"}
    host = {"type": "dhcpentry", "host_name": "web1", "mac_address": "02:00:4c:01:00:11", "ipv4_address": "10.1.1.11"}
    nat = {"source_ip_address": "192.0.2.11", "destination_ip_address": "10.1.1.11"}
    core.run({"type": "firewallrules", "rules": [rule]}, host, {"type": "staticnatrules", "rules": [nat]})
    assert [item.origin for item in waits(core)] == [
        "dhcpentry 10.1.1.11",
        "firewallrules 1",
        "forwardingrules 192.0.2.11",
        "forwardingrules 192.0.2.11",
    ]
