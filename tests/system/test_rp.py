"""The reverse-path filter, by forged packets (contract dataplane 2.3)."""

from __future__ import annotations

import pytest

from tests.system.commands import boot, egress
from tests.system.kit import Router, eventually, example
from tests.system.wire import capture, counter, echo_request, inject

DROPPED = "TcpExtIPReversePathFilter"


def setting(router: Router, device: str) -> str:
    return router.sh("router", "cat", f"/proc/sys/net/ipv4/conf/{device}/rp_filter").strip()


def test_rp_1_a_guest_cannot_use_a_source_of_another_interface(own: Router) -> None:
    assert own.lease("guest1")
    own.send(egress(901, "icmp"))  # from any source: only the filter is between the guest and the world
    before = counter(own, DROPPED)
    with capture(own, "dns", "eth0", "icmp") as seen:
        for source in ("198.51.100.77", "203.0.113.11", "169.254.0.1"):
            inject(own, "guest1", echo_request(source, "192.0.2.53"))
        assert own.ping("guest1", "192.0.2.53")
        assert len(seen.lines("echo request")) == len(seen.lines("192.0.2.11 > 192.0.2.53: ICMP echo request")) == 1
    assert counter(own, DROPPED) == before + 3
    assert setting(own, "eth0") == "1"


def test_rp_2_guest_control_and_loopback_are_strict(own: Router) -> None:
    assert [setting(own, device) for device in ("eth0", "eth1", "lo")] == ["1", "1", "1"]
    before = counter(own, DROPPED)
    inject(own, "control", echo_request("10.1.1.50", "169.254.10.20"))
    inject(own, "control", echo_request("203.0.113.11", "169.254.10.20"))
    assert own.ping("control", "169.254.10.20")
    assert eventually(lambda: counter(own, DROPPED) == before + 2)
    own.sh("router", "sysctl", "-qw", "net.ipv4.conf.eth1.rp_filter=0", "net.ipv4.conf.all.rp_filter=2")
    own.send(example("isolated/10-dhcpentry-web1"))
    assert [setting(own, device) for device in ("eth1", "all")] == ["1", "0"]


@pytest.mark.parametrize("strict", [False, True])
def test_rp_3_public_interfaces_check_when_they_are_told_to(own: Router, strict: bool) -> None:
    """A source that the router reaches by its control link arrives on eth2; the answer betrays that it passed."""
    own.send(boot(disable_rp_filter=None if strict else "true"))
    assert [setting(own, device) for device in ("eth2", "eth3")] == (["2", "2"] if strict else ["0", "0"])
    with capture(own, "control", "eth0", "icmp") as control:
        inject(own, "upstream", echo_request("169.254.0.1", "192.0.2.10"))
        assert own.ping("public1", "192.0.2.10")
        assert bool(control.lines("192.0.2.10 > 169.254.0.1: ICMP echo reply")) is not strict
    # asymmetric, but reachable through the interface's own table: fine in both settings
    with capture(own, "router", "eth2", "icmp") as eth2:
        inject(own, "upstream", echo_request("198.51.100.12", "192.0.2.10"))
        assert eventually(lambda: eth2.lines("192.0.2.10 > 198.51.100.12: ICMP echo reply"))


def test_rp_3_the_setting_changes_back_and_forth(own: Router) -> None:
    before = own.state()
    own.send(boot(disable_rp_filter=None))
    assert sorted(own.elements("public_strict")) == ["eth2", "eth3"]
    own.send(example("isolated/01-cmdline"))
    assert own.elements("public_strict") == []
    assert own.state() == before


@pytest.mark.parametrize("strict", [False, True])
def test_rp_5_a_second_public_interface_serves_in_either_setting(own: Router, strict: bool) -> None:
    own.send(boot(disable_rp_filter=None if strict else "true"))
    assert own.lease("guest1")
    assert own.lease("guest3")
    assert own.http("public1", "198.51.100.10:8443") == "203.0.113.11"
    assert own.http("public2", "198.51.100.10:8443") == "198.51.100.12"
    assert own.http("public1", "192.0.2.11:443") == "203.0.113.11"
    assert own.http("guest3", "198.51.100.12") == "198.51.100.10"
    assert own.http("guest3", "203.0.113.11") == "192.0.2.10"
    # a guest's source from outside is nobody's
    with capture(own, "guest1", "eth0", "icmp") as guest:
        inject(own, "upstream", echo_request("10.1.1.11", "192.0.2.10"))
        assert own.ping("router", "10.1.1.11")
        assert guest.lines("192.0.2.10") == []
