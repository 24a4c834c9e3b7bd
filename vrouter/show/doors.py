"""Whom the ingress rules let in where, found without a walk over all rules for every forward. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from vrouter.model.intents import Accept
from vrouter.model.values import ANY_NETWORK

ANY = "any"


class Doors:
    """The ingress rules by public address; those of one port apart, which are most of them."""

    def __init__(self, rules: Iterable[Accept]) -> None:
        self._of_port: dict[tuple[IPv4Address, str, int], list[Accept]] = {}
        self._wide: dict[IPv4Address, list[Accept]] = {}
        self._all: dict[IPv4Address, list[Accept]] = {}
        for rule in rules:
            self._all.setdefault(rule.to, []).append(rule)
            if rule.protocol in ("tcp", "udp") and rule.span and rule.span[0] == rule.span[1]:
                self._of_port.setdefault((rule.to, rule.protocol, rule.span[0]), []).append(rule)
            else:
                self._wide.setdefault(rule.to, []).append(rule)

    def open_to(self, public_ip: IPv4Address, protocol: str, ports: tuple[int, int]) -> list[str]:
        """Sources of the rules that let in to any of the ports."""
        near = self._near(public_ip, protocol, ports)
        return _sources(rule for rule in near if _meets(rule, protocol, ports))

    def is_shut(self, public_ip: IPv4Address, protocol: str, ports: tuple[int, int]) -> bool:
        """Whether no rule lets in to any of the ports."""
        return not any(_meets(rule, protocol, ports) for rule in self._near(public_ip, protocol, ports))

    def _near(self, public_ip: IPv4Address, protocol: str, ports: tuple[int, int]) -> list[Accept]:
        if ports[0] == ports[1]:
            return [*self._of_port.get((public_ip, protocol, ports[0]), ()), *self._wide.get(public_ip, ())]
        return self._all.get(public_ip, [])

    def open_at_all(self, public_ip: IPv4Address) -> list[str]:
        """Sources of every rule of an address."""
        return _sources(self._all.get(public_ip, ()))


def _meets(rule: Accept, protocol: str, ports: tuple[int, int]) -> bool:
    if rule.protocol != protocol:
        return rule.protocol == "all"
    return rule.span is None or (rule.span[0] <= ports[1] and ports[0] <= rule.span[1])


def _sources(rules: Iterable[Accept]) -> list[str]:
    found = {source for rule in rules for source in rule.sources}
    return networks_text(tuple(sorted(found))) if found else []


def networks_text(networks: tuple[IPv4Network, ...]) -> list[str]:
    """One text a network, a single address without its length; `any` where they are everybody."""
    if not networks or ANY_NETWORK in networks:
        return [ANY]
    return [str(net.network_address) if net.prefixlen == 32 else str(net) for net in networks]
