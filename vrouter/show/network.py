"""Networks, addresses and routes as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from vrouter.model.intents import (
    Address,
    ControlAddress,
    DhcpHost,
    Dnat,
    GuestAddress,
    PublicAddress,
    RouterFacts,
    StaticNat,
    Tier,
)
from vrouter.model.marks import mtu_of, primary, ranked
from vrouter.model.observed import Interface, RouteLine, RuleLine
from vrouter.model.resources import IpAddress, Route, RoutingRule
from vrouter.show.layout import Column, Row
from vrouter.show.table import ORIGIN, STANDING, STATE, Field, Table
from vrouter.view import Standing, View, worst

_ROLES: tuple[tuple[type[Address], str], ...] = (
    (PublicAddress, "public"), (GuestAddress, "guest"), (ControlAddress, "control"),
)  # fmt: skip
_MAIN = 254
_MAKERS = {2: "kernel", 3: "boot", 4: "static", 16: "dhcp", 118: "vrouter"}  # rtnetlink(7), RTPROT_*
_OUR_TABLES = range(100, 200)

NETWORKS = Table(
    name="networks",
    says="The networks that the router is in, one row a network and device.",
    of="networks",
    fields=(
        Field("device", "text", "the network device"),
        Field("role", "text", "guest, public or control"),
        Field("network", "text", "address and prefix length"),
        Field("addresses", "texts", "the router's own in it, the primary one first"),
        Field("gateway", "text", "of a public network upstream, of a guest network what DHCP offers; may be empty"),
        Field("domain", "text", "of a guest network"),
        Field("guests", "number", "entries for DHCP in it"),
        Field("mtu", "number", "bytes"),
        *STANDING,
    ),
    columns=(
        Column("DEVICE", lambda row: row["device"]),
        Column("ROLE", lambda row: row["role"]),
        Column("NETWORK", lambda row: row["network"]),
        Column("OWN", lambda row: _own(row["addresses"])),
        Column("GATEWAY", lambda row: row["gateway"]),
        Column("GUESTS", lambda row: str(row["guests"]) if row["role"] == "guest" else "", right=True),
        Column("DOMAIN", lambda row: row["domain"], cuts=12, rank=2),
        Column("MTU", lambda row: str(row["mtu"]), right=True, rank=3),
        STATE,
        ORIGIN,
    ),
)

ADDRESSES = Table(
    name="addresses",
    says="The IPv4 addresses of the router, and what each is used for.",
    of="addresses",
    fields=(
        Field("device", "text", "the network device"),
        Field("address", "text", "address and prefix length"),
        Field("role", "text", "guest, public, control; empty for a foreign one"),
        Field("primary", "flag", "whether it is the first of its device"),
        Field("uses", "texts", "source NAT, static NAT with its guest, number of port forwards"),
        *STANDING,
    ),
    columns=(
        Column("DEVICE", lambda row: row["device"]),
        Column("ADDRESS", lambda row: row["address"]),
        Column("ROLE", lambda row: row["role"]),
        Column("PRIMARY", lambda row: "primary" if row["primary"] else ""),
        Column("USED FOR", lambda row: ", ".join(row["uses"]), wraps=True),
        STATE,
        ORIGIN,
    ),
)

ROUTES = Table(
    name="routes",
    says="All IPv4 routes and the routing rules that choose their table, ours and others'.",
    of="routes and rules",
    fields=(
        Field("kind", "text", "unicast, throw (go on with the next table), blackhole, ..., or rule"),
        Field("table", "text", "its name; of a rule the table that it looks up"),
        Field("to", "text", "destination network; of a rule what it matches"),
        Field("via", "text", "gateway; may be empty"),
        Field("device", "text", "may be empty"),
        Field("metric", "number", "of a rule its priority"),
        Field("maker", "text", "vrouter, kernel, static, dhcp, ..."),
        *STANDING,
    ),
    columns=(
        Column("TABLE", lambda row: row["table"]),
        Column("KIND", lambda row: row["kind"]),
        Column("TO", lambda row: row["to"]),
        Column("VIA", lambda row: row["via"]),
        Column("DEVICE", lambda row: row["device"]),
        Column("METRIC", lambda row: str(row["metric"] or ""), right=True),
        STATE,
        Column(
            "DATABAG ENTRY", lambda row: row["origin"] or f"({row['maker']})", rank=9, label="", style=lambda _: "dim"
        ),
    ),
)


def _own(addresses: list[str]) -> str:
    return addresses[0] + (f" +{len(addresses) - 1}" if len(addresses) > 1 else "")


def role_of(address: Address) -> str:
    """What an address is for, by its type."""
    return next(role for kind, role in _ROLES if isinstance(address, kind))


def networks(view: View) -> Iterator[Row]:
    """By device, then by network."""
    facts = view.intents.one(RouterFacts)
    tiers = {tier.device: tier for tier in view.intents.of(Tier)}
    hosts = [host.address for host in view.intents.of(DhcpHost)]
    groups: dict[tuple[str, str, IPv4Network], list[Address]] = {}
    of_device: dict[str, list[Address]] = {}
    for address in ranked(view.intents.of(Address), facts):
        groups.setdefault((address.device, role_of(address), address.network), []).append(address)
        of_device.setdefault(address.device, []).append(address)
    for (device, role, network), members in sorted(groups.items(), key=lambda item: (item[0][0], item[0][2])):
        tier = tiers.get(device) if role == "guest" else None
        yield {
            "device": device,
            "role": role,
            "network": str(network),
            "addresses": [str(member.address) for member in members],
            "gateway": _gateway(members, tier if tier and tier.gateway in network else None),
            "domain": str(tier.domain if tier else facts.domain if facts else "") if role == "guest" else "",
            "guests": sum(address in network for address in hosts) if role == "guest" else 0,
            "mtu": mtu_of(device, of_device[device], facts),
            **worst([view.standing(member.origin) for member in members]).fields(members[0].origin),
        }


def _gateway(members: list[Address], tier: Tier | None) -> str:
    if isinstance(members[0], GuestAddress):
        return str(tier.gateway if tier else members[0].address)
    via = next((m.gateway for m in members if m.gateway and m.gateway in m.network), None)
    return str(via or "")


def addresses(view: View) -> Iterator[Row]:
    """By device, the primary one first; then those that are not ours."""
    facts = view.intents.one(RouterFacts)
    publics: dict[str, list[PublicAddress]] = {}
    for public in view.intents.of(PublicAddress):
        publics.setdefault(public.device, []).append(public)
    leaves_by = {first.address for members in publics.values() if (first := primary(members, facts))}
    nat = {str(one.public_ip): str(one.guest) for one in view.intents.of(StaticNat)}
    entries: dict[IPv4Address, set[str]] = {}
    for forward in view.intents.of(Dnat):
        entries.setdefault(forward.public_ip, set()).add(forward.origin)
    seen: set[str] = set()
    for address in sorted(ranked(view.intents.of(Address), facts), key=lambda one: one.device):
        count = len(entries.get(address.address, ()))
        uses = ["source NAT"] if address.address in leaves_by and isinstance(address, PublicAddress) else []
        uses += [f"static NAT {nat[str(address.address)]}"] if str(address.address) in nat else []
        uses += [f"{count} forward{'s' if count > 1 else ''}"] if count else []
        yield {
            "device": address.device,
            "address": f"{address.address}/{address.network.prefixlen}",
            "role": role_of(address),
            "primary": address.device not in seen,
            "uses": uses,
            **view.standing(address.origin).fields(address.origin),
        }
        seen.add(address.device)
    for other in view.foreign("address"):
        assert isinstance(other, IpAddress)
        yield {
            "device": other.device, "address": f"{other.address}/{other.prefix}", "role": "", "primary": False,
            "uses": [], **Standing("foreign").fields(""),
        }  # fmt: skip


def routes(view: View, lines: Iterable[RouteLine], rules: Iterable[RuleLine]) -> Iterator[Row]:
    """Rules in the order in which the kernel asks them, then routes by table; then what is missing."""
    wanted = {(r.table, str(r.to), r.metric): r for r in view.want.values() if isinstance(r, Route)}
    choices = {(r.priority, r.table): r for r in view.want.values() if isinstance(r, RoutingRule)}
    extra = {(r.table, str(r.to), r.metric) for r in view.foreign("route") if isinstance(r, Route)}
    for rule in rules:
        choice = choices.pop((rule.priority, rule.table), None) if rule.ours else None
        standing = view.of(choice) if choice else Standing("foreign") if rule.ours else Standing("in effect")
        yield _rule(rule, standing, choice.origin if choice else "")
    for missing in choices.values():
        match = f"from {missing.source}" if missing.source else f"mark {missing.mark}"
        asked = RuleLine(priority=missing.priority, match=match, table=missing.table, ours=True)
        yield _rule(asked, Standing("differs", "missing"), missing.origin)
    for line in lines:
        key = (line.table, line.to, line.metric)
        route = wanted.pop(key, None) if line.table != _MAIN or line.protocol == 118 else None
        standing = view.of(route) if route else Standing("foreign") if key in extra else Standing("in effect")
        yield _route(line, standing, route.origin if route else "")
    for route in wanted.values():
        line = RouteLine(table=route.table, to=str(route.to), kind=route.kind, via=str(route.via or ""),
                         device=route.device, protocol=118)  # fmt: skip
        yield _route(line, Standing("differs", "missing"), route.origin)


def _rule(rule: RuleLine, standing: Standing, origin: str) -> Row:
    return {
        "kind": "rule", "table": _table(rule.table) if rule.action == "lookup" else rule.action, "to": rule.match,
        "via": "", "device": "", "metric": rule.priority,
        "maker": "vrouter" if rule.ours else "kernel" if rule.priority in (0, 32766, 32767) else "another",
        **standing.fields(origin),
    }  # fmt: skip


def _route(line: RouteLine, standing: Standing, origin: str) -> Row:
    maker = "vrouter" if origin else _MAKERS.get(line.protocol, str(line.protocol))
    return {
        "kind": line.kind, "table": _table(line.table), "to": line.to, "via": line.via, "device": line.device,
        "metric": line.metric, "maker": maker, **standing.fields(origin),
    }  # fmt: skip


def _table(number: int) -> str:
    known = {255: "local", _MAIN: "main", 253: "default"}
    return known.get(number) or (f"Table_eth{number - 100}" if number in _OUR_TABLES else str(number))


def devices(view: View, interfaces: Iterable[Interface]) -> Iterator[Row]:
    """The devices for `status`: also one that an address waits for."""
    roles: dict[str, str] = {}
    for address in view.intents.of(Address):
        roles.setdefault(address.device, role_of(address))
    for one in interfaces:
        yield {
            "device": one.device, "role": roles.pop(one.device, ""), "state": one.state, "mac": one.mac,
            "mtu": one.mtu, "addresses": list(one.addresses),
        }  # fmt: skip
    for device, role in sorted(roles.items()):
        yield {"device": device, "role": role, "state": "absent", "mac": "", "mtu": 0, "addresses": []}
