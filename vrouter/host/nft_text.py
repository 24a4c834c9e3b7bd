"""The table's value as nftables text. Pure: resources in, one transaction out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vrouter.model.resources import Resource
from vrouter.model.table import TABLE, Chain, Element, Helper, Match, NamedSet, Rule, Verdict
from vrouter.plan import Holding, Plan

_IN = f"ip {TABLE}"
_PROTOCOLS = frozenset(("tcp", "udp", "icmp"))
_FIXED = (Chain, NamedSet, Helper)


def transaction(plan: Plan, want: Holding) -> str:
    """What makes the table's part of a plan real; empty when it has none.

    Elements and new chains are added to the table that is there. A chain or set that changes or goes replaces the whole
    table, within the same transaction, by `want`.
    """
    changes = [change for change in plan.changes if isinstance(change.before or change.after, (*_FIXED, Element))]
    if not changes:
        return ""
    if any(isinstance(change.before, _FIXED) for change in changes):
        lines = [f"add table {_IN}", f"delete table {_IN}", *_definition(want.values())]
    else:
        lines = []
        gone = [change.before for change in changes if isinstance(change.before, Element)]
        lines += _elements("delete", gone)
        lines += _definition(change.after for change in changes if change.after)
    return "\n".join(lines) + "\n"


def _definition(resources: Iterable[Resource]) -> Iterator[str]:
    held = sorted(resources, key=lambda resource: resource.key)
    chains = [item for item in held if isinstance(item, Chain)]
    sets = [item for item in held if isinstance(item, NamedSet)]
    helpers = [item for item in held if isinstance(item, Helper)]
    if chains or sets or helpers:
        yield f"add table {_IN}"
    for helper in helpers:
        yield f'add ct helper {_IN} {helper.name} {{ type "{helper.name}" protocol {helper.protocol}; }}'
    for named in sets:
        value = f" : {' . '.join(named.value)}" if named.value else ""
        flags = " flags interval;" if named.interval else ""
        kind = "map" if named.value else "set"
        yield f"add {kind} {_IN} {named.name} {{ type {' . '.join(named.types)}{value};{flags} }}"
    for chain in chains:
        hook = chain.hook
        base = f"type {hook.kind} hook {hook.hook} priority {hook.priority}; policy {hook.policy};" if hook else ""
        yield f"add chain {_IN} {chain.name} {{ {base} }}"
    for chain in chains:
        yield f"flush chain {_IN} {chain.name}"
        for rule, tag in zip(chain.rules, chain.tags[1:], strict=True):
            yield f'add rule {_IN} {chain.name} {rule_text(rule)} comment "{tag}"'
    yield from _elements("add", (item for item in held if isinstance(item, Element)))


def _elements(verb: str, elements: Iterable[Element]) -> Iterator[str]:
    sets: dict[str, list[Element]] = {}
    for element in elements:
        sets.setdefault(element.set, []).append(element)
    for name, members in sorted(sets.items()):
        yield f"{verb} element {_IN} {name} {{ {', '.join(_element(member) for member in members)} }}"


def _element(element: Element) -> str:
    key = " . ".join(map(_atom, element.atoms))
    return f"{key} : {' . '.join(map(_atom, element.value))}" if element.value else key


def _atom(atom: str) -> str:
    return f'"{atom}"' if atom[0].isalpha() and atom not in _PROTOCOLS else atom


def rule_text(rule: Rule) -> str:
    """One rule, without its comment."""
    return " ".join([*map(_match, rule.matches), _verdict(rule.verdict)])


def _match(match: Match) -> str:
    fields = " . ".join(match.fields)
    unlike = " !=" if match.negated else ""
    if match.within:
        return f"{fields}{unlike} @{match.within}"
    if len(match.values) == 1:
        return f"{fields}{unlike} {_literal(match, match.values[0])}"
    return f"{fields}{unlike} {{ {', '.join(_literal(match, value) for value in match.values)} }}"


def _literal(match: Match, value: str) -> str:
    return f'"{value}"' if match.fields[0] in ("iifname", "oifname") else value


def _verdict(verdict: Verdict) -> str:
    by = " . ".join(verdict.by)
    match verdict.do:
        case "goto":
            return f"goto {verdict.chain}"
        case "dnat" | "snat":
            return f"{verdict.do} {'ip ' if verdict.ports else ''}to {by} map @{verdict.map}"
        case "set ct mark":
            return f"ct mark set {by} map @{verdict.map}"
        case "set mark":
            return f"meta mark set {verdict.value or f'{by} map @{verdict.map}'}"
        case "helper":
            return f'ct helper set "{verdict.value}"'
        case _:
            return verdict.do


def script(want: Holding) -> str:
    """The whole table, for golden files and for people."""
    return "\n".join(_definition(want.values())) + "\n"
