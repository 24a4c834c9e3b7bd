"""Port forwarding, by packets (contract dataplane 4.1)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.kit import Router
from tests.system.probes import GONE, opened, reach, seen, serving
from tests.system.rules import egress, firewall, forward, forwards, ingress, revoked

SHARED, SECOND = "192.0.2.12", "198.51.100.10"  # of eth2 and eth3; the first is free of the example's forwards
PUBLIC1, PUBLIC2 = "203.0.113.11", "198.51.100.12"
WEB2, DB1 = "10.1.1.12", "10.1.1.13"
SPECS = [f"{kind} {port}" for kind in ("tcp", "udp") for port in range(5000, 5040)]


@pytest.fixture(scope="module", autouse=True)
def servers(router: Router) -> Iterator[None]:
    """Two guests that answer on 5000 to 5039, and firewalls as open as they can be: here the forwards decide."""
    rules = (ingress(5000, SHARED, "all"), ingress(5001, SECOND, "all"))
    router.send(firewall(*rules))
    with serving(router, "guest2", *SPECS, "tcp 22"), serving(router, "guest3", *SPECS, "udp 9000", "udp 9010"):
        yield
    router.send(firewall(*map(revoked, rules)))


def tcp(*ports: int, to: str = SHARED) -> list[str]:
    return [f"tcp {to} {port}" for port in ports]


def answers(router: Router, node: str, *ports: int) -> list[str]:
    """What TCP ports of the shared address answer, without the client: the guest's port, or silence."""
    found = reach(router, node, *tcp(*ports))
    return [found[target].partition(" ")[2] for target in tcp(*ports)]


def test_pf_1_reaches_the_guest_with_the_source_kept(router: Router) -> None:
    rules = [forward(SHARED, "5100", WEB2, "5000"), forward(SHARED, "5100", DB1, "5001", "udp")]
    targets = (f"tcp {SHARED} 5100", f"udp {SHARED} 5100")
    router.send(forwards(*rules))
    assert reach(router, "public1", *targets) == {targets[0]: f"{PUBLIC1} 5000", targets[1]: f"{PUBLIC1} 5001"}
    assert reach(router, "public2", *targets) == {targets[0]: f"{PUBLIC2} 5000", targets[1]: f"{PUBLIC2} 5001"}
    assert router.udp("public1", SHARED, 5100, "x" * 4000) == f"{PUBLIC1} 5001"  # in fragments
    router.send(forwards(*map(revoked, rules)))
    assert opened(router, targets, "public1", "public2") == [set(), set()]


def test_pf_2_only_what_the_firewall_lets_in(router: Router) -> None:
    """The example forwards 192.0.2.10:2222 and opens it to 203.0.113.0/24 alone, 9000 to 9010 to all."""
    targets = ("tcp 192.0.2.10 2222", "udp 192.0.2.10 9000")
    assert reach(router, "public1", *targets) == {targets[0]: f"{PUBLIC1} 22", targets[1]: f"{PUBLIC1} 9000"}
    assert reach(router, "public2", *targets) == {targets[0]: GONE, targets[1]: f"{PUBLIC2} 9000"}
    unopened = forward("192.0.2.10", "5101", WEB2, "5002")
    router.send(forwards(unopened))
    assert seen(router, "public1", "tcp 192.0.2.10 5101") == GONE
    router.send(firewall(ingress(5010, "192.0.2.10", "tcp", "5101")))
    assert seen(router, "public1", "tcp 192.0.2.10 5101") == f"{PUBLIC1} 5002"
    router.send(forwards(revoked(unopened)), firewall(ingress(5010, "192.0.2.10", "tcp", revoked=True)))


def test_pf_3_the_reply_leaves_by_the_interface_of_the_request(router: Router) -> None:
    """public1 comes in on eth3, the default route is eth2's; the network outside takes an address of the second range
    from the second segment only."""
    before = router.sh("upstream", "cat", "/proc/sys/net/ipv4/conf/eth0/rp_filter").strip()
    router.sh("upstream", "sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1")
    try:
        assert seen(router, "public1", f"tcp {SECOND} 8443") == PUBLIC1
        assert seen(router, "public2", f"tcp {SECOND} 8443") == PUBLIC2
    finally:
        router.sh("upstream", "sysctl", "-qw", f"net.ipv4.conf.eth0.rp_filter={before}")


