"""Merges where the contract leaves a trap: what is refused, and what a document that contradicts itself comes to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core import Core, machine
from tests.generators import DEVICES, MASK
from vrouter.errors import Refused
from vrouter.model.intents import SubnetGateway, Tier

FORWARD = {
    "protocol": "tcp", "source_ip_address": "192.0.2.10", "source_port_range": "80:80",
    "destination_ip_address": "10.1.1.11", "destination_port_range": "80:80", "source_cidr_list": "203.0.113.0/24",
}  # fmt: skip
HOST = {"type": "dhcpentry", "host_name": "web1", "mac_address": "02:00:4c:01:00:11", "ipv4_address": "10.1.1.11"}
TIER = {
    "type": "guestnetwork", "device": "eth3", "mac_address": DEVICES["eth3"], "router_guest_ip": "10.8.1.1",
    "router_guest_netmask": MASK, "router_guest_gateway": "10.8.1.1",
}  # fmt: skip


def boot(**more: str) -> dict[str, Any]:
    return {"type": "cmdline", "cmd_line": {"type": "router", "eth0ip": "10.1.1.1", "eth0mask": MASK} | more}


def router(*documents: dict[str, Any]) -> Core:
    core = Core(machine(DEVICES))
    core.run(*documents)
    return core


def refusal(document: dict[str, Any]) -> list[str]:
    with pytest.raises(Refused) as error:
        router(document)
    return [str(fault) for fault in error.value.faults]


def test_what_waits_for_its_issue_says_so() -> None:
    assert refusal(boot(type="vpcrouter")) == ["cmd_line.type: not supported yet: router kind 'vpcrouter'"]
    assert refusal(boot(redundant_router="1", is_routed="true")) == [
        "cmd_line.redundant_router: not supported yet: redundant routers",
        "cmd_line.is_routed: not supported yet: routed mode",
    ]
    private = {"public_ip": "192.0.2.10", "netmask": MASK, "nic_dev_id": 2, "is_private_gateway": True}
    said = refusal({"type": "ips", "ip_address": [private]})
    assert said == ["ip_address[0].is_private_gateway: not supported yet: private gateways"]


def test_one_address_on_two_nics_is_refused() -> None:
    """Else each repeat would move it to the other one."""
    said = refusal(boot(eth2ip="10.1.1.1", eth2mask=MASK, gateway="10.1.1.2"))
    assert said == ["cmd_line.eth2ip: '10.1.1.1' is not an address that no other NIC has"]


def test_an_address_needs_a_nic_and_an_alias_a_guest_network() -> None:
    said = refusal({"type": "ips", "ip_address": [{"public_ip": "192.0.2.10", "netmask": MASK}]})
    assert said == ["ip_address[0].nic_dev_id: no NIC is named for the address; send vif_mac_address or nic_dev_id"]
    [alias] = refusal({"type": "ipaliases", "aliases": [{"ip_address": "10.3.1.2", "netmask": MASK}]})
    assert alias.endswith("; send cmdline or guestnetwork first")


def test_a_rule_given_many_times_in_one_document_is_one() -> None:
    other = FORWARD | {"destination_ip_address": "10.1.1.12"}
    core = router(
        {"type": "forwardrules", "rules": [FORWARD, FORWARD, FORWARD, other, FORWARD | {"revoke": True}, other]}
    )
    [entry] = core.saved()["forwardingrules"]["192.0.2.10"]
    assert entry["internal_ip"] == "10.1.1.12"


def test_lists_that_share_a_member_are_one_rule() -> None:
    """The last one stays; one without a list is another rule (contract commands 4.12)."""
    lists = ["203.0.113.0/24,198.51.100.0/24", "", "198.51.100.0/24", "192.0.2.0/24"]
    core = router({"type": "forwardrules", "rules": [FORWARD | {"source_cidr_list": text} for text in lists]})
    found = [entry["source_cidr_list"] for entry in core.saved()["forwardingrules"]["192.0.2.10"]]
    assert sorted(found) == ["", "192.0.2.0/24", "198.51.100.0/24"]


@pytest.mark.parametrize("domain", ["", "null", "None"])
def test_a_tier_without_domain_has_the_default(domain: str) -> None:
    core = router(boot(), TIER | {"domain_name": domain})
    [tier] = core.wanted.intents().of(Tier)
    assert tier.domain == "cloudnine.internal"


def test_a_subnet_without_gateway_keeps_the_router_as_its_gateway() -> None:
    core = router(boot(), {"type": "dhcpconfig", "entries": [{"router_ip_address": "10.1.1.1", "netmask": MASK}]})
    assert list(core.wanted.intents().of(SubnetGateway)) == []
    assert Core(core.machine, core.saved()).resources == core.resources


def test_a_late_removal_spares_the_new_owner() -> None:
    owner = HOST | {"mac_address": "02:00:4c:01:00:99", "host_name": "web9"}
    core = router(boot(), HOST, owner, HOST | {"remove": True})
    assert core.saved()["dhcpentry"]["10.1.1.11"]["host_name"] == "web9"
    core.run(owner | {"mac_address": "02:00:4C:01:00:99", "remove": True})
    assert core.saved()["dhcpentry"] == {"id": "dhcpentry"}


def test_a_changed_tier_moves_its_address_and_a_stale_removal_spares_it() -> None:
    moved = TIER | {"router_guest_ip": "10.8.2.1", "router_guest_gateway": "10.8.2.1"}
    core = router(boot(), TIER, moved, TIER | {"add": False})
    assert [entry["public_ip"] for entry in core.saved()["ips"]["eth3"]] == ["10.8.2.1"]
    core.run(moved | {"add": False})
    assert "eth3" not in core.saved()["ips"] and core.saved()["guestnetwork"] == {"id": "guestnetwork"}


def test_a_firewall_rule_of_a_known_id_is_replaced() -> None:
    rule = {"id": 7, "protocol": "tcp", "traffic_type": "Ingress", "src_ip": "192.0.2.10", "src_port_range": [80, 80]}
    core = router({"type": "firewallrules", "rules": [rule]})
    core.run({"type": "firewallrules", "rules": [rule | {"src_port_range": [81, 81]}]})
    assert core.saved()["firewallrules"]["7"]["src_port_range"] == [81, 81]
    core.run({"type": "firewallrules"}, {"type": "firewallrules", "rules": [rule | {"revoked": True}]})
    assert core.saved()["firewallrules"] == {"id": "firewallrules"}


def test_without_a_flag_the_first_address_of_the_bag_is_primary() -> None:
    """Not the lowest one (design 4a); a flagged one comes before it, and a restart keeps the order."""
    sent = [{"public_ip": f"192.0.2.{n}", "netmask": MASK, "nic_dev_id": 2} for n in (12, 11)]
    core = router({"type": "ips", "ip_address": sent})
    for found in (core, Core(core.machine, core.saved())):
        assert found.resources["element", "source_nat", "eth2"].describe() == "192.0.2.12"
    core.run({"type": "ips", "ip_address": [sent[1] | {"source_nat": True}]})
    assert core.resources["element", "source_nat", "eth2"].describe() == "192.0.2.11"
