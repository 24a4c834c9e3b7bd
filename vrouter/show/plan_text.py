"""A plan for people: each file with what it changes, grouped by kind, what it ends and how long it takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vrouter.answers import file_text, plain
from vrouter.show.layout import Screen, Style, folded

_MOST = 20  # lines of one kind, where not all are asked for
_GROUPS = (
    ("addresses and links", ("link", "address")),
    ("routes and rules", ("route", "rule")),
    ("kernel settings", ("sysctl",)),
    ("packet policy", ("chain", "set", "map", "helper")),
    ("elements", ("element",)),
    ("guests", ("host",)),
    ("files", ("file",)),
    ("daemons", ("unit",)),
)
_SIGNS: dict[str, tuple[str, Style]] = {"add": ("+", "green"), "remove": ("-", "red"), "change": ("~", "yellow")}

Change = Mapping[str, str]


def plan_text(found: Mapping[str, Any], screen: Screen, every: bool = False) -> str:
    """every: all lines, however many there are; so it is where nobody looks, but a program that seeks one."""
    every = every or screen.width is None
    lines: list[str] = []
    changes = list(found["changes"])
    for file in found["files"]:
        own, changes = changes[: file["changes"]], changes[file["changes"] :]
        if lines:
            lines.append("")
        if file["refused"]:
            first, *faults = file_text(file).splitlines()
            lines += [screen.styled(first, "red"), *faults]
            continue
        lines += _file(file, own, screen, every)
    if found["pending"]:
        lines += ["", screen.styled("pending afterwards", "bold")]
        waits = [f"  {item['origin']} waits for {item['needs']}" for item in found["pending"]]
        lines += _cut(waits, every)
    return "\n".join(lines) or "nothing to change"


def _file(file: Mapping[str, Any], changes: Sequence[Change], screen: Screen, every: bool) -> Iterator[str]:
    name = screen.styled(plain(file["file"]), "bold")
    if not changes:
        yield f"{name}: nothing to change"
        return
    yield f"{name}: {_count(len(changes))}, about {_time(file['expected_ms'])}"
    diffs = {item["path"]: item["diff"] for item in file["diffs"]}
    known = {kind for _, kinds in _GROUPS for kind in kinds}
    rest = ("other", tuple(sorted({change["kind"] for change in changes} - known)))
    for title, kinds in (*_GROUPS, rest):
        members = [change for change in changes if change["kind"] in kinds]
        if members and kinds != ("unit",):
            yield f"  {screen.styled(title, 'bold')}: {_summary(members)}"
            yield from _cut(
                [line for change in members for line in _change(change, diffs, screen)], every, diffs=kinds == ("file",)
            )
    for daemon in file["daemons"]:
        yield f"  {screen.styled('daemon', 'bold')}: {daemon['name']} would {daemon['action']}: {daemon['why']}"
    yield from _ends(file["ends"], screen)


def _change(change: Change, diffs: Mapping[str, str], screen: Screen) -> Iterator[str]:
    sign, style = _SIGNS[change["action"]]
    if change["kind"] == "file":
        yield f"    {screen.styled(sign, style)} {change['name']}"
        yield from (f"      {_diff_line(line, screen)}" for line in diffs.get(change["name"], "").splitlines()[2:])
        return
    content = " -> ".join(text for text in (change.get("before"), change.get("after")) if text)
    origin = f"  ({change['origin']})" if "origin" in change else ""
    kind = f"{change['kind']} " if change["kind"] not in ("element", "host") else ""
    text = f"{kind}{change['name']}{': ' + content if content else ''}{origin}"
    first, *rest = folded(text, screen.within(6), "    ")
    yield f"    {screen.styled(sign, style)} {first}"
    yield from (f"      {line}" for line in rest)


def _diff_line(line: str, screen: Screen) -> str:
    style: Style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
    return screen.styled(line, style if line[:1] in ("+", "-", "@") else "")


def _summary(changes: Sequence[Change]) -> str:
    counts = [(sum(c["action"] == action for c in changes), word)
              for action, word in (("add", "added"), ("change", "changed"), ("remove", "removed"))]  # fmt: skip
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def _ends(ends: Mapping[str, Any], screen: Screen) -> Iterator[str]:
    if not ends["rules"]:
        return
    count = ends["connections"]
    known = "their number is not known" if count is None else f"{'' if ends['complete'] else 'at least '}{count} now"
    yield f"  {screen.styled('connections that end', 'bold')}: {known}"
    for rule in ends["rules"][:_MOST]:
        yield from (f"    {line}" for line in folded(rule, screen.within(4), "  "))
    if len(ends["rules"]) > _MOST:
        yield f"    and {len(ends['rules']) - _MOST} more"


def _cut(lines: list[str], every: bool, diffs: bool = False) -> list[str]:
    """Files are shown whole: their lines belong together."""
    more = len(lines) - _MOST
    return lines if every or diffs or more <= 0 else [*lines[:_MOST], f"    and {more} more lines: --all"]


def _count(number: int) -> str:
    return f"{number} change{'' if number == 1 else 's'}"


def _time(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"
