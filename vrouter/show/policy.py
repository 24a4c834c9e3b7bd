"""Firewall rules, port forwards and NAT as rows, one a databag entry. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from vrouter.model.intents import (
    Accept,
    DhcpHost,
    Dnat,
    Egress,
    EgressDefault,
    GuestAddress,
    PublicAddress,
    RouterFacts,
    StaticNat,
)
from vrouter.model.marks import primary
from vrouter.model.table import Element
from vrouter.show.doors import ANY, Doors, networks_text
from vrouter.show.layout import Column, Row
from vrouter.show.table import ORIGIN, STANDING, STATE, Field, Table
from vrouter.view import Standing, View

_NOBODY = "nobody"

RULES = Table(
    name="rules",
    says="Firewall rules: ingress by public address, egress of the guest networks.",
    of="rules",
    asks="--wrong",
    fields=(
        Field("direction", "text", "ingress or egress"),
        Field("verdict", "text", "allow or block"),
        Field("protocol", "text", "tcp, udp, icmp or all"),
        Field("ports", "text", "`80`, `80-90`; of ICMP `type 8 code 0`; any"),
        Field("sources", "texts", "networks; any"),
        Field("destinations", "texts", "of ingress the public address; networks; any"),
        *STANDING,
    ),
    columns=(
        Column("WAY", lambda row: "in" if row["direction"] == "ingress" else "out"),
        Column("VERDICT", lambda row: row["verdict"]),
        Column("PROTO", lambda row: row["protocol"]),
        Column("PORTS", lambda row: row["ports"]),
        Column("FROM", lambda row: ", ".join(row["sources"]), wraps=True),
        Column("TO", lambda row: ", ".join(row["destinations"]), wraps=True),
        STATE,
        ORIGIN,
    ),
)

FORWARDS = Table(
    name="forwards",
    says="Port forwards, each with those whom the firewall lets in to it.",
    of="forwards",
    asks="--find 192.0.2.10",
    fields=(
        Field("protocol", "text", "tcp or udp"),
        Field("public_ip", "text", "the public address"),
        Field("public_ports", "text", "`80` or `80-90`"),
        Field("guest_ip", "text", "where it leads"),
        Field("guest_ports", "text", "`80` or `80-90`"),
        Field("guest", "text", "the guest's name; empty where no databag names it"),
        Field("sources", "texts", "whom the forward itself is for; any"),
        Field("open_to", "texts", "whom ingress rules let in to all or some of its ports; any; empty for nobody"),
        *STANDING,
    ),
    columns=(
        Column("PROTO", lambda row: row["protocol"]),
        Column("PUBLIC", lambda row: f"{row['public_ip']}:{row['public_ports']}"),
        Column("GUEST", lambda row: f"{row['guest_ip']}:{row['guest_ports']}"),
        Column("NAME", lambda row: row["guest"], cuts=8),
        Column("FOR", lambda row: "" if row["sources"] == [ANY] else ", ".join(row["sources"]), wraps=True),
        Column("OPEN TO", lambda row: ", ".join(row["open_to"]) or _NOBODY, wraps=True,
               style=lambda row: "" if row["open_to"] else "yellow"),
        STATE,
        ORIGIN,
    ),
)  # fmt: skip

NAT = Table(
    name="nat",
    says="Static NAT, and the address with which guests leave by each public device.",
    of="translations",
    fields=(
        Field("kind", "text", "static or source"),
        Field("device", "text", "the public device; empty while the address is not there"),
        Field("public_ip", "text", "the public address"),
        Field("guest_ip", "text", "a guest, or the guest networks of source NAT"),
        Field("guest", "text", "the guest's name; may be empty"),
        Field("open_to", "texts", "of static NAT whom ingress rules let in at all; any; empty for nobody"),
        *STANDING,
    ),
    columns=(
        Column("KIND", lambda row: row["kind"]),
        Column("DEVICE", lambda row: row["device"]),
        Column("PUBLIC", lambda row: row["public_ip"]),
        Column("GUEST", lambda row: row["guest_ip"], wraps=True),
        Column("NAME", lambda row: row["guest"], cuts=8),
        Column("OPEN TO", lambda row: "" if row["kind"] == "source" else ", ".join(row["open_to"]) or _NOBODY,
               wraps=True, style=lambda row: "" if row["open_to"] or row["kind"] == "source" else "yellow"),
        STATE,
        ORIGIN,
    ),
)  # fmt: skip


def rules(view: View) -> Iterator[Row]:
    """Ingress by address and port, then egress, then what stands for all that no egress rule names."""
    accepts = sorted(view.intents.of(Accept), key=lambda one: (one.to, one.protocol, one.span or (0, 0), one.origin))
    for rule in accepts:
        yield {
            "direction": "ingress", "verdict": "allow", "protocol": rule.protocol, "ports": _span(rule),
            "sources": networks_text(rule.sources), "destinations": [str(rule.to)],
            **view.standing(rule.origin).fields(rule.origin),
        }  # fmt: skip
    egress = sorted(view.intents.of(Egress), key=lambda one: (one.protocol, one.span or (0, 0), one.origin))
    for way in egress:
        yield {
            "direction": "egress", "verdict": "block" if way.blocks else "allow", "protocol": way.protocol,
            "ports": _span(way), "sources": networks_text(way.sources), "destinations": networks_text(way.destinations),
            **view.standing(way.origin).fields(way.origin),
        }  # fmt: skip
    default = view.intents.one(EgressDefault)
    if default or view.intents.one(GuestAddress):
        origin = default.origin if default else ""
        yield {
            "direction": "egress", "verdict": "allow" if default and default.allow else "block", "protocol": "all",
            "ports": "any other", "sources": [ANY], "destinations": [ANY], **view.standing(origin).fields(origin),
        }  # fmt: skip
    yield from _foreign_rules(view)


def _foreign_rules(view: View) -> Iterator[Row]:
    for resource in view.foreign("element"):
        if isinstance(resource, Element) and resource.set.startswith(("ingress_", "egress_")):
            direction = resource.set.partition("_")[0]
            yield {
                "direction": direction, "verdict": "block" if "_block_" in resource.set else "allow", "protocol": "",
                "ports": " ".join(resource.atoms), "sources": [], "destinations": [],
                **Standing("foreign", f"element of {resource.set}").fields(""),
            }  # fmt: skip


def forwards(view: View) -> Iterator[Row]:
    """By public address and port, one row an entry whatever number of elements it needs."""
    names, doors = guest_names(view), Doors(view.intents.of(Accept))
    entries: dict[str, list[Dnat]] = {}
    for dnat in view.intents.of(Dnat):
        entries.setdefault(dnat.origin, []).append(dnat)
    for origin, parts in sorted(entries.items(), key=lambda item: _order(item[1][0])):
        one, last = parts[0], parts[-1]
        first, end = one.ports.first, last.ports.last
        yield {
            "protocol": one.protocol,
            "public_ip": str(one.public_ip),
            "public_ports": _ports(first, end),
            "guest_ip": str(one.guest),
            "guest_ports": _ports(one.guest_ports.first, last.guest_ports.last),
            "guest": names.get(one.guest, ""),
            "sources": networks_text(one.sources),
            "open_to": doors.open_to(one.public_ip, one.protocol, (first, end)),
            **_standing(view, origin).fields(origin),
        }
    for resource in view.foreign("element"):
        if isinstance(resource, Element) and resource.set.startswith("forward_"):
            public, protocol, ports, *sources = resource.atoms
            yield {
                "protocol": protocol, "public_ip": public, "public_ports": ports, "guest_ip": resource.value[0],
                "guest_ports": resource.value[1] if len(resource.value) > 1 else ports, "guest": "",
                "sources": sources or [ANY], "open_to": [], **Standing("foreign").fields(""),
            }  # fmt: skip


def unopened(view: View) -> list[str]:
    """The forwards in effect that no ingress rule opens, as people write them."""
    doors = Doors(view.intents.of(Accept))
    found: dict[str, str] = {}
    for one in view.intents.of(Dnat):
        if doors.is_shut(one.public_ip, one.protocol, (one.ports.first, one.ports.last)):
            text = f"{one.protocol} {one.public_ip}:{_ports(one.ports.first, one.ports.last)}"
            if view.standing(one.origin).state == "in effect":
                found.setdefault(one.origin, text)
    return list(found.values())


def _order(dnat: Dnat) -> tuple[IPv4Address, str, int, str]:
    return dnat.public_ip, dnat.protocol, dnat.ports.first, dnat.origin


def _standing(view: View, origin: str) -> Standing:
    standing = view.standing(origin)
    if standing.state == "in effect" and origin not in view.makes:
        return Standing("overruled", "another forward has its ports")
    return standing


def nat(view: View) -> Iterator[Row]:
    """Static NAT by public address, then source NAT by device."""
    names, doors = guest_names(view), Doors(view.intents.of(Accept))
    facts = view.intents.one(RouterFacts)
    publics = {one.address: one for one in view.intents.of(PublicAddress)}
    for one in sorted(view.intents.of(StaticNat), key=lambda one: one.public_ip):
        address = publics.get(one.public_ip)
        yield {
            "kind": "static", "device": address.device if address else "", "public_ip": str(one.public_ip),
            "guest_ip": str(one.guest), "guest": names.get(one.guest, ""),
            "open_to": doors.open_at_all(one.public_ip), **_standing(view, one.origin).fields(one.origin),
        }  # fmt: skip
    guests = sorted({guest.network for guest in view.intents.of(GuestAddress)})
    for device in sorted({one.device for one in publics.values()}):
        first = primary((one for one in publics.values() if one.device == device), facts)
        if first:
            yield {
                "kind": "source", "device": device, "public_ip": str(first.address),
                "guest_ip": ", ".join(map(str, guests)), "guest": "", "open_to": [],
                **view.standing(first.origin).fields(first.origin),
            }  # fmt: skip
    for resource in view.foreign("element"):
        if isinstance(resource, Element) and resource.set in ("static_dnat", "source_nat"):
            static = resource.set == "static_dnat"
            yield {
                "kind": "static" if static else "source", "device": "" if static else resource.atoms[0],
                "public_ip": resource.atoms[0] if static else resource.value[0],
                "guest_ip": resource.value[0] if static else "", "guest": "", "open_to": [],
                **Standing("foreign").fields(""),
            }  # fmt: skip


def guest_names(view: View) -> dict[IPv4Address, str]:
    """Names by address."""
    return {host.address: str(host.name) for host in view.intents.of(DhcpHost)}


def _ports(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _span(rule: Accept | Egress) -> str:
    if rule.span is None:
        return ANY
    if rule.protocol != "icmp":
        return _ports(*rule.span)
    kind, code = divmod(rule.span[0], 256)
    return f"type {kind}" if rule.span[0] != rule.span[1] else f"type {kind} code {code}"
