"""One screen of a router: facts in, what it is, how it stands and what is wrong out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vrouter.model.intents import Accept, Address, DhcpHost, Dnat, Egress, RouterFacts, StaticNat
from vrouter.model.observed import Done, Interface, Process, RouteLine, RuleLine, Waiting
from vrouter.model.resources import Unit
from vrouter.show import foreign
from vrouter.show.layout import Row, ago, size
from vrouter.show.network import devices, networks
from vrouter.show.policy import unopened
from vrouter.view import View

STALE_S = 30.0  # a command file that waits longer is forgotten by somebody
_MOST_CHANGES = 50
_FULL = 0.95
_LEAST_FREE = 1_000_000  # bytes: a bag is written whole beside the old one
_STOPPED = "Tt"
_ENDED = "ZX"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was read of the machine at one moment. now: seconds since the epoch. daemons: None for one that is gone.

    agent: the process that listens; answering: whether it, and not the asking process, tells this. told: whether the
    router was ever told anything. unconfirmed: a change goes back by itself, see `apply --confirm`. busy: another
    process has held the lock all the while. connections: how many are tracked, and at most. free_bytes: by directory,
    None for one that is not there.
    """

    now: float
    told: bool = True
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[RouteLine, ...] = ()
    rules: tuple[RuleLine, ...] = ()
    ruleset: str = ""
    legacy: str = ""
    daemons: Mapping[str, Process | None] = field(default_factory=dict)
    agent: Process | None = None
    answering: bool = False
    busy: bool = False
    unconfirmed: bool = False
    commands: tuple[Done, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    connections: tuple[int | None, int | None] = (None, None)
    free_bytes: Mapping[str, int | None] = field(default_factory=dict)


def status(view: View, facts: Facts) -> dict[str, Any]:
    """The answer to `vrouter status`; `docs/show.md` has its shape."""
    others = [
        *foreign.tables(foreign.chains(facts.ruleset)),
        *foreign.legacy(facts.legacy),
        *foreign.network(facts.interfaces, facts.routes, facts.rules),
    ]
    found: dict[str, Any] = {
        "router": _router(view),
        "told": facts.told,
        "networks": list(networks(view)),
        "interfaces": list(devices(view, facts.interfaces)),
        "daemons": [_daemon(name, one) for name, one in sorted(facts.daemons.items())],
        "agent": _agent(facts),
        "commands": [_command(one) for one in facts.commands],
        "queue": [{"file": one.file, "claimed": one.claimed, "age_s": round(one.age_s, 1)} for one in facts.waiting],
        "connections": {"count": facts.connections[0], "most": facts.connections[1]},
        "disks": [{"directory": path, "free_bytes": free} for path, free in sorted(facts.free_bytes.items())],
        "drift": {"count": len(view.drift.changes), "changes": view.drift.changes_tree()[:_MOST_CHANGES]},
        "pending": [item.as_json() for item in view.pending],
        "foreign": others,
    }
    problems = [*_problems(found, facts, view)]
    return {"well": not problems, "problems": problems, "notes": list(_notes(found, facts, view)), **found}


def _router(view: View) -> Row:
    facts = view.intents.one(RouterFacts)
    boot = view.bags.get("cmdline", {}).get("config")
    raw = boot.raw if boot else None
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    entries = [{intent.origin for intent in view.intents.of(kind)} for kind in (Dnat, StaticNat)]
    return {
        "kind": str(kind or ""),
        "name": str(facts.name) if facts else "",
        "domain": str(facts.domain) if facts else "",
        "addresses": sum(1 for _ in view.intents.of(Address)),
        "guests": sum(1 for _ in view.intents.of(DhcpHost)),
        "forwards": len(entries[0]),
        "static_nats": len(entries[1]),
        "rules": sum(1 for _ in view.intents.of(Accept, Egress)),
    }


def _daemon(name: str, one: Process | None) -> Row:
    state = "dead" if one is None or one.state in _ENDED else "stopped" if one.state in _STOPPED else "running"
    return {
        "name": name, "state": state, "pid": one.pid if one else None, "since": _time(one.since) if one else None,
        "memory_bytes": one.memory_bytes if one else None,
    }  # fmt: skip


def _agent(facts: Facts) -> Row:
    one = facts.agent
    state = "not running"
    if one:
        state = "running" if facts.answering else "stopped" if one.state in _STOPPED else "does not answer"
    return {
        "state": state, "pid": one.pid if one else None, "since": _time(one.since) if one else None,
        "memory_bytes": one.memory_bytes if one else None,
    }  # fmt: skip


def _command(one: Done) -> Row:
    return {
        "file": one.file, "type": one.type, "time": _time(one.time), "result": "refused" if one.refused else "done",
        "faults": list(one.faults), "changes": one.changes,
        "took_ms": None if one.took_ms is None else round(one.took_ms, 1),
    }  # fmt: skip


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _problem(what: str, says: str, look: str) -> Row:
    return {"what": what, "says": says, "look": look}


def _problems(found: Mapping[str, Any], facts: Facts, view: View) -> Iterator[Row]:
    for daemon in found["daemons"]:
        if daemon["state"] == "stopped":
            yield _problem("daemon", f"{daemon['name']} (pid {daemon['pid']}) is stopped by a signal, answers nobody",
                           f"kill -CONT {daemon['pid']}")  # fmt: skip
        elif daemon["state"] == "dead":
            yield _problem("daemon", f"{daemon['name']} does not run: no guest gets a lease or a name from it",
                           "vrouter converge")  # fmt: skip
    yield from (
        _problem("foreign", f"{one['name']} {one['says']}", one["look"]) for one in found["foreign"] if one["stops"]
    )
    for interface in found["interfaces"]:
        if interface["role"] and interface["state"] == "no carrier":
            yield _problem("interface", f"{interface['device']} ({interface['role']}) has no carrier",
                           f"ip link show {interface['device']}")  # fmt: skip
    yield from _exhausted(facts)
    if found["drift"]["count"]:
        yield _problem("drift", _drift_text(view), "vrouter converge --dry-run, then vrouter converge")
    yield from _of_agent(found["agent"], facts)
    for command in found["commands"]:
        if command["result"] == "refused":
            why = command["faults"][0] if command["faults"] else "no reason is known"
            yield _problem("command", f"{command['file']} was refused: {why}",
                           f"{view.machine.settings.cache_dir}/failed/{command['file']}.error")  # fmt: skip
    stale = [one for one in found["queue"] if one["age_s"] > STALE_S]
    if stale:
        oldest = f"the oldest for {ago(stale[0]['age_s'])}"
        yield _problem("queue", f"{_count(stale, 'command file')} not done, {oldest}: {stale[0]['file']}",
                       f"ls -l {view.machine.settings.cache_dir}")  # fmt: skip


def _exhausted(facts: Facts) -> Iterator[Row]:
    count, most = facts.connections
    if count is not None and most and count >= _FULL * most:
        yield _problem("connections", f"{count} of {most} are tracked: the kernel drops new ones when it is full",
                       "vrouter show connections, then sysctl net.netfilter.nf_conntrack_max")  # fmt: skip
    for path, free in sorted(facts.free_bytes.items()):
        if free is not None and free < _LEAST_FREE:
            yield _problem("disk", f"{size(free)} are free for {path}: no command can be saved", f"df -h {path}")


def _drift_text(view: View) -> str:
    entries = sorted({c.after.origin for c in view.drift.changes if c.after and c.after.origin})
    text = f"{_count(view.drift.changes, 'difference')} from the databags"
    if any(change.key[0] == "chain" for change in view.drift.changes):
        return f"the packet policy is gone or was changed: {text}"
    first = f": {', '.join(entries[:3])}{', ...' if len(entries) > 3 else ''}" if entries else ""
    return text + first


def _of_agent(agent: Row, facts: Facts) -> Iterator[Row]:
    if agent["state"] == "stopped":
        yield _problem("agent", f"the agent (pid {agent['pid']}) is stopped by a signal: commands wait for it",
                       f"kill -CONT {agent['pid']}")  # fmt: skip
    elif agent["state"] == "does not answer":
        yield _problem("agent", f"the agent (pid {agent['pid']}) does not answer", "journalctl -u vrouter-agent")
    elif facts.busy:
        yield _problem("lock", "another process has held vrouter's lock all the while", "ps -ef | grep vrouter")


def _notes(found: Mapping[str, Any], facts: Facts, view: View) -> Iterator[str]:
    """What is no fault of the router, but may be the answer."""
    if facts.unconfirmed:
        yield "a change waits for its confirmation and goes back without it (vrouter confirm)"
    shut = unopened(view)
    if shut:
        yield f"{_count(shut, 'forward')} that no ingress rule opens, the first: {shut[0]} (vrouter show forwards)"
    yield from (f"{one['name']}: {one['says']} ({one['look']})" for one in found["foreign"] if not one["stops"])


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def wanted_daemons(view: View) -> list[str]:
    """The daemons that have to run."""
    return sorted(unit.name for unit in view.want.values() if isinstance(unit, Unit))
