"""Every service. A new one is its module and its line here."""

from __future__ import annotations

from vrouter.contracts import Handler
from vrouter.handlers import dnsmasq, firewall, forwards, guests, interfaces, kernel, links, policy, routing, static_nat

HANDLERS: tuple[Handler, ...] = (
    policy.HANDLER,
    interfaces.CONTROL_DOOR,
    interfaces.GUEST,
    interfaces.PUBLIC,
    static_nat.HANDLER,
    forwards.HANDLER,
    firewall.INGRESS,
    firewall.EGRESS,
    kernel.HANDLER,
    links.LINKS,
    links.PRIMARIES,
    links.ADDRESSES,
    routing.TABLES,
    routing.SUBNETS,
    routing.MANAGEMENT,
    routing.MAIN_TABLE,
    dnsmasq.HANDLER,
    guests.HANDLER,
)
