"""The table's value as nftables text. Pure: resources in, one transaction out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vrouter.model.resources import Resource
from vrouter.model.table import TABLE, Chain, Element, Helper, Match, NamedSet, Rule, Verdict
from vrouter.plan import Change, Holding, Plan

_IN = f"ip {TABLE}"
_PROTOCOLS = frozenset(("tcp", "udp", "icmp"))
_FIXED = (Chain, NamedSet, Helper)


def transaction(plan: Plan, want: Holding) -> str:
    """What makes the table's part of a plan real; empty when it has none.

    It is added to the table that is there: a chain that changes is filled anew, because a base chain that is made anew
    drops by its policy from the moment it is hooked, and its rules come with the commit (CV-6). Only where that cannot
    be, since a hook, helper or type of a set differs, `want` replaces the whole table.
    """
    changes = [change for change in plan.changes if isinstance(change.before or change.after, (*_FIXED, Element))]
    if not changes:
        return ""
    if all(map(_fits, changes)):
        lines = [*_emptied([change.before for change in changes if change.before])]
        lines += [f"delete chain {_IN} {change.key[1]}" for change in changes if _leaves(change)]
        lines += _definition(change.after for change in changes if change.after)
    else:
        lines = [f"add table {_IN}", f"delete table {_IN}", *_definition(want.values())]
    return "\n".join(lines) + "\n"


def _fits(change: Change) -> bool:
    """Whether a change can be made in the table that is there."""
    match change.before, change.after:
        case (Chain() as before, Chain() as after):
            return before.hook == after.hook
        case (NamedSet(), after):
            return after is None
        case (Helper(), _):
            return False
    return True


def _leaves(change: Change) -> bool:
    return isinstance(change.before, Chain) and not change.after


def _emptied(before: Sequence[Resource]) -> Iterator[str]:
    """Takes away what goes or changes; a chain that changes stays, without its rules."""
    sets = {item.name: item for item in before if isinstance(item, NamedSet)}
    yield from (f"flush chain {_IN} {item.name}" for item in before if isinstance(item, Chain))
    yield from (f"delete {'map' if item.value else 'set'} {_IN} {item.name}" for item in sets.values())
    yield from _elements("delete", (item for item in before if isinstance(item, Element) and item.set not in sets))


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
