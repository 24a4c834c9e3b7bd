"""The rules of the packet policy on one packet. Pure; it knows fields, matches and verdicts, not what they are for.

A base chain ends by the first final verdict; `return`, and the end of a chain that `goto` reached, end it by its
policy, because nothing is called that could be returned to (nft(8)). A rule that asks for what the packet has not, as a
port of ICMP, or for a key that its map does not hold, ends there and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from vrouter.explain.fib import Fib
from vrouter.explain.flow import Flow
from vrouter.explain.lookup import Sets, holds
from vrouter.model.resources import Key, Resource
from vrouter.model.table import Chain, Element, Field, Match, Rule, Verdict

Hooked = Literal["prerouting", "input", "forward", "output", "postrouting"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that matched, or a chain's policy where rule is None. elements: what it found in sets and maps."""

    chain: str
    rule: Rule | None
    does: str
    elements: tuple[Element, ...] = ()


class Policy:
    """The chains and sets of one router."""

    def __init__(self, resources: Mapping[Key, Resource], fib: Fib) -> None:
        found = [resource for key, resource in resources.items() if key[0] == "chain"]
        self._chains = {chain.name: chain for chain in found if isinstance(chain, Chain)}
        self._sets = Sets(resources)
        self._fib = fib

    def hooked(self, hook: Hooked, kind: Literal["filter", "nat"]) -> list[Chain]:
        """Base chains in the order the kernel calls them."""
        chains = [chain for chain in self._chains.values() if chain.hook and chain.hook.hook == hook]
        return sorted(
            (chain for chain in chains if chain.hook and chain.hook.kind == kind),
            key=lambda chain: (chain.hook.priority if chain.hook else 0, chain.name),
        )

    def run(self, base: Chain, flow: Flow) -> tuple[bool, list[Hit]]:
        """Whether a base chain lets the packet go on, and the rules that matched; what they set on it is set."""
        assert base.hook is not None
        hits: list[Hit] = []
        here: Chain | None = base
        while here:
            after, here = here, None
            for rule in after.rules:
                elements = self._match(rule, flow)
                if elements is None:
                    continue
                hit = self._do(after.name, rule, elements, flow)
                if hit is None:
                    continue
                hits.append(hit)
                match rule.verdict.do:
                    case "accept" | "dnat" | "snat":
                        return True, hits
                    case "drop":
                        return False, hits
                    case "return":
                        break
                    case "goto":
                        here = self._chains[rule.verdict.chain]
                        break
        hits.append(Hit(base.name, None, base.hook.policy))
        return base.hook.policy == "accept", hits

    def missed(self, name: str, flow: Flow) -> Iterator[tuple[Rule, str, tuple[str, ...]]]:
        """Of a chain's rules those that would have let the packet go on but for one look-up: rule, set, its key."""
        for rule in self._chains[name].rules:
            if rule.verdict.do not in ("accept", "return"):
                continue
            failed = [match for match in rule.matches if self._found(match, flow) is None]
            if len(failed) == 1 and failed[0].within and not failed[0].negated:
                key = self._key(failed[0].fields, flow)
                if key is not None:
                    yield rule, failed[0].within, key

    def others(self, name: str, key: tuple[str, ...]) -> list[Element]:
        """The elements of a set that differ from a key in the last place only."""
        return self._sets.others(name, key)

    def told(self, name: str, tag: str, flow: Flow) -> tuple[Hit, tuple[str, ...]] | None:
        """What a rule rests on that a kernel says has matched, by its comment; and the sets in which nothing is wanted
        that would make it match. None for a rule that is not wanted."""
        chain = self._chains.get(name)
        rule = next((rule for rule, held in zip(chain.rules, chain.tags[1:], strict=True) if held == tag), None) \
            if chain else None  # fmt: skip
        if rule is None:
            return None
        elements, missing = list[Element](), list[str]()
        for match in rule.matches:
            if match.within and not match.negated:
                found = self._found(match, flow)
                elements += found or ()
                missing += [match.within] if found is None else []
        verdict = rule.verdict
        if verdict.value == "ct mark":
            return Hit(name, rule, "mark of the connection", tuple(elements)), tuple(missing)
        hit = self._do(name, rule, tuple(elements), flow)
        if hit is None:
            missing += [verdict.map] if verdict.map else []
            hit = Hit(name, rule, verdict.do, tuple(elements))
        return hit, tuple(missing)

    def _match(self, rule: Rule, flow: Flow) -> tuple[Element, ...] | None:
        elements: list[Element] = []
        for match in rule.matches:
            found = self._found(match, flow)
            if found is None:
                return None
            elements += found
        return tuple(elements)

    def _found(self, match: Match, flow: Flow) -> tuple[Element, ...] | None:
        """The elements that make it match; None where it does not."""
        if match.fields == ("ct status",):
            return () if self._status(match, flow) else None
        key = self._key(match.fields, flow)
        if key is None:
            return None
        if match.within:
            element = self._sets.find(match.within, key)
            if match.negated:
                return None if element else ()
            return (element,) if element else None
        return () if any(holds(value, key[0]) for value in match.values) != match.negated else None

    @staticmethod
    def _status(match: Match, flow: Flow) -> bool:
        """Bits of the connection; without one there is nothing to compare."""
        held = flow.connection
        if held is None:
            return False
        bits = {"dnat": held.translates_destination, "snat": held.translates_source}
        return any(bits[value] for value in match.values) != match.negated

    def _key(self, fields: tuple[Field, ...], flow: Flow) -> tuple[str, ...] | None:
        if fields == ("fib saddr . mark . iif oif",):
            reached = self._fib.reaches(flow.ends.source, flow.ends.destination, flow.mark, flow.iif)
            return (flow.iif if reached else "missing",)
        key = [value for field in fields if (value := flow.value(field)) is not None]
        return tuple(key) if len(key) == len(fields) else None

    def _do(self, chain: str, rule: Rule, elements: tuple[Element, ...], flow: Flow) -> Hit | None:
        """None where the rule ends at a map that does not hold its key, or at a connection that is not there."""
        verdict = rule.verdict
        value: tuple[str, ...] = (verdict.value,) if verdict.value else ()
        if verdict.map:
            key = self._key(verdict.by, flow)
            element = self._sets.find(verdict.map, key) if key else None
            if element is None:
                return None
            elements, value = (*elements, element), element.value
        does = _effect(verdict, value, flow)
        return Hit(chain, rule, does, elements) if does else None


def _effect(verdict: Verdict, value: tuple[str, ...], flow: Flow) -> str:
    """What a verdict does to the packet, after it was done; empty where it cannot be."""
    held = flow.connection
    match verdict.do:
        case "goto":
            return f"goes on in {verdict.chain}"
        case "dnat" | "snat":
            flow.translate(verdict.do, IPv4Address(value[0]), int(value[1]) if verdict.ports else 0)
            end = "destination" if verdict.do == "dnat" else "source"
            return f"{end} becomes {':'.join(value)}"
        case "set mark":
            if value == ("ct mark",):
                if held is None:
                    return ""
                flow.mark = held.mark
            else:
                flow.mark = int(value[0])
            return f"mark {flow.mark}"
        case "set ct mark":
            if held is None:
                return ""
            held.mark = int(value[0])
            return f"connection mark {held.mark}"
        case "helper":
            if held is None:
                return ""
            held.helper = value[0]
            return f"helper {held.helper}"
        case _:
            return verdict.do
