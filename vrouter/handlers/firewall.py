"""Ingress by public address and egress of the guest network, as elements of sets (contract dataplane 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from vrouter.contracts import Handler
from vrouter.model import boxes
from vrouter.model.boxes import Box, Interval
from vrouter.model.intents import Accept, Egress, Intent, Intents
from vrouter.model.machine import Machine
from vrouter.model.resources import Resource
from vrouter.model.table import Element
from vrouter.model.values import ANY_NETWORK

_SINGLE, _WIDE = "port", "range"


def _shape(rule: Accept | Egress) -> str:
    if rule.protocol in ("icmp", "all"):
        return rule.protocol
    return _SINGLE if rule.span and rule.span[0] == rule.span[1] else _WIDE


def ingress_scope(intent: Intent) -> Hashable:
    """Rules for one port are decided together, and all others of one address and protocol, since they may overlap."""
    if not isinstance(intent, Accept):
        return None
    shape = _shape(intent)
    return (intent.to, intent.protocol, shape, intent.span if shape == _SINGLE else None)


def ingress_resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """Rules only open, so of two that overlap the union counts (FI-1)."""
    rules = list(intents.of(Accept))
    if not rules:
        return
    shape, to, protocol = _shape(rules[0]), str(rules[0].to), rules[0].protocol
    anywhere = [rule for rule in rules if rule.sources == (ANY_NETWORK,)]
    if shape == _SINGLE and anywhere:
        port = boxes.numbers_text(anywhere[0].span or boxes.PORTS)
        yield Element(set="ingress_port", atoms=(to, protocol, port), origin=min(rule.origin for rule in anywhere))
        rules = [rule for rule in rules if rule not in anywhere]
    asked = sorted(
        ((_interval(rule), boxes.of_network(source)), rule.origin) for rule in rules for source in rule.sources
    )
    name = {_SINGLE: "ingress_from", _WIDE: "ingress_range", "icmp": "ingress_icmp", "all": "ingress_all"}[shape]
    for box, origin in boxes.union(asked):
        for span in _spans(shape, protocol, box[0]):
            yield Element(set=name, atoms=(to, *span, *_addresses(box)), origin=origin)


def egress_scope(intent: Intent) -> Hashable:
    """As for ingress; rules that block and rules that permit are apart."""
    if not isinstance(intent, Egress):
        return None
    shape = _shape(intent)
    return (intent.blocks, intent.protocol, shape, intent.span if shape == _SINGLE else None)


def egress_resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """Rules of one verdict: the union counts (FE-2, FE-3)."""
    rules = list(intents.of(Egress))
    if not rules:
        return
    shape, protocol = _shape(rules[0]), rules[0].protocol
    asked = sorted(
        ((_interval(rule), boxes.of_network(source), boxes.of_network(destination)), rule.origin)
        for rule in rules
        for source in rule.sources
        for destination in rule.destinations
    )
    name = f"egress_{'block' if rules[0].blocks else 'permit'}_{shape}"
    for box, origin in boxes.union(asked):
        for span in _spans(shape, protocol, box[0]):
            yield Element(set=name, atoms=(*span, *_addresses(box)), origin=origin)


def _interval(rule: Accept | Egress) -> Interval:
    if rule.span:
        return rule.span
    return boxes.PORTS if rule.protocol in ("tcp", "udp") else boxes.ANY_SPAN


def _addresses(box: Box) -> Iterable[str]:
    return (boxes.addresses_text(interval) for interval in box[1:])


def _spans(shape: str, protocol: str, span: Interval) -> Iterator[tuple[str, ...]]:
    if shape == "all":
        yield ()
    elif shape == "icmp":
        yield from _icmp(*span)
    else:
        yield (protocol, boxes.numbers_text(span))


def _icmp(low: int, high: int) -> Iterator[tuple[str, str]]:
    """A span of type * 256 + code as types and codes: a partial first type, whole types, a partial last one."""
    first, last = low // 256, high // 256
    if first == last:
        yield (str(first), boxes.numbers_text((low % 256, high % 256)))
        return
    if low % 256:
        yield (str(first), boxes.numbers_text((low % 256, 255)))
        first += 1
    whole_last = last if high % 256 == 255 else last - 1
    if first <= whole_last:
        yield (boxes.numbers_text((first, whole_last)), "0-255")
    if whole_last != last:
        yield (str(last), boxes.numbers_text((0, high % 256)))


INGRESS = Handler(name="ingress firewall", takes=(Accept,), scope=ingress_scope, resources=ingress_resources)
EGRESS = Handler(name="egress firewall", takes=(Egress,), scope=egress_scope, resources=egress_resources)
