"""The status of a router as one screen of text. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from vrouter.show.layout import Column, Row, Screen, Style, ago, columns_text, folded, size

_INDENT = "  "
_MOST = 5  # lines of a section that may be long
_STATES: dict[str, Style] = {"up": "green", "running": "green", "done": "", "not running": "", "": ""}


def _style(state: str) -> Style:
    return _STATES.get(state, "red")


_INTERFACES = (
    Column("DEVICE", lambda row: row["device"]),
    Column("ROLE", lambda row: row["role"] or "-"),
    Column("STATE", lambda row: row["state"], style=lambda row: _style(row["state"])),
    Column("MAC", lambda row: row["mac"]),
    Column("ADDRESSES", lambda row: _addresses(row["addresses"]), wraps=True),
)
_NETWORKS = (
    Column("NETWORK", lambda row: row["network"]),
    Column("ROLE", lambda row: row["role"]),
    Column("DEVICE", lambda row: row["device"]),
    Column("GATEWAY", lambda row: row["gateway"]),
    Column("GUESTS", lambda row: str(row["guests"]) if row["role"] == "guest" else "", right=True),
    Column("DOMAIN", lambda row: row["domain"], cuts=12, rank=1),
)


def status_text(found: Mapping[str, Any], screen: Screen, now: float | None = None) -> str:
    """All of it; what is wrong stands first. now: seconds since the epoch."""
    now = time.time() if now is None else now
    lines = [_head(found, screen)]
    lines += _wrong(found, screen)
    lines += _section("Interfaces", columns_text(_INTERFACES, found["interfaces"], screen.within(2)), screen)
    if found["networks"]:
        lines += _section("Networks", columns_text(_NETWORKS, found["networks"], screen.within(2)), screen)
    lines += _section("Processes", _processes(found, screen.within(2), now), screen)
    lines += _section("Last commands", _commands(found["commands"], screen.within(2), now), screen)
    lines += _section("Drift", list(_drift(found["drift"], screen.within(2))), screen)
    waits = [f"{item['origin']} waits for {item['needs']}" for item in found["pending"]]
    lines += _section("Pending", _some(waits, screen.within(2), "vrouter show ... --wrong"), screen)
    queue = [
        f"{one['file']}: {'taken' if one['claimed'] else 'waits'}, {ago(one['age_s'])} old" for one in found["queue"]
    ]
    lines += _section("Queue", _some(queue, screen.within(2), "--json"), screen)
    if found["notes"]:
        lines += _section("To know", [x for n in found["notes"] for x in folded(n, screen.within(2), "  ")], screen)
    return "\n".join(lines)


def _addresses(addresses: Sequence[str]) -> str:
    more = len(addresses) - 4
    return ", ".join(addresses[:4]) + (f" and {more} more" if more > 0 else "")


def _head(found: Mapping[str, Any], screen: Screen) -> str:
    router = found["router"]
    verdict = screen.styled("all well", "green") if found["well"] else screen.styled("something is wrong", "red")
    if not found["told"]:
        return f"{screen.styled('a router that was told nothing yet', 'bold')}: {verdict}"
    name = f"{router['name']}.{router['domain']}" if router["name"] else "a router without boot arguments"
    holds = (
        f"{_count(router['guests'], 'guest')}, {_count(router['addresses'], 'address', 'es')}, "
        f"{_count(router['forwards'], 'forward')}, {_count(router['static_nats'], 'static NAT')}, "
        f"{_count(router['rules'], 'rule')}"
    )
    kind = f" ({router['kind']})" if router["kind"] else ""
    return f"{screen.styled(name, 'bold')}{kind}: {verdict}\n{_INDENT}{holds}"


def _count(number: int, noun: str, many: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else many}"


def _wrong(found: Mapping[str, Any], screen: Screen) -> Iterator[str]:
    if not found["problems"]:
        return
    yield ""
    yield screen.styled("Wrong", "red")
    for problem in found["problems"]:
        first, *rest = folded(f"{problem['what']:9} {problem['says']}", screen.within(2), " " * 10)
        yield _INDENT + screen.styled(problem["what"], "red") + first[len(problem["what"]) :]
        yield from (_INDENT + line for line in rest)
        yield _INDENT + screen.styled(" " * 10 + f"-> {problem['look']}", "dim")


def _section(title: str, lines: Sequence[str], screen: Screen) -> list[str]:
    """A title and its lines; one that has nothing to say takes a line in all."""
    if len(lines) == 1 and len(title) + len(lines[0]) < 60:
        return ["", f"{screen.styled(title, 'bold')}: {lines[0]}"]
    return ["", screen.styled(title, "bold"), *(_INDENT + line for line in lines)]


def _processes(found: Mapping[str, Any], screen: Screen, now: float) -> list[str]:
    rows = [*found["daemons"], {"name": "agent", **found["agent"]}]
    columns = (
        Column("NAME", lambda row: row["name"]),
        Column("STATE", lambda row: row["state"], style=lambda row: _style(row["state"])),
        Column("PID", lambda row: str(row["pid"] or ""), right=True),
        Column("FOR", lambda row: _since(row["since"], now)),
        Column("MEMORY", lambda row: size(row["memory_bytes"]) if row["memory_bytes"] else "", right=True),
    )
    return columns_text(columns, rows, screen)


def _since(time_text: str | None, now: float) -> str:
    if not time_text:
        return ""
    return ago(now - datetime.strptime(time_text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def _commands(commands: Sequence[Row], screen: Screen, now: float) -> list[str]:
    if not commands:
        return ["none is known"]
    columns = (
        Column("AGO", lambda row: _since(row["time"], now)),
        Column("RESULT", lambda row: row["result"], style=lambda row: "red" if row["result"] == "refused" else ""),
        Column("TYPE", lambda row: row["type"]),
        Column("TOOK", lambda row: "" if row["took_ms"] is None else f"{row['took_ms']:.0f} ms", right=True),
        Column("CHANGES", lambda row: "" if row["changes"] is None else str(row["changes"]), right=True),
        Column("FILE", lambda row: row["file"], cuts=20),
    )
    return columns_text(columns, commands[:_MOST], screen)


def _drift(drift: Mapping[str, Any], screen: Screen) -> Iterator[str]:
    if not drift["count"]:
        yield "none, the machine is as the databags say"
        return
    texts = []
    for change in drift["changes"]:
        what = {"add": "is missing", "remove": "is not ours", "change": f"is {change.get('before') or 'other'}"}
        wanted = f", not {change['after']}" if change["action"] == "change" and change.get("after") else ""
        origin = f"  ({change['origin']})" if "origin" in change else ""
        texts.append(f"{change['kind']} {change['name']} {what[change['action']]}{wanted}{origin}")
    yield from _some(texts, screen, "vrouter converge --dry-run", drift["count"])


def _some(texts: Sequence[str], screen: Screen, where: str, count: int | None = None) -> list[str]:
    if not texts:
        return ["nothing"]
    lines = [line for text in texts[:_MOST] for line in folded(text, screen, _INDENT)]
    more = (count or len(texts)) - _MOST
    return [*lines, f"and {more} more: {where}"] if more > 0 else lines