def test_pf_4_a_range_maps_port_by_port(router: Router) -> None:
    same = forward(SHARED, "5010-5014", WEB2, "5010-5014")
    shifted = forward(SHARED, "5110-5114", WEB2, "5020-5024")
    router.send(forwards(same, shifted))
    assert answers(router, "public1", 5009, 5010, 5012, 5014, 5015) == ["", "5010", "5012", "5014", ""]
    assert answers(router, "public1", 5109, 5110, 5112, 5114, 5115) == ["", "5020", "5022", "5024", ""]
    router.send(forwards(revoked(same)))
    assert answers(router, "public1", 5010, 5014, 5110, 5114) == ["", "", "5020", "5024"]
    router.send(forwards(revoked(shifted)))
    assert answers(router, "public1", 5110, 5112, 5114) == ["", "", ""]


def test_pf_4_of_overlapping_ranges_the_narrower_wins(router: Router) -> None:
    """In whatever order they come, and each alone when the others are gone."""
    rules = [
        forward(SHARED, "5010-5030", WEB2, "5010-5030"),
        forward(SHARED, "5018-5022", DB1, "5008-5012"),
        forward(SHARED, "5020", WEB2, "5039"),
    ]
    ports = (5010, 5017, 5018, 5020, 5022, 5023, 5030)
    wanted = ["5010", "5017", "5008", "5039", "5012", "5023", "5030"]
    router.send(*(forwards(rule) for rule in rules))
    assert answers(router, "public1", *ports) == wanted
    router.send(*(forwards(revoked(rule)) for rule in rules))
    router.send(*(forwards(rule) for rule in reversed(rules)))
    assert answers(router, "public1", *ports) == wanted
    router.send(forwards(revoked(rules[1])))
    assert answers(router, "public1", *ports) == ["5010", "5017", "5018", "5039", "5022", "5023", "5030"]
    router.send(forwards(revoked(rules[0])))
    assert answers(router, "public1", *ports) == ["", "", "", "5039", "", "", ""]
    router.send(forwards(revoked(rules[2])))


def test_pf_5_sources_share_a_port_and_others_fall_through(router: Router) -> None:
    """One forward for each of two ranges, a third for anyone else, and none when that is gone."""
    first = forward(SHARED, "5120", WEB2, "5001", sources="203.0.113.0/25,10.99.0.0/16")
    second = forward(SHARED, "5120", DB1, "5002", sources="198.51.100.0/24")
    anyone = forward(SHARED, "5120", DB1, "5003")
    router.send(forwards(first, second, anyone))
    assert [answers(router, node, 5120) for node in ("public1", "public2", "dns")] == [["5001"], ["5002"], ["5003"]]
    router.send(forwards(revoked(anyone)))
    assert [answers(router, node, 5120) for node in ("public1", "public2", "dns")] == [["5001"], ["5002"], [""]]
    router.send(forwards(revoked(second), forward(SHARED, "5120", WEB2, "5004", sources="10.99.0.0/16")))
    assert opened(router, tcp(5120), "public1", "public2") == [set(), set()]
    router.send(forwards(revoked(first)))


def test_pf_5_ranges_with_sources(router: Router) -> None:
    some = forward(SHARED, "5025-5027", DB1, "5025-5027", sources="203.0.113.0/24")
    shifted = forward(SHARED, "5125-5127", DB1, "5028-5030", sources="198.51.100.0/24")
    wide = forward(SHARED, "5024-5028", WEB2, "5024-5028")
    router.send(forwards(some, shifted, wide))
    with router.stream("public1", SHARED, 5026) as stream:
        assert router.sh("guest3", "ss", "-tnH", "state", "established", "sport", "=", "5026").count("5026") == 1
        assert stream.echoes()
    assert answers(router, "public2", 5024, 5026, 5126) == ["5024", "5026", "5029"]
    assert answers(router, "public1", 5126) == [""]
    router.send(forwards(*map(revoked, (some, shifted, wide))))
    assert answers(router, "public1", 5024, 5026) == ["", ""]


def test_pf_6_the_router_itself_reaches_it(router: Router) -> None:
    rule = forward(SHARED, "5130", WEB2, "5005")
    router.send(forwards(rule))
    assert seen(router, "router", f"tcp {SHARED} 5130").endswith(" 5005")
    assert seen(router, "router", "udp 192.0.2.10 9010").endswith(" 9010")
    router.send(forwards(revoked(rule)))
    assert not seen(router, "router", f"tcp {SHARED} 5130").endswith(" 5005")


def test_pf_7_icmp_errors_are_translated_in_both_directions(router: Router) -> None:
    """A guest's closed port, seen from outside; an outside one, seen by a guest behind source NAT."""
    rule, out = forward(SHARED, "5140", WEB2, "5999", "udp"), egress(5020, "udp", "5999")
    router.send(forwards(rule), firewall(out))
    assert seen(router, "public1", f"udp {SHARED} 5140") == "refused"
    assert seen(router, "guest2", f"udp {PUBLIC1} 5999") == "refused"
    router.send(forwards(revoked(rule)), firewall(revoked(out)))


