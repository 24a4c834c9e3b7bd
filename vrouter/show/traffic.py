"""Tracked connections and counters as rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from vrouter.model.intents import Dnat, GuestAddress, StaticNat
from vrouter.model.observed import Interface, Tracked
from vrouter.show.layout import Column, Row, ago, size
from vrouter.show.policy import guest_names
from vrouter.show.table import Field, Table
from vrouter.view import View

_COUNTER = re.compile(r"counter packets (\d+) bytes (\d+)")
_NAMED = re.compile(r"packets (\d+) bytes (\d+)")

CONNECTIONS = Table(
    name="connections",
    says="The connections that the kernel tracks, each with the translation that made it.",
    of="connections",
    asks="--guest 10.1.1.11",
    fields=(
        Field("protocol", "text", "tcp, udp, icmp, or a number"),
        Field("state", "text", "of TCP; empty for others"),
        Field("kind", "text", "forward, static NAT, outbound, hairpin, or router (to or from itself)"),
        Field("source", "text", "who opened it"),
        Field("source_port", "number", "0 where the protocol has none"),
        Field("destination", "text", "what it was opened to"),
        Field("port", "number", "0 where the protocol has none"),
        Field("answers", "text", "who answers, after translation"),
        Field("answers_port", "number", "0 where the protocol has none"),
        Field("seen_as", "text", "the address that the answer goes to: the source after translation"),
        Field("guest", "text", "the guest's name; may be empty"),
        Field("packets", "number", "both ways; null where the kernel does not count", True),
        Field("bytes", "number", "both ways; null where the kernel does not count", True),
        Field("timeout_s", "number", "seconds of silence after which it is forgotten"),
        Field("origin", "text", "the databag entry that translates it, empty where there is none"),
    ),
    columns=(
        Column("PROTO", lambda row: row["protocol"]),
        Column("KIND", lambda row: row["kind"], rank=3),
        Column("FROM", lambda row: _end(row["source"], row["source_port"])),
        Column("TO", lambda row: _end(row["destination"], row["port"])),
        Column("ANSWERED BY", lambda row: _end(row["answers"], row["answers_port"])
               if (row["answers"], row["answers_port"]) != (row["destination"], row["port"]) else ""),
        Column("SEEN AS", lambda row: row["seen_as"] if row["seen_as"] != row["source"] else "", rank=4),
        Column("GUEST", lambda row: row["guest"], cuts=8, rank=1),
        Column("STATE", lambda row: row["state"], rank=2, label=""),
        Column("BYTES", lambda row: "" if row["bytes"] is None else size(row["bytes"]), right=True, rank=5),
        Column("FORGOTTEN IN", lambda row: ago(row["timeout_s"]), right=True, rank=6),
        Column("DATABAG ENTRY", lambda row: row["origin"], rank=9, label="", style=lambda _: "dim"),
    ),
)  # fmt: skip

COUNTERS = Table(
    name="counters",
    says="What went through each interface, what was dropped, and what counters of nftables hold.",
    of="counters",
    fields=(
        Field("kind", "text", "interface, nftables or kernel"),
        Field("name", "text", "the device; table, chain and rule; or the kernel's name of it"),
        Field("way", "text", "in or out of an interface; empty for others"),
        Field("packets", "number", "null where only drops are counted", True),
        Field("bytes", "number", "null where only drops are counted", True),
        Field("drops", "number", "packets; null where it is not known whether they were dropped", True),
        Field("errors", "number", "packets; null where they are not counted", True),
        Field("says", "text", "what is counted; may be empty"),
    ),
    columns=(
        Column("NAME", lambda row: f"{row['name']} {row['way']}".strip(), wraps=True),
        Column("PACKETS", lambda row: _number(row["packets"]), right=True),
        Column("BYTES", lambda row: "" if row["bytes"] is None else size(row["bytes"]), right=True),
        Column("DROPS", lambda row: _number(row["drops"]), right=True, style=lambda row: "red" if row["drops"] else ""),
        Column("ERRORS", lambda row: _number(row["errors"]), right=True,
               style=lambda row: "red" if row["errors"] else ""),
        Column("OF", lambda row: row["says"], wraps=True),
    ),
)  # fmt: skip


def _end(address: str, port: int) -> str:
    return f"{address}:{port}" if port else address


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


class _Origins:
    """The entries that translate, by public address."""

    def __init__(self, view: View) -> None:
        self._ports: dict[tuple[IPv4Address, str, int], str] = {}
        self._ranges: dict[IPv4Address, list[Dnat]] = {}
        for dnat in view.intents.of(Dnat):
            if dnat.ports.size == 1:
                self._ports.setdefault((dnat.public_ip, dnat.protocol, dnat.ports.first), dnat.origin)
            else:
                self._ranges.setdefault(dnat.public_ip, []).append(dnat)
        self.static = {one.public_ip: one for one in view.intents.of(StaticNat)}

    def forward(self, one: Tracked) -> str:
        """The forward that a connection came through."""
        found = self._ports.get((one.destination, one.protocol, one.port))
        if found:
            return found
        near = self._ranges.get(one.destination, ())
        inside = (d for d in near if d.protocol == one.protocol and d.ports.first <= one.port <= d.ports.last)
        return next((d.origin for d in inside if d.guest == one.answers), "")


def connections(view: View, held: Iterable[Tracked]) -> Iterator[Row]:
    """By protocol and ends."""
    names, origins = guest_names(view), _Origins(view)
    networks = [guest.network for guest in view.intents.of(GuestAddress)]
    for one in sorted(held, key=lambda t: (t.protocol, t.source, t.destination, t.port, t.source_port)):
        kind, origin = _kind(one, origins, networks)
        yield {
            "protocol": one.protocol, "state": one.state, "kind": kind, "source": str(one.source),
            "source_port": one.source_port, "destination": str(one.destination), "port": one.port,
            "answers": str(one.answers), "answers_port": one.answers_port, "seen_as": str(one.answered),
            "guest": names.get(one.answers) or names.get(one.source, ""), "packets": one.packets, "bytes": one.bytes,
            "timeout_s": one.timeout_s, "origin": origin,
        }  # fmt: skip


def _kind(one: Tracked, origins: _Origins, networks: list[IPv4Network]) -> tuple[str, str]:
    from_guest = any(one.source in network for network in networks)
    if one.answers != one.destination:
        static = origins.static.get(one.destination)
        kind, origin = ("static NAT", static.origin) if static else ("forward", origins.forward(one))
        return ("hairpin" if from_guest else kind), origin
    if from_guest and one.answered != one.source:
        static = origins.static.get(one.answered)
        return "outbound", static.origin if static and static.guest == one.source else ""
    return "router", ""


def counters(interfaces: Iterable[Interface], drops: Iterable[tuple[str, str, int]], ruleset: str) -> Iterator[Row]:
    """Interfaces, then counters of nftables, then what the kernel gave up for other reasons."""
    for one in interfaces:
        for way, traffic in (("in", one.received), ("out", one.sent)):
            yield _row("interface", one.device, way, traffic.packets, traffic.bytes, traffic.drops, traffic.errors)
    yield from _nft(ruleset)
    for name, says, count in drops:
        yield _row("kernel", name, "", None, None, count, None, says)


def _row(
    kind: str, name: str, way: str, packets: int | None, size: int | None, drops: int | None, errors: int | None,
    says: str = "",
) -> Row:  # fmt: skip
    return {
        "kind": kind, "name": name, "way": way, "packets": packets, "bytes": size, "drops": drops, "errors": errors,
        "says": says,
    }  # fmt: skip


def _nft(ruleset: str) -> Iterator[Row]:
    """Counters in rules, and named ones, of a text that nft(8) prints."""
    table = inside = ""
    for line in ruleset.splitlines():
        words = line.split()
        if line.startswith("table "):
            table = " ".join(words[1:3])
        elif line.startswith("\t") and not line.startswith("\t\t") and words[-1:] == ["{"]:
            inside = " ".join(words[:-1])
        elif found := _COUNTER.search(line):
            yield _counted(f"{table} {inside}", found, line.strip())
        elif inside.startswith("counter ") and (found := _NAMED.search(line)):
            yield _counted(f"{table} {inside}", found, "")


def _counted(name: str, found: re.Match[str], rule: str) -> Row:
    packets = int(found[1])
    dropped = packets if re.search(r"\b(drop|reject)\b", rule) else None
    return _row("nftables", name, "", packets, int(found[2]), dropped, None, _COUNTER.sub("", rule).replace("  ", " "))
