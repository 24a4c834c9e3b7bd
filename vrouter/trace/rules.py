"""Rules by their handles, read from what `nft -a list ruleset` prints. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vrouter.model.table import TABLE

OURS = f"ip {TABLE}"
_HOOK = re.compile(r"type \w+ hook (\w+)")
_HANDLE = re.compile(r"(.*?)\s*# handle (\d+)$")
_COMMENT = re.compile(r'comment "([^"]*)"$')
_COUNTER = re.compile(r"counter packets \d+ bytes \d+ ?")


@dataclass(frozen=True, slots=True)
class NamedRule:
    """text: as nft prints it, without counters. tag: its comment."""

    text: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """By table, which has its family, and handle; hooks of base chains by table and name."""

    rules: dict[tuple[str, int], NamedRule] = field(default_factory=dict)
    hooks: dict[tuple[str, str], str] = field(default_factory=dict)


def rules(listing: str) -> Rules:
    """Of every table."""
    found = Rules()
    table = chain = ""
    for line in listing.splitlines():
        if line.startswith("table "):
            table = " ".join(line.split()[1:3])
        elif line.startswith("\tchain "):
            chain = line.split()[1]
        elif line.startswith("\t}"):
            chain = ""
        elif chain and (hook := _HOOK.match(line.strip())):
            found.hooks[table, chain] = hook[1]
        elif chain and (held := _HANDLE.match(line.strip())):
            text = _COUNTER.sub("", held[1])
            comment = _COMMENT.search(text)
            found.rules[table, int(held[2])] = NamedRule(text, comment[1] if comment else "")
    return found
