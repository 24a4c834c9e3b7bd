"""What a plan means beyond its changes: files as diffs, daemons, connections that end, time. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vrouter.connections import Ending
from vrouter.model.resources import File, HostRecord
from vrouter.plan import Plan, renews_hosts, rereads_hosts

_DIFF_LINES = 400
_BASE_MS = {True: 3.0, False: 300.0}  # by whether an agent does it; alone most of it is the start and the observation
_COSTS_MS = {
    "element": 0.05, "host": 0.6, "file": 1.0, "address": 2.0, "route": 1.0, "rule": 1.0, "link": 2.0, "chain": 0.5,
}  # fmt: skip  # measured on two cores; a kind that is not here costs next to nothing
_ENDS_MS = 15.0
_DAEMON_MS = {"start": 20.0, "restart": 30.0, "reload": 5.0, "stop": 10.0}


@dataclass(frozen=True)
class Serving:
    """How dnsmasq stands before a plan. stale: addresses of withdrawn lines that it still holds. tagged: it has read a
    line with a tag, so that it is restarted instead of told to read again. runs: whether it does."""

    stale: frozenset[str] = frozenset()
    tagged: bool = False
    runs: bool = False

    def after(self, plan: Plan) -> Serving:
        """Once a plan was carried out."""
        hosts = [change for change in plan.changes if change.key[0] == "host"]
        gone = frozenset(change.key[1] for change in hosts if not change.after)
        tagged = self.tagged or any(isinstance(c.after, HostRecord) and c.after.tagged for c in hosts)
        units = [change for change in plan.changes if change.key[0] == "unit"]
        return Serving(self.stale | gone, tagged, self.runs if not units else bool(units[-1].after))


def detail(
    plan: Plan, ends: Ending, count: tuple[int, bool] | None, serving: Serving, resident: bool
) -> dict[str, Any]:
    """What is added to one file's answer. count: connections that end now, and whether all were counted; None if it is
    not known."""
    daemons = list(_daemons(plan, serving))
    return {
        "diffs": [{"path": path, "diff": text} for path, text in _diffs(plan)],
        "daemons": daemons,
        "ends": {
            "rules": list(_ends(ends)),
            "connections": count[0] if count else None,
            "complete": count[1] if count else False,
        },
        "expected_ms": round(_expected(plan, daemons, resident) + (_ENDS_MS if ends else 0), 1),
    }


def _diffs(plan: Plan) -> Iterator[tuple[str, str]]:
    for change in plan.changes:
        if isinstance(change.before or change.after, File):
            before, after = (one.text if isinstance(one, File) else "" for one in (change.before, change.after))
            lines = list(difflib.unified_diff(
                before.splitlines(), after.splitlines(),
                change.key[1] if change.before else "/dev/null", change.key[1] if change.after else "/dev/null",
                lineterm="",
            ))  # fmt: skip
            more = len(lines) - _DIFF_LINES
            yield change.key[1], "\n".join([*lines[:_DIFF_LINES], *([f"... {more} more lines"] if more > 0 else [])])


def _daemons(plan: Plan, serving: Serving) -> Iterator[dict[str, str]]:
    """The decisions of `host/dnsmasq.py`, told before they are made."""
    units = [change for change in plan.changes if change.key[0] == "unit"]
    for change in units:
        if not change.after:
            yield _action(change.key[1], "stop", "nothing needs it any more")
        elif change.before or serving.runs:
            yield _action(change.key[1], "restart", "what it reads at its start changes")
        else:
            yield _action(change.key[1], "start", "it does not run")
    if units or not serving.runs:
        return
    hosts = [change for change in plan.changes if isinstance(change.after or change.before, HostRecord)]
    if renews_hosts(plan):
        yield _action("dnsmasq", "restart", "for so many guests a start is faster")
    elif rereads_hosts(plan, set(serving.stale)):
        tagged = serving.tagged or any(isinstance(c.after, HostRecord) and c.after.tagged for c in hosts)
        why = "an address or a MAC that it knows gets another line"
        yield _action("dnsmasq", "restart" if tagged else "reload", why)


def _action(name: str, action: str, why: str) -> dict[str, str]:
    return {"name": name, "action": action, "why": why}


def _ends(ends: Ending) -> Iterator[str]:
    for address in sorted(ends.addresses):
        yield f"to and from {address}, which goes"
    for gone in sorted({str(t.public) for t in ends.gone if t.both and t.public not in ends.addresses}):
        yield f"through the static NAT of {gone}, unless something else explains them"
    for one in sorted(ends.gone, key=lambda t: (t.public, t.protocol, t.ports)):
        if not one.both and one.public not in ends.addresses:
            ports = str(one.ports[0]) if one.ports[0] == one.ports[1] else f"{one.ports[0]}-{one.ports[1]}"
            forward = f"{one.protocol} {one.public}:{ports} to {one.guest}"
            yield f"through the forward {forward}, unless something else explains them"


def _expected(plan: Plan, daemons: list[dict[str, str]], resident: bool) -> float:
    if not plan:
        return _BASE_MS[resident]
    kinds = Counter(change.key[0] for change in plan.changes)
    changes = sum(_COSTS_MS.get(kind, 0.1) * count for kind, count in kinds.items())
    return _BASE_MS[resident] + changes + sum(_DAEMON_MS[one["action"]] for one in daemons)
