"""What the oracle test draws: commands for a router with two guest networks and two public ranges, and packets.

Pools are small, so that rules overlap and packets meet them.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any, cast

from hypothesis import strategies as st

from tests.system.rules import (
    ETH2,
    ETH3,
    alias,
    cmdline,
    default_egress,
    egress,
    firewall,
    forward,
    forwards,
    ingress,
    public,
    static_nat,
    tier,
)
from vrouter.explain.packet import LOCAL, Packet, Protocol

Command = dict[str, Any]

OWN = ("192.0.2.10", "192.0.2.11", "192.0.2.12", "198.51.100.10")  # of the base state
MORE = {"192.0.2.13": ETH2, "198.51.100.11": ETH3}
PUBLIC = (*OWN, *MORE)
GUESTS = ("10.1.1.11", "10.1.1.12", "10.1.1.13", "10.3.1.9", "10.8.1.21")
WORLD = ("203.0.113.11", "203.0.113.200", "192.0.2.53", "198.51.100.12", "192.0.2.1")
ROUTER = ("10.1.1.1", "10.8.1.1", "169.254.10.20")
ODD = ("10.9.9.9", "10.1.1.200", "169.254.0.1", "10.1.1.255", "192.0.2.255", "192.0.2.0", "127.0.0.1", "0.0.0.0",
       "255.255.255.255", "0.0.0.7")  # fmt: skip
BROADCASTS = ("10.1.1.255", "192.0.2.255", "255.255.255.255")  # of its own the router gets a copy; explain has none
DEVICES = ("eth0", "eth1", "eth2", "eth3", "eth4")
PORTS = (80, 81, 82, 83, 443)
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")
SERVED = (22, 53, 67, 3922, 8080)
SPANS = ("80", "81", "80-82", "81-83", "80-443", "")
MESSAGES = ("-1/-1", "8/-1", "8/0", "3/-1", "13/0")
SOURCES = ("0.0.0.0/0", "203.0.113.0/24", "203.0.113.0/25", "198.51.100.0/24", "192.0.2.0/25", "10.1.1.0/24",
           "10.1.1.12/32", "203.0.113.11/32", "10.0.0.0/8")  # fmt: skip

_pick = st.sampled_from
_sources = st.one_of(st.just(("0.0.0.0/0",)), st.lists(_pick(SOURCES), min_size=1, max_size=3).map(tuple))
_asked = st.one_of(
    st.tuples(_pick(["tcp", "udp"]), _pick(SPANS)), st.tuples(st.just("icmp"), _pick(MESSAGES)), st.just(("all", ""))
)


@st.composite
def _ingress(draw: st.DrawFn) -> Command:
    protocol, span = draw(_asked)
    return firewall(ingress(draw(st.integers(100, 120)), draw(_pick(PUBLIC)), protocol, span, *draw(_sources)))


@st.composite
def _egress(draw: st.DrawFn, allow: bool) -> Command:
    protocol, span = draw(_asked)
    to = draw(st.one_of(st.just(()), st.lists(_pick(SOURCES), min_size=1, max_size=2).map(tuple)))
    sources = draw(_sources)
    return firewall(egress(draw(st.integers(200, 220)), protocol, span, sources=sources, to=to, allow=allow))


@st.composite
def _forward(draw: st.DrawFn) -> Command:
    ports, moved = draw(
        _pick([("80", "80"), ("80", "8080"), ("81", "22"), ("443", "443"), ("80-83", "80-83"), ("81-82", "5081-5082")])
    )
    sources = draw(st.one_of(st.just(""), st.lists(_pick(SOURCES[1:]), min_size=1, max_size=2).map(",".join)))
    guest = draw(st.one_of(_pick(GUESTS), _pick(GUESTS), _pick(["10.9.9.9", "10.1.1.1", "203.0.113.200"])))
    return forwards(forward(draw(_pick(PUBLIC)), ports, guest, moved, draw(_pick(["tcp", "udp"])), sources))


_static = st.builds(static_nat, _pick(PUBLIC), st.one_of(_pick(GUESTS), _pick(GUESTS), st.just("10.9.9.9")))
_addresses = _pick(sorted(MORE)).map(lambda address: public(address, MORE[address]))
_removed = _pick(OWN).map(lambda address: public(address, ETH3 if address.startswith("198") else ETH2, add=False))


@st.composite
def commands(draw: st.DrawFn) -> list[Command]:
    """For the base state; boot arguments and the default of what leaves are always told."""
    allow = draw(st.booleans())
    boot = cmdline(**({"disable_rp_filter": ""} if draw(st.booleans()) else {"disable_rp_filter": "true"}))
    first = [boot, *([firewall(default_egress(allow))] if draw(st.booleans()) or allow else [])]
    first += [tier("10.8.1.1", "b.example.com")] if draw(st.booleans()) else []
    first += [alias("10.3.1.2")] if draw(st.booleans()) else []
    opened = draw(st.lists(_pick(PUBLIC), unique=True))  # so that what comes behind the firewall is met
    first += [firewall(ingress(300 + place, address, "all")) for place, address in enumerate(opened)]
    each = st.one_of(_ingress(), _ingress(), _forward(), _forward(), _static, _egress(allow), _addresses, _removed)
    return [*first, *draw(st.lists(each, max_size=14))]


_anyone = st.one_of(_pick(WORLD), _pick(GUESTS), _pick(PUBLIC), _pick(ROUTER), _pick(ODD))
_entering = st.one_of(
    st.tuples(_pick(["eth2", "eth3"]), _pick(WORLD), _pick(PUBLIC)),  # to what is public
    st.tuples(_pick(["eth2", "eth3"]), _pick(WORLD), _pick(PUBLIC)),
    st.tuples(st.just("eth0"), _pick(GUESTS[:4]), st.one_of(_pick(WORLD), _pick(PUBLIC))),  # out, or back in
    st.tuples(st.just("eth0"), _pick(GUESTS[:4]), st.one_of(_pick(GUESTS), _pick(ROUTER), _pick(ODD))),
    st.tuples(st.just("eth4"), st.just(GUESTS[4]), _anyone),
    st.tuples(st.just("eth1"), st.just("169.254.0.1"), _anyone),
    st.tuples(st.just(LOCAL), _pick([*OWN, "10.1.1.1", "169.254.10.20"]), st.one_of(_pick(PUBLIC), _anyone)),
    st.tuples(_pick(DEVICES), _anyone, _anyone),  # whatever a network may send
)


_meeting = st.one_of(
    st.tuples(_pick(["eth2", "eth3"]), _pick(WORLD)), st.tuples(_pick(["eth2", "eth3"]), _pick(WORLD)),
    st.tuples(st.just("eth0"), _pick(GUESTS[:4])), st.tuples(st.just(LOCAL), _pick(OWN)),
)  # fmt: skip


def targets(commands: list[Command]) -> list[tuple[str, str, int]]:
    """What the commands speak of: address, protocol and port, also the ports beside theirs."""
    found: set[tuple[str, str, int]] = set()
    for rule in (rule for command in commands for rule in command.get("rules", ())):
        address = rule.get("source_ip_address") or rule.get("src_ip")
        ends = str(rule.get("source_port_range", "80:80")).split(":")
        for port in {int(end) + beside for end in ends for beside in (-1, 0, 1)} if "protocol" in rule else {80}:
            if address and port > 0:
                found.add((address, rule.get("protocol", "all"), port))
    return sorted(found)


@st.composite
def packets(draw: st.DrawFn, spoken_of: list[tuple[str, str, int]]) -> Packet:
    """One packet, without its source port, which is its own; every other one to what the commands speak of."""
    protocol, port = draw(_pick(PROTOCOLS)), draw(st.one_of(_pick(PORTS), _pick(PORTS), _pick(SERVED)))
    meets = draw(st.booleans())
    if spoken_of and meets:
        device, source = draw(_meeting)
        destination, asked, port = draw(_pick(spoken_of))
        protocol = protocol if asked == "all" else cast(Protocol, asked)
    else:
        device, source, destination = draw(
            _entering.filter(lambda drawn: drawn[0] != LOCAL or drawn[2] not in BROADCASTS)
        )
    return Packet(
        device=device, source=IPv4Address(source), destination=IPv4Address(destination), protocol=protocol,
        icmp_type=draw(_pick([8, 8, 0, 3, 13])), icmp_code=draw(_pick([0, 1])), destination_port=port,
    )  # fmt: skip


def _batch(commands: list[Command]) -> st.SearchStrategy[tuple[list[Command], list[Packet]]]:
    one = packets(targets(commands))
    return st.integers(1, 79).flatmap(
        lambda size: st.tuples(st.just(commands), st.lists(one, min_size=size, max_size=size))
    )


trials = commands().flatmap(_batch)
"""Commands, and about 40 packets."""
