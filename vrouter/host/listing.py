"""All that the kernel has of links, routes and routing rules, ours or not, for those who show it."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vrouter.errors import HostError
from vrouter.host.netlink import PROTOCOL
from vrouter.model.observed import Interface, RouteLine, RuleLine, Traffic

_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 1, 8, 1 << 16
_LOCAL = 255  # RT_TABLE_LOCAL
_KINDS = {1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw", 10: "nat"}  # rtnetlink(7)
_ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}  # FR_ACT_*
_SHAPING = ("netem", "tbf", "ingress", "clsact")


@dataclass(frozen=True)
class Listing:
    """Sorted, of one moment."""

    interfaces: tuple[Interface, ...]
    routes: tuple[RouteLine, ...]
    rules: tuple[RuleLine, ...]


def listing() -> Listing:
    """Read it all. Raises HostError."""
    try:
        with IPRoute() as ip:
            links = list(ip.get_links())
            names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links}
            addresses = [(names.get(a["index"], ""), _address(a)) for a in ip.get_addr(family=socket.AF_INET)]
            shaping = [(names.get(q["index"], ""), q.get_attr("TCA_KIND")) for q in ip.get_qdiscs()]
            routes = [_route(message, names) for message in ip.get_routes(family=socket.AF_INET)]
            rules = [_rule(message) for message in ip.get_rules(family=socket.AF_INET)]
    except (NetlinkError, OSError) as error:
        raise HostError(f"cannot list links and routes: {error}") from error
    found = [_interface(link, addresses, shaping) for link in links if not link["flags"] & _IFF_LOOPBACK]
    return Listing(
        interfaces=tuple(sorted(found, key=lambda one: _natural(one.device))),
        routes=tuple(sorted((r for r in routes if r.table != _LOCAL), key=lambda r: (r.table, r.to, r.metric))),
        rules=tuple(sorted(rules, key=lambda rule: (rule.priority, rule.match))),
    )


def _natural(name: str) -> tuple[str, int]:
    letters = name.rstrip("0123456789")
    return letters, int(name[len(letters) :] or 0)


def _address(message: Any) -> str:
    return f"{message.get_attr('IFA_LOCAL') or message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"


def _interface(link: Any, addresses: Iterable[tuple[str, str]], shaping: Iterable[tuple[str, str]]) -> Interface:
    name = link.get_attr("IFLA_IFNAME")
    stats = link.get_attr("IFLA_STATS64") or {}
    xdp = link.get_attr("IFLA_XDP")
    return Interface(
        device=name,
        mac=link.get_attr("IFLA_ADDRESS") or "",
        mtu=link.get_attr("IFLA_MTU") or 0,
        up=bool(link["flags"] & _IFF_UP),
        carrier=bool(link["flags"] & _IFF_LOWER_UP),
        addresses=tuple(address for device, address in addresses if device == name),
        received=_traffic(stats, "rx"),
        sent=_traffic(stats, "tx"),
        shaping=tuple(sorted({kind for device, kind in shaping if device == name and kind in _SHAPING})),
        xdp=bool(xdp and xdp.get_attr("IFLA_XDP_ATTACHED")),
    )


def _traffic(stats: Any, way: str) -> Traffic:
    return Traffic(
        packets=stats.get(f"{way}_packets", 0),
        bytes=stats.get(f"{way}_bytes", 0),
        drops=stats.get(f"{way}_dropped", 0),
        errors=stats.get(f"{way}_errors", 0),
    )


def _route(message: Any, names: dict[int, str]) -> RouteLine:
    to = message.get_attr("RTA_DST")
    return RouteLine(
        table=message.get_attr("RTA_TABLE", message["table"]),
        to=f"{to}/{message['dst_len']}" if to else "0.0.0.0/0",
        kind=_KINDS.get(message["type"], str(message["type"])),
        via=message.get_attr("RTA_GATEWAY") or "",
        device=names.get(message.get_attr("RTA_OIF", 0), ""),
        metric=message.get_attr("RTA_PRIORITY", 0),
        protocol=message["proto"],
    )


def _rule(message: Any) -> RuleLine:
    words = []
    for name, attribute, length in (("from", "FRA_SRC", "src_len"), ("to", "FRA_DST", "dst_len")):
        if message.get_attr(attribute):
            words.append(f"{name} {message.get_attr(attribute)}/{message[length]}")
    for name, attribute in (("iif", "FRA_IIFNAME"), ("oif", "FRA_OIFNAME"), ("mark", "FRA_FWMARK")):
        if message.get_attr(attribute):
            words.append(f"{name} {message.get_attr(attribute)}")
    return RuleLine(
        priority=message.get_attr("FRA_PRIORITY", 0),
        match=" ".join(words) or "all",
        action=_ACTIONS.get(message["action"], str(message["action"])),
        table=message.get_attr("FRA_TABLE", message["table"]),
        ours=message.get_attr("FRA_PROTOCOL") == PROTOCOL,
    )
