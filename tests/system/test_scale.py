"""One more of 10 000 touches one element or one guest's files, in the kernel and in the daemon (issue 2, line 5).

Shown by counts: what `plan` and `apply` list, how far the generation of the kernel's tables steps, what the kernel
tells of its tables, and which files are new.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.system.kit import Router, example

COUNT = 10_000
PUBLIC, OTHER = "192.0.2.10", "192.0.2.12"
BOOT = example("isolated/01-cmdline")


def forwards(*ports: int) -> dict[str, Any]:
    rule = {"revoke": False, "protocol": "tcp", "source_ip_address": PUBLIC, "destination_ip_address": "10.1.1.12"}
    made = [rule | {f"{end}_port_range": f"{port}:{port}" for end in ("source", "destination")} for port in ports]
    return {"type": "forwardrules", "rules": made}


def firewall(*ports: int, **more: object) -> dict[str, Any]:
    rule = {"protocol": "tcp", "traffic_type": "Ingress", "src_ip": OTHER, "source_cidr_list": ["0.0.0.0/0"]}
    return {
        "type": "firewallrules",
        "rules": [rule | {"id": port, "src_port_range": [port, port]} | more for port in ports],
    }


def host(number: int, **more: object) -> dict[str, Any]:
    address = f"10.1.{4 + number // 250}.{1 + number % 250}"
    mac = f"02:00:4c:02:{number // 256:02x}:{number % 256:02x}"
    named = {"host_name": f"vm{number}", "mac_address": mac, "ipv4_address": address, "default_gateway": "10.1.1.1"}
    return {"type": "dhcpentry", **named, "default_entry": True, "remove": False, **more}


@pytest.fixture(scope="module")
def full(lone: Callable[[], Any]) -> Iterator[Router]:
    """A router with 10 000 forwards, 10 000 firewall rules and 10 000 guests."""
    with lone() as router:
        boot = BOOT["cmd_line"] | {"eth0mask": "255.255.0.0"}
        router.send({"type": "cmdline", "cmd_line": boot}, example("isolated/02-ips-source-nat"))
        bag = {(entry := host(number))["ipv4_address"]: entry for number in range(COUNT)} | {"id": "dhcpentry"}
        router.lab.put("router", "/etc/cloudstack/dhcpentry.json", json.dumps(bag).encode())
        router.sh("router", "vrouter", "converge", limit_s=60)
        sent = router.send(forwards(*range(1, COUNT + 1)), firewall(*range(1, COUNT + 1)))
        assert [file["changes"] for file in sent["files"]] == [COUNT, COUNT]
        yield router


MONITOR = """
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.bind((0, 0))
s.setsockopt(270, 1, 7)  # SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES
print('up', flush=True)
names = {0: 'add table', 12: 'add element', 14: 'delete element', 15: 'generation'}
while True:
    data = s.recv(1 << 20)
    while data:
        length, kind = struct.unpack('=IH', data[:6])
        attributes, found = data[20:length], {}
        while len(attributes) >= 4:
            size, number = struct.unpack('=HH', attributes[:4])
            found[number & 0x3fff] = attributes[4:size]
            attributes = attributes[(size + 3) & ~3:]
        kind = names.get(kind & 255, str(kind & 255))
        name = found[2].rstrip(b'\\0').decode() if kind.endswith('element') else ''
        print(kind, name, flush=True)
        data = data[(length + 3) & ~3:]
"""


@contextmanager
def seen(router: Router) -> Iterator[list[str]]:
    """What the kernel tells of its tables while the block runs: one line a table, element or generation."""
    process = router.lab.popen("router", ("python3", "-c", MONITOR), stdout=subprocess.PIPE)
    lines: list[str] = []
    try:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        yield lines
        router.sh("router", "nft", "add table ip after")
        for line in process.stdout:
            if line.startswith(b"add table"):
                break
            lines.append(line.decode().strip())
    finally:
        process.kill()
        process.wait()
        router.sh("router", "nft", "delete table ip after", ok=False)


def one_change(router: Router, document: dict[str, Any]) -> dict[str, str]:
    """The one line that `plan` and `apply` print alike."""
    planned, applied = router.plan(document), router.send(document)
    assert planned["changes"] == applied["changes"] and planned["pending"] == applied["pending"]
    [change] = applied["changes"]
    found: dict[str, str] = change
    return found


ELEMENTS = {
    "forward": (forwards(20_001), "forward_port", f"{PUBLIC} tcp 20001"),
    "firewall rule": (firewall(20_001), "ingress_port", f"{OTHER} tcp 20001"),
}


@pytest.mark.parametrize(("document", "name", "element"), ELEMENTS.values(), ids=ELEMENTS)
def test_one_more_rule_is_one_element(full: Router, document: dict[str, Any], name: str, element: str) -> None:
    count, daemon = len(full.elements(name)), full.pid()
    assert count == COUNT
    gone = {"revoke": True, "revoked": True}
    removal = document | {"rules": [rule | gone for rule in document["rules"]]}
    for verb, sent, more in (("add", document, 1), ("remove", removal, 0)):
        with seen(full) as lines:
            generation = full.generation()
            change = one_change(full, sent)
            assert full.generation() == generation + 1
        assert (change["action"], change["kind"], change["name"]) == (verb, "element", f"{name} {element}")
        assert lines == [f"{verb.replace('remove', 'delete')} element {name}", "generation"]
        assert len(full.elements(name)) == COUNT + more
    assert full.pid() == daemon


def test_one_more_guest_is_two_small_files(full: Router) -> None:
    generation, daemon = full.generation(), full.pid()
    directory = "/var/lib/vrouter/dnsmasq"
    full.sh("router", "sh", "-c", "sleep 0.02; touch /tmp/mark; sleep 0.02")
    change = one_change(full, host(COUNT))
    address = host(COUNT)["ipv4_address"]
    assert (change["action"], change["kind"], change["name"]) == ("add", "host", address)
    found = full.sh("router", "find", directory, "/etc/dnsmasq.d", "-type", "f", "-newer", "/tmp/mark").split()
    assert sorted(found) == [f"{directory}/leases/{address}", f"{directory}/names/{address}"]
    assert full.dig("router", f"vm{COUNT}.tenant1.example.com", "@10.1.1.1") == [address]
    assert (full.generation(), full.pid()) == (generation, daemon)
    removed = one_change(full, host(COUNT, remove=True))
    assert (removed["action"], removed["name"]) == ("remove", address)
    assert (full.generation(), full.pid()) == (generation, daemon)
    assert len(full.sh("router", "ls", f"{directory}/leases").split()) == COUNT


def test_the_same_again_is_nothing(full: Router) -> None:
    generation, daemon = full.generation(), full.pid()
    sent = full.send(forwards(*range(1, COUNT + 1)), firewall(*range(1, COUNT + 1)), host(7))
    assert sent["changes"] == []
    assert (full.generation(), full.pid()) == (generation, daemon)
