"""Links, addresses, routes and routing rules, through netlink."""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vrouter.errors import HostError
from vrouter.host.arp import Announcer
from vrouter.model.machine import Device
from vrouter.model.resources import IpAddress, Key, Link, Resource, Route, RoutingRule
from vrouter.model.values import Mac
from vrouter.plan import Holding, Plan

PROTOCOL = 118  # our mark on routes and rules; free in rtnetlink(7)'s list of origins
_STATIC = 4  # RTPROT_STATIC: what probes expect in the tables of devices (contract dataplane 15)
_MAIN, _UNICAST, _THROW = 254, 1, 9
_SCOPE_ANY = 255  # RT_SCOPE_NOWHERE: a deletion does not look at the scope
_IFF_UP, _SECONDARY = 1, 1
_OURS = re.compile(r"eth[0-9]+")
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ENETDOWN)
_POLL_S = 0.05


class Netlink:
    """One route socket."""

    def __init__(self) -> None:
        self._ip = IPRoute()
        self._announcer = Announcer()
        self._names: dict[int, str] = {}

    def close(self) -> None:
        """Give the sockets back."""
        self._ip.close()
        self._announcer.close()

    def port(self) -> int:
        """The netlink port that the kernel names as the sender of our changes; 0 before there were any."""
        with socket.socket(fileno=os.dup(self._ip.fileno())) as same:
            return int(same.getsockname()[0])

    def devices(self) -> tuple[Device, ...]:
        """The `eth*` devices with their MACs."""
        found = [link for link in self._links() if link.get_attr("IFLA_ADDRESS")]
        return tuple(sorted(
            Device(link.get_attr("IFLA_IFNAME"), Mac(link.get_attr("IFLA_ADDRESS")), link["index"]) for link in found
        ))  # fmt: skip

    def wait_for(self, names: Iterable[str], limit_s: float) -> None:
        """Give devices that were just plugged up to `limit_s` seconds to appear (IF-4)."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end and not set(names) <= {device.name for device in self.devices()}:
            time.sleep(_POLL_S)

    def observe(self, want: Holding) -> dict[Key, Resource]:
        """Addresses and routes that are ours, and the links that are asked for. Raises HostError."""
        links = self._links()
        self._names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links}
        tables = {100 + int(name[3:]) for name in self._names.values()}
        tables |= {resource.table for resource in want.values() if isinstance(resource, Route)} - {_MAIN}
        found: list[Resource] = []
        for link in links:
            name = link.get_attr("IFLA_IFNAME")
            if ("link", name) in want:
                found.append(Link(device=name, mtu=link.get_attr("IFLA_MTU"), up=bool(link["flags"] & _IFF_UP)))
        rules = list(self._rules())
        tables |= {rule.table for rule in rules}
        found += [*self._addresses(), *rules, *self._routes(tables)]
        return {resource.key: resource for resource in found}

    def _links(self) -> list[Any]:
        return [link for link in self._ip.get_links() if _OURS.fullmatch(link.get_attr("IFLA_IFNAME"))]

    def _addresses(self) -> Iterator[IpAddress]:
        for message in self._ip.get_addr(family=socket.AF_INET):
            name = self._names.get(message["index"])
            if name:
                yield IpAddress(
                    device=name,
                    address=IPv4Address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")),
                    prefix=message["prefixlen"],
                    primary=not message["flags"] & _SECONDARY,
                )

    def _routes(self, tables: set[int]) -> Iterator[Route]:
        for message in self._ip.get_routes(family=socket.AF_INET):
            table = message.get_attr("RTA_TABLE", message["table"])
            if table in tables or (table == _MAIN and message["proto"] == PROTOCOL):
                via = message.get_attr("RTA_GATEWAY")
                yield Route(
                    table=table,
                    to=IPv4Network(f"{message.get_attr('RTA_DST', '0.0.0.0')}/{message['dst_len']}"),
                    kind="throw" if message["type"] == _THROW else "unicast",
                    device=self._names.get(message.get_attr("RTA_OIF", 0), ""),
                    via=IPv4Address(via) if via else None,
                    metric=message.get_attr("RTA_PRIORITY", 0),
                )

    def _rules(self) -> Iterator[RoutingRule]:
        for message in self._ip.get_rules(family=socket.AF_INET):
            if message.get_attr("FRA_PROTOCOL") != PROTOCOL:
                continue
            source = message.get_attr("FRA_SRC")
            yield RoutingRule(
                priority=message.get_attr("FRA_PRIORITY", 0),
                table=message.get_attr("FRA_TABLE", message["table"]),
                mark=message.get_attr("FRA_FWMARK"),
                source=IPv4Network(f"{source}/{message['src_len']}") if source else None,
            )

    def apply(self, plan: Plan, want: Holding) -> None:
        """Rules and routes go first, then addresses, then links come up, then the rest in reverse. Raises HostError."""
        links = [resource for resource in plan.put if isinstance(resource, Link)]
        for change in plan.changes:
            match change.before, change.after:
                case (RoutingRule() as rule, _):
                    self._do("rule", rule, lambda rule=rule: self._ip.rule("del", **_rule(rule)), gone=True)
                case (Route() as route, None):
                    self._delete_route(route)
        for resource in plan.remove:
            if isinstance(resource, IpAddress):
                self._delete_address(resource)
        for link in links:
            self._do("link", link, lambda link=link: self._ip.link("set", index=self._index(link.device), mtu=link.mtu))
            self._do("link", link, lambda link=link: self._ip.link("set", index=self._index(link.device), state="up"))
        was_up = {c.before.device for c in plan.changes if isinstance(c.before, Link) and c.before.up}
        announced = self._put_addresses(plan, want, {link.device for link in links} - was_up)
        for resource in _in_order(plan, want):
            if isinstance(resource, Route):
                self._do("route", resource, lambda r=resource: self._ip.route("replace", **self._route(r)))
            if isinstance(resource, RoutingRule):
                self._do("rule", resource, lambda r=resource: self._ip.rule("add", **_rule(r)))
        self._restore(plan, want)
        self._announcer.announce(announced)

    def _restore(self, plan: Plan, want: Holding) -> None:
        """The kernel drops the routes of a device with its last address, also those that the plan leaves alone."""
        emptied = {resource.device for resource in plan.remove if isinstance(resource, IpAddress)}
        emptied &= {resource.device for resource in plan.put if isinstance(resource, IpAddress)}
        for resource in want.values() if emptied else ():
            if isinstance(resource, Route) and resource.device in emptied:
                self._do("route", resource, lambda r=resource: self._ip.route("replace", **self._route(r)))

    def _put_addresses(self, plan: Plan, want: Holding, came_up: set[str]) -> list[IpAddress]:
        """Add what is missing, primary ones first; where another address is primary, those before it step behind it."""
        put = [resource for resource in plan.put if isinstance(resource, IpAddress)]
        changed = {change.key for change in plan.changes if change.before and isinstance(change.after, IpAddress)}
        for address in sorted(put, key=lambda a: (not a.primary, a.address)):
            if address.key not in changed:
                self._add_address(address)
        self._promote([a for a in put if a.primary], want)
        announced = [a for a in put if a.key not in changed]
        for resource in want.values() if came_up else ():
            if isinstance(resource, IpAddress) and resource.device in came_up and resource not in put:
                announced.append(resource)
        return announced

    def _promote(self, primaries: list[IpAddress], want: Holding) -> None:
        for chosen in primaries:
            net = IPv4Network(f"{chosen.address}/{chosen.prefix}", strict=False)
            for _ in range(len(want)):
                held = [a for a in self._addresses_of(chosen.device) if a.address in net and a.prefix == chosen.prefix]
                first = next((a for a in held if a.primary), None)
                if first is None or first.address == chosen.address:
                    break
                self._delete_address(first)  # the next one is promoted; this one comes back behind it
                self._add_address(first)

    def _addresses_of(self, device: str) -> list[IpAddress]:
        return [address for address in self._addresses() if address.device == device]

    def _add_address(self, address: IpAddress) -> None:
        net = IPv4Network(f"{address.address}/{address.prefix}", strict=False)
        more = {"broadcast": str(net.broadcast_address)} if address.prefix < 31 else {}  # RFC 3021: a /31 has none
        self._do("address", address, lambda: self._ip.addr(
            "replace", index=self._index(address.device), address=str(address.address), prefixlen=address.prefix,
            **more), )  # fmt: skip

    def _delete_address(self, address: IpAddress) -> None:
        self._do("address", address, lambda: self._ip.addr(
            "del", index=self._index(address.device), address=str(address.address), prefixlen=address.prefix),
            gone=True)  # fmt: skip

    def _delete_route(self, route: Route) -> None:
        """From main what is ours; from a table of ours whatever stands there, of any origin, scope and type."""
        spec: dict[str, object] = {"table": route.table, "dst": str(route.to), "priority": route.metric}
        spec |= {"proto": PROTOCOL if route.table == _MAIN else 0, "scope": _SCOPE_ANY, "type": 0}
        self._do("route", route, lambda: self._ip.route("del", **spec), gone=True)

    def _route(self, route: Route) -> dict[str, object]:
        spec: dict[str, object] = {"table": route.table, "dst": str(route.to)}
        spec["proto"] = PROTOCOL if route.table == _MAIN else _STATIC
        if route.kind == "throw":
            return spec | {"type": "throw"}
        if route.device:
            spec["oif"] = self._index(route.device)
        return spec | ({"gateway": str(route.via)} if route.via else {})

    def _index(self, device: str) -> int:
        for index, name in self._names.items():
            if name == device:
                return index
        raise HostError(f"{device} is not there any more")

    def _do(self, kind: str, resource: Resource, action: Any, gone: bool = False) -> None:
        try:
            action()
        except NetlinkError as error:
            if error.code in _GONE and gone:
                return
            if error.code == errno.EEXIST and kind == "rule":
                return
            what = " ".join(resource.key[1:])
            raise HostError(f"cannot change {kind} {what} ({resource.describe()}): {error.args[1]}") from error


def _rule(rule: RoutingRule) -> dict[str, object]:
    spec: dict[str, object] = {"priority": rule.priority, "table": rule.table, "protocol": PROTOCOL}
    if rule.mark is not None:
        spec["fwmark"] = rule.mark
    if rule.source is not None:
        spec |= {"src": str(rule.source.network_address), "src_len": rule.source.prefixlen}
    return spec


def _in_order(plan: Plan, want: Holding) -> list[Resource]:
    """Routes and rules to put. A default route is last, when its gateway's network is there."""
    put = [resource for resource in plan.put if isinstance(resource, (Route, RoutingRule))]
    return sorted(put, key=lambda r: (isinstance(r, RoutingRule), isinstance(r, Route) and r.kind != "throw", r.key))
