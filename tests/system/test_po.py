"""Default policies, by packets (contract dataplane 3.1)."""

from __future__ import annotations

from tests.system.commands import egress, ingress
from tests.system.kit import Router
from tests.system.probes import GONE, reach
from tests.system.wire import capture, echo_request, inject, segment

CLOSED_UDP = (
    "import socket,sys\n"
    "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(1);s.connect((sys.argv[1],int(sys.argv[2])))\n"
    "s.send(b'x')\n"
    "try: s.recv(1)\nexcept ConnectionRefusedError: print('refused')\nexcept OSError: print('silence')\n"
)


def test_po_1_the_router_may_reach_anything(built: Router) -> None:
    answers = reach(
        built, "router", "tcp 203.0.113.11 80", "tcp 198.51.100.12 443", "tcp 10.1.1.12 80", "tcp 169.254.0.1 80",
        "udp 203.0.113.11 7", "icmp 192.0.2.53", "icmp 10.1.1.13",
    )  # fmt: skip
    assert answers == {
        "tcp 203.0.113.11 80": "192.0.2.10", "tcp 198.51.100.12 443": "198.51.100.10", "tcp 10.1.1.12 80": "10.1.1.1",
        "tcp 169.254.0.1 80": "169.254.10.20", "udp 203.0.113.11 7": "192.0.2.10", "icmp 192.0.2.53": "192.0.2.53",
        "icmp 10.1.1.13": "10.1.1.13",
    }  # fmt: skip


def test_po_2_nothing_is_forwarded_to_or_from_the_control_network(own: Router) -> None:
    for guest in ("guest1", "guest2"):
        assert own.lease(guest)
    own.send(egress(901, "tcp"), egress(902, "icmp"), egress(903, "udp"), ingress(904, "192.0.2.11", "tcp", 1, 65535))
    own.sh("control", "ip", "route", "add", "default", "via", "169.254.10.20")
    own.sh("upstream", "ip", "route", "add", "169.254.0.0/16", "via", "192.0.2.10")
    with capture(own, "control", "eth0", "not host 169.254.10.20 and (tcp or udp or icmp)") as control:
        targets = ("tcp 169.254.0.1 80", "udp 169.254.0.1 7", "icmp 169.254.0.1")
        for node in ("guest1", "guest2", "public1"):
            assert reach(own, node, *targets) == dict.fromkeys(targets, GONE)
        assert control.lines() == []
    inward = ("tcp 10.1.1.11 80", "icmp 10.1.1.11", "tcp 203.0.113.11 80", "icmp 203.0.113.11", "tcp 192.0.2.11 443",
              "tcp 192.0.2.10 2222")  # fmt: skip
    with capture(own, "guest1", "eth0", "host 169.254.0.1") as seen:
        assert reach(own, "control", *inward) == dict.fromkeys(inward, GONE)
        assert seen.lines() == []
    assert own.ping("control", "169.254.10.20")


def test_po_3_established_and_related_packets_pass_before_any_rule(own: Router) -> None:
    for guest in ("guest1", "guest3"):
        assert own.lease(guest)
    own.send(egress(901, "udp", 5353, 5353), {"type": "firewallrules", "rules": [
        {**egress(204, "icmp")["rules"][0], "revoked": True},
    ]})  # fmt: skip
    # an error about a guest's packet comes in, one about a packet to a guest goes out, and neither may by itself
    assert own.sh("guest3", "python3", "-c", CLOSED_UDP, "203.0.113.11", "5353").strip() == "refused"
    assert own.sh("public1", "python3", "-c", CLOSED_UDP, "192.0.2.10", "9005").strip() == "refused"
    assert not own.ping("guest3", "203.0.113.11")
    assert not own.ping("public1", "192.0.2.11")
    # a stream goes on in both directions when both ends' rules are withdrawn
    own.send(egress(902, "tcp", 8000, 8000), ingress(903, "192.0.2.11", "tcp", 8001))
    with (
        own.tcp_server("public1", 8000), own.tcp_server("guest1", 8001),
        own.stream("guest3", "203.0.113.11", 8000) as out, own.stream("public1", "192.0.2.11", 8001) as into,
    ):  # fmt: skip
        own.send(egress(902, "tcp", 8000, 8000, revoked=True), ingress(903, "192.0.2.11", "tcp", 8001, revoked=True))
        assert out.echoes()
        assert into.echoes()
        assert own.tcp("guest3", "203.0.113.11", 8000) == ""
        assert own.tcp("public1", "192.0.2.11", 8001) == ""


def test_po_5_packets_of_no_possible_connection_are_dropped(built: Router) -> None:
    """SYN with FIN opens nothing, and no echo was requested: not even where a rule lets the port out."""
    with capture(built, "public1", "eth0", "tcp port 80 or icmp") as public1:
        inject(built, "guest3", segment("10.1.1.13", "203.0.113.11", 80, 3))
        inject(built, "guest3", segment("10.1.1.13", "203.0.113.11", 80, 5))
        reply = bytearray(echo_request("10.1.1.13", "203.0.113.11"))
        reply[20], reply[22:24] = 0, (int.from_bytes(reply[22:24]) + 0x0800).to_bytes(2)
        inject(built, "guest3", bytes(reply))
        assert built.http("guest3", "203.0.113.11") == "192.0.2.10"
        assert public1.lines("10.1.1.13") == []
        assert public1.lines("Flags [SF]") + public1.lines("Flags [FR]") + public1.lines("echo reply") == []
    with capture(built, "guest1", "eth0", "tcp port 443") as guest:
        inject(built, "public1", segment("203.0.113.11", "192.0.2.11", 443, 3))
        assert built.http("public1", "192.0.2.11:443") == "203.0.113.11"
        assert guest.lines("Flags [SF]") == []


def test_po_6_everything_else_is_dropped_without_a_word(own: Router) -> None:
    assert own.lease("guest2")
    own.send(ingress(901, "192.0.2.10", "tcp", 3922), ingress(902, "192.0.2.10", "udp", 9999))
    with own.tcp_server("router", 3922), own.tcp_server("router", 9), own.udp_server("router", 9999):
        closed = [f"{target} {port}" for target in ("tcp 10.1.1.1", "udp 10.1.1.1") for port in (9, 3922, 9999, 5000)]
        assert reach(own, "guest2", *closed) == dict.fromkeys(closed, GONE)
        ports = (9, 53, 3922, 9999, 5000)
        closed = [f"{target} {port}" for target in ("tcp 192.0.2.10", "udp 192.0.2.10") for port in ports]
        closed += ["tcp 198.51.100.10 3922", "tcp 198.51.100.10 53", "ip 192.0.2.10 253"]
        assert reach(own, "public1", *closed) == dict.fromkeys(closed, GONE)
        assert reach(own, "public2", *closed) == dict.fromkeys(closed, GONE)
        open_ = ("tcp 169.254.10.20 3922", "icmp 169.254.10.20")
        shut = ("tcp 169.254.10.20 9", "tcp 169.254.10.20 53", "udp 169.254.10.20 53", "udp 169.254.10.20 9999")
        assert reach(own, "control", *open_, *shut) == {
            open_[0]: "169.254.0.1 3922", open_[1]: "169.254.10.20", **dict.fromkeys(shut, GONE),
        }  # fmt: skip
