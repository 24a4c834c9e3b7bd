"""Guests for DHCP, and the leases that dnsmasq gave, as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from vrouter.model.intents import DhcpHost
from vrouter.model.observed import Lease
from vrouter.model.resources import HostRecord
from vrouter.show.layout import Column, Row, ago
from vrouter.show.table import ORIGIN, STANDING, STATE, Field, Table
from vrouter.view import Standing, View

_NO_GATEWAY = IPv4Address(0)
_NEVER = "never"

DHCP = Table(
    name="dhcp",
    says="The guests that DHCP serves, each with whether it has fetched its lease.",
    of="hosts",
    asks="--find web1",
    fields=(
        Field("address", "text", "what the guest gets"),
        Field("mac", "text", "of its NIC"),
        Field("name", "text", "its host name"),
        Field("gateway", "text", "that it is offered: an address, `of the network`, or `none`"),
        Field("leased", "flag", "whether dnsmasq has given it that address"),
        Field("expires_s", "number", "seconds until the lease ends; null for never, or where there is none", True),
        *STANDING,
    ),
    columns=(
        Column("ADDRESS", lambda row: row["address"]),
        Column("MAC", lambda row: row["mac"]),
        Column("NAME", lambda row: row["name"], cuts=10),
        Column("GATEWAY", lambda row: "" if row["gateway"] == "of the network" else row["gateway"]),
        Column("LEASE", lambda row: _lease(row), style=lambda row: "" if row["leased"] else "yellow"),
        STATE,
        ORIGIN,
    ),
)

LEASES = Table(
    name="leases",
    says="The leases in dnsmasq's file.",
    of="leases",
    fields=(
        Field("address", "text", "what was given"),
        Field("mac", "text", "to whom"),
        Field("name", "text", "that it goes by; may be empty"),
        Field("expires_s", "number", "seconds until it ends, negative when it is over; null for never", True),
        *STANDING,
    ),
    columns=(
        Column("ADDRESS", lambda row: row["address"]),
        Column("MAC", lambda row: row["mac"]),
        Column("NAME", lambda row: row["name"], cuts=10),
        Column("ENDS", lambda row: _ends(row["expires_s"])),
        STATE,
        ORIGIN,
    ),
)


def _lease(row: Row) -> str:
    if not row["leased"]:
        return "not fetched"
    return "has it" if row["expires_s"] is None else _ends(row["expires_s"])


def _ends(expires_s: float | None) -> str:
    if expires_s is None:
        return _NEVER
    return f"in {ago(expires_s)}" if expires_s >= 0 else f"{ago(-expires_s)} ago"


def _left(lease: Lease | None, now: float) -> float | None:
    return round(lease.expires - now) if lease and lease.expires else None


def dhcp(view: View, leases: Iterable[Lease], now: float) -> Iterator[Row]:
    """By address. now: seconds since the epoch."""
    held = {lease.address: lease for lease in leases}
    for host in sorted(view.intents.of(DhcpHost), key=lambda one: one.address):
        lease = held.get(host.address)
        mine = lease if lease and lease.mac == host.mac else None
        yield {
            "address": str(host.address), "mac": str(host.mac), "name": str(host.name), "gateway": _gateway(host),
            "leased": mine is not None, "expires_s": _left(mine, now),
            **view.standing(host.origin).fields(host.origin),
        }  # fmt: skip
    for other in view.foreign("host"):
        assert isinstance(other, HostRecord)
        yield {
            "address": str(other.address), "mac": other.mac, "name": "", "gateway": "of the network", "leased": False,
            "expires_s": None, **Standing("foreign", "a file of dnsmasq's").fields(""),
        }  # fmt: skip


def _gateway(host: DhcpHost) -> str:
    if not host.default or host.gateway == _NO_GATEWAY:
        return "none"
    return str(host.gateway or "of the network")


def leases(view: View, held: Iterable[Lease], now: float) -> Iterator[Row]:
    """By address; a lease differs where the databag gives its address or its MAC something else."""
    by_address = {host.address: host for host in view.intents.of(DhcpHost)}
    by_mac = {str(host.mac): host for host in view.intents.of(DhcpHost)}
    for lease in held:
        host = by_address.get(lease.address)
        if host and host.mac == lease.mac:
            standing, origin = view.standing(host.origin), host.origin
        elif other := by_mac.get(lease.mac):
            standing, origin = Standing("differs", f"its MAC has {other.address} now"), other.origin
        elif host:
            standing, origin = Standing("differs", f"the address is for {host.mac} now"), host.origin
        else:
            standing, origin = Standing("foreign", "no databag asks for it"), ""
        yield {
            "address": str(lease.address), "mac": lease.mac, "name": lease.name, "expires_s": _left(lease, now),
            **standing.fields(origin),
        }  # fmt: skip
