"""The picture of a router: complete, nothing on top of anything else, and no value that is more than text."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import generators
from tests.chance import examples
from tests.core import Core, documents, machine
from tests.system.kit import EXAMPLES
from vrouter.errors import Refused
from vrouter.topology.facts import Balancer, Facts, Forward, Guest, Network, StaticNat, facts
from vrouter.topology.layout import Box, Picture, layout
from vrouter.topology.measure import SIZES, cut, length
from vrouter.topology.mermaid import mermaid
from vrouter.topology.svg import svg

GOLDEN = Path(__file__).parent / "golden"
SVG = "{http://www.w3.org/2000/svg}"
BALANCER = {
    "config": [
        {
            "configuration": [
                "global", "\tdaemon", "defaults", "\tmode tcp",
                "\nlisten stats_on_public\n\tbind 192.0.2.10:8081\n\tstats enable\n",
                "listen 192_0_2_12-80", "\tbind 192.0.2.12:80",
                "\tserver a 10.1.1.11:80 check", "\tserver b 10.1.1.9:80",
            ]
        }
    ]
}  # fmt: skip


def told(documents: Iterable[Any], balancer: Any = None) -> Facts:
    core = Core(machine({}))
    for document in documents:
        core.change(core.merged(document))
    return facts(core.bags, balancer or {})


def isolated() -> Facts:
    return told(documents(EXAMPLES / "isolated"), BALANCER)


def large(guests: int) -> Facts:
    hosts = [
        {"type": "dhcpentry", "mac_address": f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}", "host_name": f"vm{n}",
         "ipv4_address": f"10.1.{1 + n // 200}.{20 + n % 200}"} for n in range(guests)
    ]  # fmt: skip
    forwards = [
        {"source_ip_address": "192.0.2.10", "protocol": "tcp", "source_port_range": f"{1000 + n}:{1000 + n}",
         "destination_ip_address": f"10.1.1.{20 + n % 200}", "destination_port_range": "22:22"} for n in range(guests)
    ]  # fmt: skip
    return told([*documents(EXAMPLES / "isolated"), *hosts, {"type": "forwardrules", "rules": forwards}])


@pytest.mark.parametrize(
    ("name", "text"), [("isolated.svg", svg(layout(isolated()))), ("isolated.mmd", mermaid(isolated()))]
)
def test_golden(name: str, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text()


# what is shown


def test_facts_of_the_isolated_example() -> None:
    found = isolated()
    assert [(n.role, n.device, n.network, n.gateway) for n in found.networks] == [
        ("public", "eth2", "192.0.2.0/24", "192.0.2.1"),
        ("public", "eth3", "198.51.100.0/24", "198.51.100.1"),
        ("control", "eth1", "169.254.0.0/16", ""),
        ("guest", "eth0", "10.1.1.0/24", ""),
    ]
    assert found.networks[0].addresses == (
        ("192.0.2.10", "source NAT"), ("192.0.2.11", "static NAT of web1"), ("192.0.2.12", ""),
    )  # fmt: skip
    assert [(g.name, g.address, g.forwards, g.static_nat) for g in found.guests] == [
        ("web1", "10.1.1.11", 0, "192.0.2.11"), ("web2", "10.1.1.12", 1, ""), ("db1", "10.1.1.13", 2, ""),
    ]  # fmt: skip
    assert [(f.public, f.ports, f.guest_name) for f in found.forwards] == [
        ("192.0.2.10", "2222", "web2"), ("192.0.2.10", "9000-9010", "db1"), ("198.51.100.10", "8443", "db1"),
    ]  # fmt: skip
    assert found.balancers == (Balancer("192_0_2_12-80", "192.0.2.12:80", ("web1 10.1.1.11:80", "10.1.1.9:80")),)


def test_a_guest_outside_every_network_is_shown() -> None:
    host = {"type": "dhcpentry", "mac_address": "02:00:00:00:00:01", "ipv4_address": "10.9.9.9", "host_name": "lost"}
    found = told([host])
    assert [guest.name for guest in found.strays] == ["lost"]
    assert "lost" in svg(layout(found)) and "lost" in mermaid(found)


# laws


def names() -> st.SearchStrategy[str]:
    return st.text(max_size=40) | st.sampled_from(
        ["<script>", "a&b", '"', "'", "]]>", "\x00\x1b[0m", "名前" * 20, "-->"]
    )


guests = st.builds(Guest, names(), names(), names(), st.integers(0, 2000), names())
any_facts = st.builds(
    Facts,
    names(),
    names(),
    st.lists(
        st.builds(
            Network,
            st.sampled_from(["public", "control", "guest"]),
            st.sampled_from(["eth0", "eth1", "eth12"]),
            names(),
            st.lists(st.tuples(names(), names()), min_size=1, max_size=12).map(tuple),
            names(),
            st.lists(guests, max_size=60).map(tuple),
        ),
        max_size=12,
    ).map(tuple),
    st.lists(guests, max_size=3).map(tuple),
    st.lists(st.builds(Forward, *[names()] * 7), max_size=40).map(tuple),
    st.lists(st.builds(StaticNat, *[names()] * 3), max_size=20).map(tuple),
    st.lists(st.builds(Balancer, names(), names(), st.lists(names(), max_size=3).map(tuple)), max_size=3).map(tuple),
)


def apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.w <= other.x or other.x + other.w <= one.x or one.y + one.h <= other.y or other.y + other.h <= one.y
    )


def held(inner: Box, outer: Box) -> bool:
    right, bottom = inner.x + inner.w <= outer.x + outer.w + 0.01, inner.y + inner.h <= outer.y + outer.h + 0.01
    return inner.x >= outer.x and inner.y >= outer.y and right and bottom


def drawn_well(picture: Picture) -> None:
    """No box on another, none outside its own, every text inside its box and apart from those on its line."""
    paper = Box("paper", 0, 0, picture.width, picture.height, inside=picture.boxes)
    assert all(0 <= x <= picture.width and 0 <= y <= picture.height for line in picture.lines for x, y in line.points)
    waiting = [paper]
    while waiting:
        box = waiting.pop()
        waiting += box.inside
        assert all(held(inner, box) for inner in box.inside)
        assert all(apart(a, b) for place, a in enumerate(box.inside) for b in box.inside[place + 1 :])
        spans: dict[float, list[tuple[float, float]]] = {}
        for text in box.texts:
            width = length(text.text, text.kind)
            begin = text.x - width if text.end else text.x
            assert box.x <= begin and begin + width <= box.x + box.w + 0.01
            assert box.y <= text.y - 0.8 * SIZES[text.kind] and text.y + 3 <= box.y + box.h
            spans.setdefault(text.y, []).append((begin, begin + width))
        for line in spans.values():
            line.sort()
            assert all(before[1] <= after[0] + 0.01 for before, after in pairwise(line))


def groups(root: ET.Element, kind: str) -> Iterator[str]:
    for group in root.iter(f"{SVG}g"):
        if group.get("class") == kind:
            yield group.findtext(f"{SVG}title") or ""


def shown_once(found: Facts) -> None:
    root = ET.fromstring(svg(layout(found)))
    width, height = root.get("width"), root.get("height")
    assert root.get("viewBox") == f"0 0 {width} {height}"
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "rect", "g", "text", "polyline"
    }  # fmt: skip
    inside = [guest for network in found.networks if network.role == "guest" for guest in network.guests]
    shown = [*inside, *found.strays]
    assert sum(1 for _ in groups(root, "vm")) == len(shown)
    rows = len(found.forwards) + len(found.static_nats) + len(found.balancers)
    assert sum(1 for _ in groups(root, "row")) == rows


@examples(60)
@given(any_facts)
def test_whatever_the_values_are_the_picture_is_whole(found: Facts) -> None:
    drawn_well(layout(found))
    shown_once(found)
    assert mermaid(found).startswith("flowchart TB\n")


@examples(60)
@given(generators.histories)
def test_every_history_can_be_drawn(files: list[Any]) -> None:
    core = Core(machine({}))
    for document in files:
        try:
            core.change(core.merged(document))
        except Refused:  # a refused command says nothing
            continue
    found = facts(core.bags, {})
    drawn_well(layout(found))
    shown_once(found)
    assert len(found.guests) == len({guest.address for guest in found.guests})


@pytest.mark.parametrize("count", [0, 5, 200])
def test_every_guest_and_forward_is_named_once(count: int) -> None:
    found = large(count)
    drawn_well(layout(found))
    root = ET.fromstring(svg(layout(found)))
    assert Counter(title.split("\n")[1] for title in groups(root, "vm")) == Counter(g.address for g in found.guests)
    ports = Counter(title.split("  ")[0] for title in groups(root, "row"))
    assert all(ports[f"{f.protocol} {f.public}:{f.ports}"] == 1 for f in found.forwards)
    for text in (svg(layout(found)), mermaid(found)):
        assert all(f">{g.name}<" in text or f'"{g.name}<br/>' in text for g in found.guests)
    assert all(mermaid(found).count(f"tcp {f.ports} to") == 1 for f in found.forwards if f.protocol == "tcp")
    assert len(svg(layout(found))) < 1_000_000


@examples()
@given(names())
def test_mermaid_reads_no_value(name: str) -> None:
    found = Facts(name, "", (), (Guest(name, name, name),), (), (), ())
    label = mermaid(found).split('router["')[1].split('"]')[0]
    assert all(c.isascii() and (c.isalnum() or c in " .:/,-_?#;") for c in label)


@examples()
@given(names(), st.sampled_from(sorted(SIZES)), st.floats(20, 400))
def test_a_text_is_cut_to_its_room(text: str, kind: str, room: float) -> None:
    kept = cut(text, kind, room)
    assert length(kept, kind) <= room or kept == "…"


# the command


def test_the_command_draws_a_copy_of_databags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from vrouter.__main__ import main

    core = Core(machine({}))
    core.run(*documents(EXAMPLES / "isolated"))
    for name, bag in core.saved().items():
        (tmp_path / f"{name}.json").write_text(json.dumps(bag))
    monkeypatch.setenv("VROUTER_BAG_DIR", str(tmp_path))
    picture = tmp_path / "router.svg"
    assert main(["show", "topology", "--svg", str(picture)]) == 0
    assert ET.parse(picture).getroot().tag == f"{SVG}svg"
    assert main(["show", "topology"]) == 0
    assert "guest 10.1.1.11        02:00:4c:01:00:11  web1" in capsys.readouterr().out
    assert main(["show", "topology", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["router"] == "r-101-VM"
    assert main(["show", "topology", "--mermaid"]) == 0
    assert main(["show", "topology", "--mermaid", "--json"]) == 64
    (tmp_path / "ips.json").write_text("{")
    assert main(["show", "topology"]) == 1
    assert "ips.json is unreadable" in capsys.readouterr().err
