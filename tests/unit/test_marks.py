"""Marks, the primary address and the MTU of a device."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from vrouter.model.intents import PublicAddress, RouterFacts
from vrouter.model.marks import mark_of, mtu_of, primary, ranked
from vrouter.model.values import HostName


def address(last: int, **more: Any) -> PublicAddress:
    network = IPv4Network("192.0.2.0/24")
    return PublicAddress(device="eth2", address=network[last], network=network, **more)


def facts(**more: Any) -> RouterFacts:
    return RouterFacts(name=HostName("r"), domain=HostName("example.com"), **more)


@pytest.mark.parametrize(("device", "mark"), [("eth0", 100), ("eth1", 101), ("eth12", 112), ("ethNone", 100)])
def test_the_mark_is_100_and_the_number(device: str, mark: int) -> None:
    assert mark_of(device) == mark


def test_the_flagged_address_is_primary_then_the_boot_address_then_the_order() -> None:
    first, second, third = address(30, order=0), address(20, order=1), address(10, order=2)
    boot = facts(boot_public=IPv4Address("192.0.2.20"))
    assert primary([second, third, first], None) == first
    assert primary([first, second, third], boot) == second
    flagged = address(10, order=2, source_nat=True)
    assert ranked([first, second, flagged], boot) == [flagged, second, first]
    assert primary([], boot) is None


def test_the_mtu_is_that_of_the_addresses_then_of_the_boot_arguments() -> None:
    boot = facts(mtu=(("eth2", 1400),))
    assert mtu_of("eth2", [address(1)], None) == 1500
    assert mtu_of("eth2", [address(1)], boot) == 1400
    assert mtu_of("eth2", [address(1, mtu=9000), address(2, mtu=1450)], boot) == 9000
    assert mtu_of("eth2", [address(1), address(2, mtu=1450)], boot) == 1450
