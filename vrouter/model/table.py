"""The packet policy as a value: chains of rules, sets, maps and their elements.

`host/nft.py` renders it for nftables; another back end, or an evaluator of packets, reads the same value.
Atoms of a key are texts in one canonical form: an address, a range `lo-hi`, a port, a protocol, a device, a number.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from vrouter.model.resources import Key, Resource

TABLE = "vrouter"

Field = Literal[
    "iifname", "oifname", "ip saddr", "ip daddr", "meta l4proto", "th dport", "tcp dport", "udp dport", "icmp type",
    "icmp code", "ct state", "ct status", "ct mark", "fib saddr . mark . iif oif",
]  # fmt: skip
AtomType = Literal["ifname", "ipv4_addr", "inet_proto", "inet_service", "icmp_type", "icmp_code", "mark"]


@dataclass(frozen=True, slots=True)
class Match:
    """fields equal one of `values`, or their concatenation is in the set `within`; `negated` turns it round."""

    fields: tuple[Field, ...]
    values: tuple[str, ...] = ()
    within: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule does with a packet that it matches.

    do: `accept`, `drop`, `return` end the walk here; `goto` leaves for `chain`; `dnat`, `snat` translate to the map's
    value; `set ct mark`, `set mark` take it from the map, or from `value`; `helper` assigns the one `value` names.
    by: the fields looked up in `map`. ports: the map's value holds a port beside the address.
    """

    do: Literal["accept", "drop", "return", "goto", "dnat", "snat", "set ct mark", "set mark", "helper"]
    chain: str = ""
    by: tuple[Field, ...] = ()
    map: str = ""
    ports: bool = False
    value: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """says: the contract's identifier and what it is for; it is the rule's comment in the kernel."""

    says: str
    matches: tuple[Match, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a base chain is called. priority: lower runs first (nft(8), table of priorities)."""

    kind: Literal["filter", "nat"]
    hook: Literal["prerouting", "input", "forward", "output", "postrouting"]
    priority: int
    policy: Literal["accept", "drop"] = "accept"


def hook_text(hook: Hook | None) -> str:
    """One line that tells two hooks apart; empty for a chain that only rules reach."""
    return f"{hook.kind} {hook.hook} {hook.priority} {hook.policy}" if hook else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain(Resource):
    """A chain. tags: the hook's text and then one a rule; they identify it, because a kernel prints rules back in other
    words than it was told.

    rules is empty where the chain was read from a kernel.
    """

    name: str
    tags: tuple[str, ...]
    hook: Hook | None = None
    rules: tuple[Rule, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and (self.name, self.tags) == (other.name, other.tags)

    def __hash__(self) -> int:
        return hash((self.name, self.tags))

    @property
    def key(self) -> Key:
        return ("chain", self.name)

    def describe(self) -> str:
        return f"{len(self.tags) - 1} rules"


def chain(name: str, hook: Hook | None, *rules: Rule) -> Chain:
    """A chain with its tags: one per rule, a digest of hook, place and rule in the comment the kernel keeps."""
    tags = [hook_text(hook)]
    for place, rule in enumerate(rules):
        digest = hashlib.sha256(repr((hook, place, rule)).encode()).hexdigest()[:8]
        tags.append(f"{rule.says} [{digest}]")
    return Chain(name=name, tags=tuple(tags), hook=hook, rules=rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedSet(Resource):
    """A named set, or a map where it has a value type. interval: keys may be ranges."""

    name: str
    types: tuple[AtomType, ...]
    value: tuple[AtomType | Literal["verdict"], ...] = ()
    interval: bool = False

    @property
    def key(self) -> Key:
        return ("map" if self.value else "set", self.name)

    def describe(self) -> str:
        return " . ".join(self.types) + (" : " + " . ".join(self.value) if self.value else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Helper(Resource):
    """A connection tracking helper that rules assign (SN-8)."""

    name: str
    protocol: Literal["tcp", "udp"]

    @property
    def key(self) -> Key:
        return ("helper", self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Element(Resource):
    """An element of a set, or of a map where it has a value."""

    set: str
    atoms: tuple[str, ...]
    value: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return ("element", self.set, *self.atoms)

    def describe(self) -> str:
        return " . ".join(self.value)
