"""Routers without a machine, as those who show them see them: of the golden example, empty, and large."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from tests.core import Core, Document, documents, machine
from vrouter.model.observed import Done, Interface, Lease, Process, RouteLine, RuleLine, Tracked, Traffic, Waiting
from vrouter.model.resources import Key, Resource, Route, RoutingRule
from vrouter.pending import pending
from vrouter.plan import Plan, diff
from vrouter.show.status import Facts
from vrouter.view import View

EXAMPLE = Path(__file__).parents[2] / "examples" / "isolated"
DEVICES = {f"eth{number}": mac for number, mac in enumerate(
    ("02:00:4c:01:00:01", "0e:00:a9:fe:0a:14", "1e:00:4c:00:00:02", "1e:00:4c:00:00:03"))}  # fmt: skip
NOW = 1_800_000_000.0


def empty() -> Core:
    """A router that was told nothing."""
    return Core(machine(DEVICES))


def example() -> Core:
    """The isolated example: three guests."""
    core = empty()
    core.run(*documents(EXAMPLE))
    return core


def large(guests: int = 200) -> Core:
    """The example and more guests, each with a forward that a rule opens; every tenth waits for an address."""
    core = example()
    core.run(*(document for number in range(guests - 3) for document in _guest(number)))
    return core


def _guest(number: int) -> Iterable[Document]:
    address, public = f"10.1.1.{number + 20}", "192.0.2.10" if number % 10 else "192.0.2.99"
    port = 20_000 + number
    yield {
        "type": "dhcpentry", "host_name": f"vm-{number}", "mac_address": f"02:00:00:02:00:{number:02x}",
        "ipv4_address": address, "default_gateway": "10.1.1.1", "default_entry": True,
    }  # fmt: skip
    yield {"type": "forwardrules", "rules": [{
        "protocol": "tcp", "source_ip_address": public, "source_port_range": f"{port}:{port}",
        "destination_ip_address": address, "destination_port_range": "443:443", "source_cidr_list": "",
    }]}  # fmt: skip
    yield {"type": "firewallrules", "rules": [{
        "id": 1000 + number, "src_ip": public, "protocol": "tcp", "src_port_range": [port, port], "revoked": False,
        "source_cidr_list": ["0.0.0.0/0"], "traffic_type": "Ingress", "purpose": "Firewall",
    }]}  # fmt: skip


def view(core: Core, lost: Iterable[Key] = (), found: Iterable[Resource] = ()) -> View:
    """What is shown of a router whose machine has lost something, or holds something more."""
    have = {key: resource for key, resource in core.resources.items() if key not in set(lost)}
    drift = diff(have | {resource.key: resource for resource in found}, core.resources)
    intents = core.wanted.intents()
    return View(intents, core.resources, core.machine, tuple(pending(intents, core.machine)), drift, core.bags)


def routes(core: Core) -> tuple[list[RouteLine], list[RuleLine]]:
    """What a kernel that holds all that is wanted lists."""
    lines = [
        RouteLine(table=r.table, to=str(r.to), kind=r.kind, via=str(r.via or ""), device=r.device,
                  protocol=118 if r.table == 254 else 4)
        for _, r in sorted(core.resources.items()) if isinstance(r, Route)
    ]  # fmt: skip
    lines.append(RouteLine(table=254, to="10.1.1.0/24", device="eth0", protocol=2))
    rules = [
        RuleLine(
            priority=r.priority, match=f"from {r.source}" if r.source else f"mark {r.mark}", table=r.table, ours=True
        )
        for _, r in sorted(core.resources.items()) if isinstance(r, RoutingRule)
    ]  # fmt: skip
    return lines, [
        RuleLine(priority=0, match="all", table=255),
        *rules,
        RuleLine(priority=32766, match="all", table=254),
    ]


def interfaces() -> tuple[Interface, ...]:
    """Devices as the example has them."""
    addresses = (("10.1.1.1/24",), ("169.254.10.20/16",), ("192.0.2.10/24", "192.0.2.11/24"), ("198.51.100.10/24",))
    return tuple(
        Interface(device=device, mac=mac, mtu=1500, addresses=held, received=Traffic(packets=12, bytes=4096, drops=n),
                  sent=Traffic(packets=3, bytes=1_500_000))
        for n, ((device, mac), held) in enumerate(zip(DEVICES.items(), addresses, strict=True))
    )  # fmt: skip


LEASES = (
    Lease(address=IPv4Address("10.1.1.11"), mac="02:00:4c:01:00:11", name="web1", expires=0),
    Lease(address=IPv4Address("10.1.1.12"), mac="02:00:4c:01:00:99", name="", expires=int(NOW) + 3700),
    Lease(address=IPv4Address("10.1.1.99"), mac="02:00:4c:01:00:98", name="stray", expires=int(NOW) - 90),
)


def connection(source: str, to: str, answers: str, answered: str = "", port: int = 80, **more: Any) -> Tracked:
    """A connection of TCP."""
    fields: dict[str, Any] = {"state": "established", "source_port": 40000, "answers_port": port, "timeout_s": 431_990}
    return Tracked(protocol="tcp", source=IPv4Address(source), destination=IPv4Address(to), port=port,
                   answers=IPv4Address(answers), answered=IPv4Address(answered or source),
                   **(fields | more))  # fmt: skip


def facts(**more: Any) -> Facts:
    """A machine on which all is well."""
    process = Process(pid=45, state="S", since=NOW - 93_784, memory_bytes=3_700_000)
    done = Done(file="forward_rules.json.3f2b", type="forwardrules", time=NOW - 65)
    fields: dict[str, Any] = {"now": NOW, "interfaces": interfaces(), "daemons": {"dnsmasq": process},
                              "agent": Process(pid=44, state="S", since=NOW - 5, memory_bytes=51_000_000),
                              "answering": True, "commands": (done,)}  # fmt: skip
    return Facts(**(fields | more))


def refused(age_s: float = 10) -> Done:
    """A command that was refused."""
    return Done(file="forward_rules.json.77", type="forwardrules", time=NOW - age_s, refused=True,
                faults=("rules[0].protocol: 'tpc' is not tcp or udp",), took_ms=2.1, changes=0)  # fmt: skip


def waits(age_s: float) -> Waiting:
    """A command file that nobody takes."""
    return Waiting(file="ips.json.12", age_s=age_s, claimed=False)


NO_PLAN = Plan()