def test_pf_7_a_narrow_path_is_told_to_the_guest(router: Router) -> None:
    """Outside is a link of 1300 bytes: what a guest sends over its forward arrives, and the guest has learnt."""
    rule = forward(SHARED, "5141", WEB2, "5006")
    router.send(forwards(rule))
    router.sh("upstream", "ip", "link", "set", "eth2", "mtu", "1300")
    try:
        script = (
            "import socket\n"
            f"s=socket.create_connection(('{SHARED}',5141),3);s.settimeout(5);s.recv(99);s.sendall(b'x'*40000)\n"
            "n=0\nwhile n<40000: n+=len(s.recv(65536))\nprint(n)\n"
        )
        assert router.sh("public1", "python3", "-c", script).strip() == "40000"
        assert "mtu 1300" in router.sh("guest2", "ip", "route", "get", PUBLIC1)
    finally:
        router.sh("upstream", "ip", "link", "set", "eth2", "mtu", "1500")
        router.sh("guest2", "ip", "route", "flush", "cache")
    router.send(forwards(revoked(rule)))


def test_pf_8_each_rule_claims_only_its_own_ports(router: Router) -> None:
    """One address: protocols with the same port, single ports, ranges, two guests; and nothing besides."""
    rules = [
        forward(SHARED, "5150", WEB2, "5000"), forward(SHARED, "5150", DB1, "5001", "udp"),
        forward(SHARED, "5151", DB1, "5002"), forward(SHARED, "5031-5033", WEB2, "5031-5033", "udp"),
    ]  # fmt: skip
    router.send(forwards(*rules))
    udp = [f"udp {SHARED} {port}" for port in (5150, 5151, 5031, 5034)]
    assert reach(router, "public1", *tcp(5150, 5151, 5031), *udp) == {
        f"tcp {SHARED} 5150": f"{PUBLIC1} 5000", f"tcp {SHARED} 5151": f"{PUBLIC1} 5002", f"tcp {SHARED} 5031": GONE,
        udp[0]: f"{PUBLIC1} 5001", udp[1]: GONE, udp[2]: f"{PUBLIC1} 5031", udp[3]: GONE,
    }  # fmt: skip
    assert seen(router, "public1", f"icmp {SHARED}") == SHARED  # the router's own
    router.send(forwards(*map(revoked, rules)))


def test_pf_9_only_translated_packets_are_admitted(router: Router) -> None:
    """Who routes the guest network to the router gets nowhere, neither to a public nor to an internal port."""
    rules = [forward(SECOND, "5160", WEB2, "5007"), forward(SECOND, "5034-5036", DB1, "5034-5036", "udp")]
    router.send(forwards(*rules))
    assert opened(router, [f"tcp {SECOND} 5160", f"udp {SECOND} 5035"], "public2") == [
        {f"tcp {SECOND} 5160", f"udp {SECOND} 5035"}
    ]
    router.sh("public2", "ip", "route", "add", "10.1.1.0/24", "via", SECOND)
    try:
        assert opened(router, [f"tcp {WEB2} 5007", f"tcp {WEB2} 5160", f"udp {DB1} 5035"], "public2") == [set()]
    finally:
        router.sh("public2", "ip", "route", "del", "10.1.1.0/24")
    router.send(forwards(*map(revoked, rules)))


def test_pf_10_a_change_leaves_the_connections_of_others_alone(router: Router) -> None:
    """A forward given to another guest ends its own connections (PO-4), as does its end; others live on."""
    one, two = forward(SHARED, "5170", WEB2, "5008"), forward(SHARED, "5171", WEB2, "5008")
    range_ = forward(SHARED, "5037-5039", WEB2, "5037-5039")
    router.send(forwards(one, two, range_))
    with (
        router.stream("public1", SHARED, 5170) as moved,
        router.stream("public1", SHARED, 5171) as kept,
        router.stream("public2", SHARED, 5038) as ranged,
    ):
        assert moved.greeting == kept.greeting == f"{PUBLIC1} 5008"
        assert ranged.greeting == f"{PUBLIC2} 5038"
        router.send(forwards(forward(SHARED, "5170", DB1, "5009")))
        assert answers(router, "public1", 5170) == ["5009"]
        assert (moved.echoes(), kept.echoes(), ranged.echoes()) == (False, True, True)
        router.send(forwards(revoked(range_)), forwards(forward(SHARED, "5172", DB1, "5009")))
        assert (kept.echoes(), ranged.echoes()) == (True, False)
    router.send(forwards(*(revoked(forward(SHARED, str(port), DB1, "5009")) for port in (5170, 5171, 5172))))
