"""What is not ours and may stop or turn packets: told from what nft(8) and others print. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from vrouter.model.observed import ForeignChain, Interface, RouteLine, RuleLine
from vrouter.model.table import TABLE
from vrouter.show.layout import Row

_HOOK = re.compile(r"hook (\w+).*? priority ([^;]+);(?: policy (\w+);)?")
_OURS = f"ip {TABLE}"
_FAMILIES = ("ip", "inet", "netdev", "arp", "bridge")  # of IPv6 there is nothing to stop yet
_STOPS = re.compile(r"\b(drop|reject|queue|synproxy)\b")
_TURNS = re.compile(r"\b(dnat|snat|redirect|masquerade|tproxy)\b")
_COUNTER = re.compile(r"counter packets \d+ bytes \d+ ")
_QUOTED = re.compile(r'"[^"]*"')
_PATHS = {
    "ingress": "all that comes in on its device", "prerouting": "all that comes in",
    "input": "what is for the router itself", "forward": "what is forwarded", "output": "what the router sends",
    "postrouting": "all that goes out", "egress": "all that goes out on its device",
}  # fmt: skip
_NEVER = ("blackhole", "unreachable", "prohibit")
_KERNEL, _VROUTER = 2, 118  # RTPROT_*
_MAIN = 254


def chains(ruleset: str) -> Iterator[ForeignChain]:
    """Every chain of other tables than ours, but of those that sleep."""
    for table, body in _tables(ruleset):
        if (
            table == _OURS
            or table.split()[0] not in _FAMILIES
            or any(line.startswith("\tflags dormant") for line in body)
        ):
            continue
        name, lines = "", list[str]()
        for line in body:
            if line.startswith("\tchain "):
                name, lines = line.split()[1], []
            elif line == "\t}" and name:
                yield _chain(table, name, lines)
                name = ""
            elif name:
                lines.append(line.strip())


def _tables(ruleset: str) -> Iterator[tuple[str, list[str]]]:
    table, body = "", list[str]()
    for line in ruleset.splitlines():
        if line.startswith("table "):
            table, body = " ".join(line.split()[1:3]), []
        elif line == "}":
            yield table, body
        else:
            body.append(line)


def _chain(table: str, name: str, lines: Sequence[str]) -> ForeignChain:
    base = next((found for line in lines if line.startswith("type ") and (found := _HOOK.search(line))), None)
    rules = tuple(line for line in lines if line and not line.startswith("type "))
    if not base:
        return ForeignChain(table=table, name=name, rules=rules)
    return ForeignChain(
        table=table, name=name, hook=base[1], priority=base[2].strip(), policy=base[3] or "accept", rules=rules
    )


def tables(found: Iterable[ForeignChain]) -> Iterator[Row]:
    """One row a base chain that drops or turns packets, by its policy, its rules, or those of chains it may reach."""
    by_table: dict[str, list[ForeignChain]] = {}
    for chain in found:
        by_table.setdefault(chain.table, []).append(chain)
    for table, members in by_table.items():
        for chain in members:
            if not chain.hook:
                continue
            rules = [*chain.rules, *(rule for other in members if not other.hook for rule in other.rules)]
            stops, turns = _matching(rules, _STOPS), _matching(rules, _TURNS)
            sees = _PATHS.get(chain.hook, chain.hook)
            does = [f"drops {sees} unless a rule of it accepts"] if chain.policy == "drop" else []
            does += [f"has {_count(stops)} that can stop {sees}: {stops[0]}"] if stops else []
            does += [f"has {_count(turns)} that can translate {sees}: {turns[0]}"] if turns else []
            if does:
                yield _row(
                    f"nft table {table}, chain {chain.name}",
                    f"(hook {chain.hook}, priority {chain.priority}) " + "; ".join(does),
                    bool(stops or chain.policy == "drop"),
                    f"nft list table {table}",
                )


def _matching(rules: Iterable[str], words: re.Pattern[str]) -> list[str]:
    return [_COUNTER.sub("", rule) for rule in rules if words.search(_QUOTED.sub("", rule))]


def _count(rules: Sequence[str]) -> str:
    return f"{len(rules)} rule{'s' if len(rules) > 1 else ''}"


def _row(name: str, says: str, stops: bool, look: str) -> Row:
    return {"name": name, "says": says, "stops": stops, "look": look}


def legacy(saved: str) -> Iterator[Row]:
    """The older iptables: its tables that drop, or that cannot be read here."""
    table, does = "", list[str]()
    for line in [*saved.splitlines(), "*"]:
        if line.startswith("*"):
            if does:
                yield _row(f"iptables (legacy) table {table}", "; ".join(does), True, "iptables-legacy-save")
            table, does = line[1:], []
        elif line.startswith(":") and " DROP" in line:
            does.append(f"chain {line[1:].split()[0]} drops by its policy")
        elif re.search(r"-j (DROP|REJECT|NFQUEUE)\b", line):
            does.append(line)
    if saved and not re.search(r"^[:-]", saved, re.MULTILINE):
        names = ", ".join(line[1:] for line in saved.splitlines())
        yield _row(f"iptables (legacy) tables {names}", "are loaded; iptables-legacy-save is not here to read them",
                   False, "cat /proc/net/ip_tables_names")  # fmt: skip


def network(interfaces: Iterable[Interface], routes: Iterable[RouteLine], rules: Iterable[RuleLine]) -> Iterator[Row]:
    """Queues and programs of devices, and routes and rules of other hands."""
    for one in interfaces:
        if one.shaping:
            yield _row(f"queue of {one.device}", f"{', '.join(one.shaping)} may drop or delay on purpose", False,
                       f"tc -s qdisc show dev {one.device}")  # fmt: skip
        if one.xdp:
            yield _row(f"XDP program of {one.device}", "sees packets before the kernel and may drop them", False,
                       f"ip link show {one.device}")  # fmt: skip
    for route in routes:
        way = f"{route.kind if route.kind in _NEVER else ''} {route.to}".strip()
        if route.kind in _NEVER:
            yield _row(f"route {way}", "lets no packet through", True, "ip route show table all")
        elif route.table == _MAIN and route.protocol not in (_KERNEL, _VROUTER):
            through = f" via {route.via}" if route.via else ""
            yield _row(f"route {way}", f"goes{through} by {route.device} and is not ours", False, "ip route")
    for rule in rules:
        if rule.ours or rule.priority in (0, 32766, 32767):
            continue
        says = "lets no packet through" if rule.action in _NEVER else "chooses a routing table and is not ours"
        yield _row(f"routing rule {rule.priority} {rule.match}", says, rule.action in _NEVER, "ip rule")
