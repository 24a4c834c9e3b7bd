"""Starting on a large router: one that is in its state already is left alone, an empty kernel gets everything."""

from __future__ import annotations

import json
import time

from tests.agent import kit
from tests.agent.commands import forward, forwards, host
from tests.system.kit import Document, Router, canonical
from tests.system.test_su import reboot

FORWARDS, GUESTS = 10_000, 1_000
BOOT_S = 2.0  # design 3
RESIDENT_KIB = 120 * 1024


def large() -> list[Document]:
    """10 000 single ports over three addresses, 1 000 guests of a network of 4 094."""
    rules = [
        forward(1024 + number % 50000, f"10.1.1.{11 + number % 3}", address=f"192.0.2.{10 + 2 * (number % 2)}")
        for number in range(FORWARDS)
    ]
    guests = [
        host(number, host_name=f"vm{number}", ipv4_address=f"10.1.{1 + number // 250}.{2 + number % 250}")
        for number in range(20, 20 + GUESTS)
    ]
    return [forwards(*rules), *guests]


def fingerprint(router: Router) -> tuple[list[str], ...]:
    """As Router.state, in a few programs whatever its size."""
    nft = canonical(json.loads(router.sh("router", "nft", "-j", "list", "ruleset")))
    places = "/etc/dnsmasq.d /etc/dnsmasq-resolv.conf /etc/resolv.conf /var/lib/vrouter /etc/iproute2 /etc/cloudstack"
    said = [
        router.sh("router", "sh", "-c", command).splitlines()
        for command in (
            "ip -4 -o addr", "ip -4 route list table all", "ip -4 rule", f"find {places} -type f -exec md5sum {{}} +",
        )
    ]  # fmt: skip
    return nft, *(sorted(lines) for lines in said)


def test_a_large_router(served: Router) -> None:
    """Boot is held to its budget by what it costs, not by what else the machine does meanwhile."""
    assert set(kit.pushed(served, large(), 8, "large")) == {(0, "")}
    kit.restart(served)
    held = (served.generation(), served.pid(), fingerprint(served))
    kit.restart(served)
    assert (served.generation(), served.pid(), fingerprint(served)) == held, "a start on its own state changes nothing"
    again = kit.cpu_s(kit.outer_pid(served))
    kit.stop(served)
    reboot(served)
    begin = time.monotonic()
    assert kit.start(served).returncode == 0, kit.log(served)
    took = time.monotonic() - begin
    agent, daemon = kit.cpu_s(kit.outer_pid(served)), kit.cpu_s(kit.outer_pid(served, "dnsmasq"))
    assert fingerprint(served) == held[2]
    resident = kit.resident_kib(kit.outer_pid(served))
    print(f"\non its own state {again:.2f} s of a processor; on an empty kernel {agent:.2f} s, dnsmasq {daemon:.2f} s")
    print(f"{took:.2f} s by the clock; {resident} KiB")
    assert agent + daemon < BOOT_S and again < BOOT_S and resident < RESIDENT_KIB
