"""Look-ups by index find what a look at every element finds, and are quick; packets parse what they print."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import core
from tests.chance import examples
from tests.generators import DEVICES
from tests.system.rules import cmdline, egress, firewall, forward, forwards, ingress, public
from vrouter.explain.answer import explain
from vrouter.explain.lookup import Sets, holds
from vrouter.explain.packet import of_json, parse
from vrouter.explain.walk import Kernel
from vrouter.model import boxes
from vrouter.model.resources import Key, Resource
from vrouter.model.table import Element, NamedSet

_ADDRESSES = (int(IPv4Address("10.1.1.0")), int(IPv4Address("10.1.1.7")))


def _interval(low: int, high: int) -> st.SearchStrategy[boxes.Interval]:
    return st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: (min(pair), max(pair)))


@st.composite
def sets(draw: st.DrawFn) -> tuple[dict[Key, Resource], list[tuple[str, ...]]]:
    """One set of protocol, ports and addresses without overlaps, and keys to look up."""
    found: dict[Key, Resource] = {}
    named = NamedSet(name="s", types=("inet_proto", "inet_service", "ipv4_addr"), interval=draw(st.booleans()))
    found[named.key] = named
    for protocol in ("tcp", "udp"):
        drawn = draw(st.lists(st.tuples(_interval(1, 6), _interval(*_ADDRESSES)), max_size=8))
        if not named.interval:
            drawn = [((low, low), (first, first)) for (low, _), (first, _) in drawn]
        for (ports, addresses), _ in boxes.disjoint((box, None) for box in drawn):
            atoms = (protocol, boxes.numbers_text(ports), boxes.addresses_text(addresses))
            element = Element(set="s", atoms=atoms)
            found[element.key] = element
    keys = st.tuples(st.sampled_from(["tcp", "udp", "icmp"]), st.integers(0, 7).map(str),
                     st.integers(_ADDRESSES[0] - 1, _ADDRESSES[1] + 1).map(lambda n: str(IPv4Address(n))))  # fmt: skip
    return found, draw(st.lists(keys, min_size=1, max_size=10))


def scanned(elements: Iterable[Resource], key: tuple[str, ...]) -> Element | None:
    """Every element looked at."""
    held = [e for e in elements if isinstance(e, Element) and all(map(holds, e.atoms, key))]
    assert len(held) < 2
    return held[0] if held else None


@examples(300)
@given(sets())
def test_an_index_finds_what_a_scan_finds(drawn: tuple[Mapping[Key, Resource], list[tuple[str, ...]]]) -> None:
    resources, keys = drawn
    index = Sets(resources)
    for key in keys:
        assert index.find("s", key) == scanned(resources.values(), key)


def test_of_elements_that_overlap_the_lowest_key_is_found() -> None:
    """A kernel refuses them; here the answer must not depend on the order in which they came."""
    named = NamedSet(name="s", types=("ipv4_addr",), interval=True)
    spans = ("10.0.0.0-10.0.0.255", "10.0.0.9", "10.0.0.8-10.0.0.15")
    elements = [Element(set="s", atoms=(span,)) for span in spans]
    for order in (elements, elements[::-1]):
        resources: dict[Key, Resource] = {named.key: named} | {element.key: element for element in order}
        found = Sets(resources).find("s", ("10.0.0.9",))
        assert found and found.atoms == ("10.0.0.0-10.0.0.255",)


def test_ten_thousand_rules_are_no_matter() -> None:
    """Index included, with 10 000 forwards, ingress and egress rules each; the budget is 50 ms."""
    router = core.Core(core.machine(DEVICES))
    router.run(cmdline(), public("192.0.2.10"))
    ports = range(1, 10_001)
    router.run(forwards(*(forward("192.0.2.10", str(port), "10.1.1.12", "22") for port in ports)))
    router.run(firewall(*(ingress(port, "192.0.2.10", "tcp", str(port), f"203.{port % 256}.0.0/16") for port in ports)))
    router.run(firewall(*(egress(port + 20_000, "udp", str(port), to=(f"203.{port % 256}.0.0/16",)) for port in ports)))
    took = []
    for words in ("tcp 203.31.1.1:9 192.0.2.10:5151", "udp 10.1.1.12:9 203.31.0.1:5151"):
        for _ in range(3):
            begin = time.process_time()
            assert explain(Kernel(router.resources), parse(*words.split())).walk.passes
            took.append(time.process_time() - begin)
    assert min(took) < 0.05


@pytest.mark.parametrize(
    ("words", "options", "fault"),
    [
        ("tcp 1.2.3.4 5.6.7.8", {}, "has no port"),
        ("tcp 1.2.3 5.6.7.8:80", {}, "1.2.3"),
        ("tcp 1.2.3.4:x 5.6.7.8:80", {}, "'x' is not a number"),
        ("tcp 1.2.3.4:1 5.6.7.8:65536", {}, "65536 is not within 0:65535"),
        ("gre 1.2.3.4 5.6.7.8", {}, "'gre' is not tcp, udp or icmp"),
        ("icmp 1.2.3.4:1 5.6.7.8", {}, "icmp has no ports"),
        ("icmp 1.2.3.4 5.6.7.8", {"type": "8/300"}, "300 is not within 0:255"),
        ("icmp 1.2.3.4 5.6.7.8", {"type": "echo"}, "'echo' is not a number"),
        ("udp 1.2.3.4 5.6.7.8:53", {"type": "8"}, "--type is for icmp"),
        ("udp 1.2.3.4 5.6.7.8:53", {"device": "a b"}, "'a b' is not the name of an interface"),
        ("udp 1.2.3.4 5.6.7.8:53", {"state": "old"}, "'old' is not new or established"),
    ],
)
def test_a_packet_that_cannot_be(words: str, options: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse(*words.split(), **options)


@pytest.mark.parametrize(
    "tree",
    [
        {}, [], None, "x", {"protocol": "tcp"}, {"protocol": "tcp", "source": "1.2.3.4", "destination": {}},
        {"protocol": "tcp", "source": "1.2.3.4", "destination": "1.2.3.4", "source_port": "1"},
        {"protocol": "tcp", "source": "1.2.3.4", "destination": "1.2.3.4", "source_port": True},
        {"protocol": ["tcp"], "source": "1.2.3.4", "destination": "1.2.3.4"},
    ],
)  # fmt: skip
def test_json_that_is_no_packet(tree: object) -> None:
    with pytest.raises(ValueError):
        of_json(tree)  # type: ignore[arg-type]
