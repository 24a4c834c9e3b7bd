"""The reverse-path filter, by forged packets (contract dataplane 2.3)."""

from __future__ import annotations

import pytest

from tests.system.commands import boot, egress
from tests.system.kit import Router, eventually, example
from tests.system.wire import capture, counter, echo_request, inject

DROPPED = "TcpExtIPReversePathFilter"


def setting(router: Router, device: str) -> str:
    return router.sh("router", "cat", f"/proc/sys/net/ipv4/conf/{device}/rp_filter").strip()


def test_rp_1_a_guest_cannot_use_a_source_of_another_interface(fresh: Router) -> None:
    assert fresh.lease("guest1")
    fresh.send(egress(901, "icmp"))  # from any source: only the filter is between the guest and the world
    before = counter(fresh, DROPPED)
    with capture(fresh, "dns", "eth0", "icmp") as seen:
        for source in ("198.51.100.77", "203.0.113.11", "169.254.0.1"):
            inject(fresh, "guest1", echo_request(source, "192.0.2.53"))
        assert fresh.ping("guest1", "192.0.2.53")
        assert len(seen.lines("echo request")) == len(seen.lines("192.0.2.11 > 192.0.2.53: ICMP echo request")) == 1
    assert counter(fresh, DROPPED) == before + 3
    assert setting(fresh, "eth0") == "1"


def test_rp_2_guest_control_and_loopback_are_strict(fresh: Router) -> None:
    assert [setting(fresh, device) for device in ("eth0", "eth1", "lo")] == ["1", "1", "1"]
    before = counter(fresh, DROPPED)
    inject(fresh, "control", echo_request("10.1.1.50", "169.254.10.20"))
    inject(fresh, "control", echo_request("203.0.113.11", "169.254.10.20"))
    assert fresh.ping("control", "169.254.10.20")
    assert eventually(lambda: counter(fresh, DROPPED) == before + 2)
    fresh.sh("router", "sysctl", "-qw", "net.ipv4.conf.eth1.rp_filter=0", "net.ipv4.conf.all.rp_filter=2")
    fresh.send(example("isolated/10-dhcpentry-web1"))
    assert [setting(fresh, device) for device in ("eth1", "all")] == ["1", "0"]


@pytest.mark.parametrize("strict", [False, True])
def test_rp_3_public_interfaces_check_when_they_are_told_to(fresh: Router, strict: bool) -> None:
    """A source that the router reaches by its control link arrives on eth2; the router's answer betrays that it passed."""
    fresh.send(boot(disable_rp_filter=None if strict else "true"))
    assert [setting(fresh, device) for device in ("eth2", "eth3")] == (["2", "2"] if strict else ["0", "0"])
    with capture(fresh, "control", "eth0", "icmp") as control:
        inject(fresh, "upstream", echo_request("169.254.0.1", "192.0.2.10"))
        assert fresh.ping("public1", "192.0.2.10")
        assert bool(control.lines("192.0.2.10 > 169.254.0.1: ICMP echo reply")) is not strict
    # asymmetric, but reachable through the interface's own table: fine in both settings
    with capture(fresh, "router", "eth2", "icmp") as eth2:
        inject(fresh, "upstream", echo_request("198.51.100.12", "192.0.2.10"))
        assert eventually(lambda: eth2.lines("192.0.2.10 > 198.51.100.12: ICMP echo reply"))


def test_rp_3_the_setting_changes_back_and_forth(fresh: Router) -> None:
    before = fresh.state()
    fresh.send(boot(disable_rp_filter=None))
    assert sorted(fresh.elements("public_strict")) == ["eth2", "eth3"]
    fresh.send(example("isolated/01-cmdline"))
    assert fresh.elements("public_strict") == []
    assert fresh.state() == before


@pytest.mark.parametrize("strict", [False, True])
def test_rp_5_a_second_public_interface_serves_in_either_setting(fresh: Router, strict: bool) -> None:
    fresh.send(boot(disable_rp_filter=None if strict else "true"))
    assert fresh.lease("guest1")
    assert fresh.lease("guest3")
    assert fresh.http("public1", "198.51.100.10:8443") == "203.0.113.11"
    assert fresh.http("public2", "198.51.100.10:8443") == "198.51.100.12"
    assert fresh.http("public1", "192.0.2.11:443") == "203.0.113.11"
    assert fresh.http("guest3", "198.51.100.12") == "198.51.100.10"
    assert fresh.http("guest3", "203.0.113.11") == "192.0.2.10"
    # a guest's source from outside is nobody's
    with capture(fresh, "guest1", "eth0", "icmp") as guest:
        inject(fresh, "upstream", echo_request("10.1.1.11", "192.0.2.10"))
        assert fresh.ping("router", "10.1.1.11")
        assert guest.lines("192.0.2.10") == []
