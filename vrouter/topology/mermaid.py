"""The picture as text for Mermaid, which many wikis and code hosts draw. Pure.

Mermaid refuses more than 500 edges by default, so translations are edges while they are few, and lists where not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vrouter.topology.facts import Facts, Guest, Network

_MOST_EDGES = 100

Labels = dict[str, list[str]]


def mermaid(facts: Facts) -> str:
    """A flowchart."""
    return "\n".join([*_lines(facts), ""])


def _lines(facts: Facts) -> Iterator[str]:
    yield "flowchart TB"
    yield f"  router{_label([facts.router, facts.domain])}"
    outside = [network for network in facts.networks if network.role != "guest"]
    for place, network in enumerate(outside):
        yield f"  net{place}{_label(_network(network))}"
        yield f"  net{place} ---|{_quoted([network.device])}| router"
    nodes: dict[str, str] = {}
    for place, network in enumerate(network for network in facts.networks if network.role == "guest"):
        yield f"  subgraph lan{place} [{_quoted([f'guest {network.device} {network.network}'])}]"
        yield from _guests(network.guests, nodes)
        yield "  end"
        yield f"  router ---|{_quoted([network.device])}| lan{place}"
    if facts.strays:
        yield f"  subgraph strays [{_quoted(['in no guest network'])}]"
        yield from _guests(facts.strays, nodes)
        yield "  end"
    yield from _translations(facts, nodes)


def _network(network: Network) -> list[str]:
    via = f"via {network.gateway}" if network.gateway else ""
    return [
        f"{network.role} {network.network}",
        via,
        *(f"{address} {use}".strip() for address, use in network.addresses),
    ]


def _guests(guests: Iterable[Guest], nodes: dict[str, str]) -> Iterator[str]:
    for guest in guests:
        nodes[guest.address] = f"vm{len(nodes)}"
        yield f"    {nodes[guest.address]}{_label([guest.name, guest.address])}"


def _translations(facts: Facts, nodes: dict[str, str]) -> Iterator[str]:
    """A node for each public address that something is translated for; an edge to each guest, or all in the node."""
    wanted: dict[str, Labels] = {}
    for forward in facts.forwards:
        sources = f" from {forward.sources}" if forward.sources else ""
        said = f"{forward.protocol} {forward.ports} to {forward.guest_ports}{sources}"
        wanted.setdefault(forward.public, {}).setdefault(forward.guest, []).append(said)
    for nat in facts.static_nats:
        wanted.setdefault(nat.public, {}).setdefault(nat.guest, []).append("static NAT")
    names = {guest.address: guest.name for guest in facts.guests}
    edges = sum(map(len, wanted.values())) <= _MOST_EDGES
    for place, (public, by_guest) in enumerate(wanted.items()):
        drawn = {guest: said for guest, said in by_guest.items() if edges and guest in nodes}
        told = [
            f"{line}, {names.get(guest, '?')} {guest}"
            for guest, said in by_guest.items()
            if guest not in drawn
            for line in said
        ]
        yield f"  pub{place}{_label([public, *told], '([', '])')}"
        yield f"  router --- pub{place}"
        for guest, rules in drawn.items():
            yield f"  pub{place} -->|{_quoted(rules)}| {nodes[guest]}"
    for place, balancer in enumerate(facts.balancers):
        yield f"  lb{place}{_label([balancer.name, balancer.listens, *balancer.servers], '{{', '}}')}"
        yield f"  router --- lb{place}"


def _label(lines: Iterable[str], left: str = "[", right: str = "]") -> str:
    return f"{left}{_quoted(lines)}{right}"


def _quoted(lines: Iterable[str]) -> str:
    """Lines of a label. Whatever Mermaid or HTML could read is written as a number."""
    return '"' + "<br/>".join(_escaped(line) for line in lines if line) + '"'


def _escaped(text: str) -> str:
    kept = " .:/,-_?"
    return "".join(c if (c.isascii() and c.isalnum()) or c in kept else f"#{ord(c)};" for c in text)
