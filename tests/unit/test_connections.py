"""Which connections a plan ends: those of a removed address, forward or static NAT, and no others (PO-4, PF-10)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from tests.core import Core, Document, machine
from tests.generators import DEVICES, MASK
from vrouter.connections import Connection, ending

PUBLIC, OTHER, GUEST, SECOND, CLIENT = "192.0.2.10", "192.0.2.11", "10.1.1.11", "10.1.1.12", "203.0.113.11"


def ips(*addresses: str, **more: Any) -> Document:
    base = {"netmask": MASK, "gateway": "192.0.2.1", "nic_dev_id": 2}
    return {"type": "ips", "ip_address": [base | {"public_ip": address} | more for address in addresses]}


def forward(public: str = PUBLIC, ports: str = "80:80", guest: str = GUEST, **more: Any) -> Document:
    rule = {"protocol": "tcp", "source_ip_address": public, "source_port_range": ports}
    return {
        "type": "forwardrules",
        "rules": [rule | {"destination_ip_address": guest, "destination_port_range": ports} | more],
    }


def static_nat(guest: str = GUEST, **more: Any) -> Document:
    return {"type": "staticnatrules", "rules": [{"source_ip_address": OTHER, "destination_ip_address": guest, **more}]}


def inbound(public: str = PUBLIC, port: int = 80, guest: str = GUEST, protocol: str = "tcp") -> Connection:
    """A client's connection to a public address that a guest answers."""
    client, to, answers = map(IPv4Address, (CLIENT, public, guest))
    return Connection(protocol, client, to, port, answers, client)


def outbound(public: str, guest: str = GUEST, port: int = 443) -> Connection:
    """A guest's connection to a client, behind a public address."""
    client, behind, source = map(IPv4Address, (CLIENT, public, guest))
    return Connection("tcp", source, client, port, client, behind)


def built() -> Core:
    core = Core(machine(DEVICES))
    core.run({"type": "cmdline", "cmd_line": {"type": "router", "eth0ip": "10.1.1.1", "eth0mask": MASK}})
    core.run(ips(PUBLIC, OTHER, "192.0.2.12"), forward(), forward(ports="90:99"), static_nat())
    return core


def ended(*documents: Document, of: list[Connection]) -> list[bool]:
    core = built()
    found = ending(core.run(*documents), core.resources)
    return [found.ends(connection) for connection in of]


def test_a_removed_forward_ends_its_connections_only() -> None:
    mine, port, guest, protocol, mine_out = (
        inbound(), inbound(port=81), inbound(guest=SECOND), inbound(protocol="udp"), outbound(PUBLIC),
    )  # fmt: skip
    assert ended(forward(revoke=True), of=[mine, port, guest, protocol, mine_out]) == [True, False, False, False, False]


def test_a_removed_range_ends_each_of_its_ports() -> None:
    found = ended(forward(ports="90:99", revoke=True), of=[inbound(port=port) for port in (80, 89, 90, 99, 100)])
    assert found == [False, False, True, True, False]


def test_a_forward_to_another_guest_ends_those_of_the_old_one() -> None:
    assert ended(forward(guest=SECOND), of=[inbound(), inbound(guest=SECOND)]) == [True, False]


def test_a_restriction_of_sources_keeps_what_is_still_translated() -> None:
    """The same guest answers the same port: nothing that is there loses its explanation."""
    documents = [forward(revoke=True), forward(source_cidr_list="203.0.113.0/24")]
    assert ended(*documents, of=[inbound()]) == [False]


def test_a_restriction_of_sources_ends_those_of_other_sources() -> None:
    documents = [forward(revoke=True), forward(source_cidr_list="198.51.100.0/24")]
    assert ended(*documents, of=[inbound()]) == [True]


def test_a_range_that_stands_keeps_what_a_single_port_beside_it_explained_too() -> None:
    """PF-10: the same guest answers the port by the range."""
    core = built()
    core.run(forward(ports="95:95"))
    found = ending(core.run(forward(ports="95:95", revoke=True)), core.resources)
    assert not found.ends(inbound(port=95)) and found.ends(inbound(port=80)) is False


def test_a_removed_static_nat_ends_both_directions() -> None:
    found = ended(static_nat(revoke=True), of=[inbound(OTHER), outbound(OTHER), inbound(), outbound(PUBLIC)])
    assert found == [True, True, False, False]


def test_static_nat_for_another_guest_ends_the_old_one() -> None:
    found = ended(static_nat(SECOND), of=[inbound(OTHER), inbound(OTHER, guest=SECOND), outbound(OTHER)])
    assert found == [True, False, True]


def test_a_removed_address_ends_all_that_has_it() -> None:
    found = ended(
        ips("192.0.2.12", add=False), of=[inbound("192.0.2.12", guest=SECOND), outbound("192.0.2.12"), inbound()]
    )
    assert found == [True, True, False]


def test_an_address_that_changes_its_place_or_prefix_ends_none() -> None:
    flagged = ips(OTHER, source_nat=True)
    assert ended(flagged, of=[inbound(OTHER), outbound(OTHER), inbound()]) == [False, False, False]
    wider = ips("192.0.2.12", netmask="255.255.0.0")
    assert ended(wider, of=[inbound("192.0.2.12"), outbound("192.0.2.12")]) == [False, False]


def test_firewall_changes_end_none() -> None:
    rule = {"id": 1, "protocol": "tcp", "traffic_type": "Ingress", "src_ip": PUBLIC, "src_port_range": [80, 80]}
    core = built()
    core.run({"type": "firewallrules", "rules": [rule]})
    plan = core.run({"type": "firewallrules", "rules": [rule | {"revoked": True}]})
    assert plan and not ending(plan, core.resources)
