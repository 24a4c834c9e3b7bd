"""The steps of every command: claim, validate, merge, desired, diff, check, apply, verify, save, archive.

It knows no feature or service by name. A caller keeps one `Router` for as long as it lives.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vrouter.contracts import Bag, Command, Handler
from vrouter.errors import BagError, Fault, HostError, Refused, VrouterError
from vrouter.host.host import Host
from vrouter.intake import Claimed, Intake
from vrouter.model.bag import Changes, Entry, effective, updated
from vrouter.model.intents import Address, Intent
from vrouter.model.resources import Key, Resource
from vrouter.model.settings import Settings
from vrouter.pending import Pending, pending
from vrouter.plan import Plan, diff
from vrouter.store import Store
from vrouter.validate import ParsedDocument, parse_document, validate
from vrouter.wanted import Wanted


@dataclass(frozen=True)
class Registry:
    """What the pipeline works with: bags and commands by name, handlers in their order."""

    bags: Mapping[str, Bag[Any]]
    commands: Mapping[str, Command]
    handlers: tuple[Handler, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one command. faults: empty when it is done. elapsed_s: seconds from its bytes to its answer."""

    file: str
    type: str = ""
    plan: Plan = field(default_factory=Plan)
    faults: tuple[Fault, ...] = ()
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class _Decision:
    """A command that was merged: what it changes in the bags, and the plan that makes the machine follow.

    touched: the keys that the command itself may change; the plan also repairs what else differs.
    """

    type: str
    changes: Mapping[str, Changes]
    before: Mapping[tuple[str, str], tuple[Intent, ...]]
    touched: frozenset[Key]
    plan: Plan


class Router:
    """Bags, what they ask for, and what the machine holds."""

    def __init__(self, settings: Settings, registry: Registry, host: Host) -> None:
        """Read the bags and observe the machine. Raises BagError, HostError."""
        self._registry = registry
        self._host = host
        self._store = Store(settings.bag_dir)
        self._intake = Intake(settings)
        self._bags: dict[str, dict[str, Entry]] = {name: self._store.load(bag) for name, bag in registry.bags.items()}
        self._start(host, ())

    def _start(self, host: Host, wait_for: tuple[str, ...]) -> None:
        """Take the machine as it is now: its facts, all that is wanted on it, all that it holds."""
        self._machine = host.machine(wait_for)
        self._wanted = Wanted(self._registry.handlers, self._machine)
        self._wanted.change(
            {(name, key): self._asked(name, entry) for name, bag in self._bags.items() for key, entry in bag.items()}
        )
        self._have: dict[Key, Resource] = host.observe(self._wanted.resources)
        self._settled = False  # whether only what a command touches can differ

    # -- the steps ----------------------------------------------------------------------------------------------------

    def run(self, claimed: Claimed, keep: bool = True) -> Outcome:
        """One claimed command, through every step. keep: archive it when it is done, else delete it."""
        start = time.perf_counter()
        type = ""
        try:
            parsed = parse_document(claimed.read())
            type = parsed.type
            decision = self._decide(parsed, wait=True)
            decision = self._execute(decision)
            if keep:
                self._intake.archive(claimed)
            else:
                self._intake.discard(claimed)
        except VrouterError as error:
            faults = error.faults if isinstance(error, Refused) else (Fault("", "", str(error)),)
            self._intake.refuse(claimed, type, faults)
            return Outcome(claimed.name, type, faults=faults, elapsed_s=time.perf_counter() - start)
        return Outcome(claimed.name, type, decision.plan, (), time.perf_counter() - start)

    def plan(self, name: str, content: bytes) -> Outcome:
        """What `run` would do; machine and disk stay as they are, this Router goes on as if it had been done."""
        type = ""
        try:
            parsed = parse_document(content)
            type = parsed.type
            decision = self._decide(parsed, wait=False)
        except VrouterError as error:
            faults = error.faults if isinstance(error, Refused) else (Fault("", "", str(error)),)
            return Outcome(name, type, faults=faults)
        self._adopt(decision)
        return Outcome(name, type, decision.plan)

    def converge(self, dry_run: bool = False) -> Plan:
        """Make the machine what the bags say: boot, drift and rollback. Raises HostError."""
        want = self._wanted.resources
        plan = diff(self._have, want)
        if not dry_run:
            self._carry_out(plan)
            self._have, self._settled = plan.applied(self._have), True
        return plan

    def pending(self) -> tuple[Pending, ...]:
        """What is saved and waits for an address, a device or a subnet (design 4a)."""
        return tuple(pending(self._wanted.intents(), self._machine))

    def _decide(self, parsed: ParsedDocument, wait: bool) -> _Decision:
        validate(parsed.document, parsed.type)
        command = self._registry.commands[parsed.type]
        merged = command.merge(parsed.document, {name: self._bags[name] for name in command.bags}, self._machine)
        changes = {name: effective(self._bags[name], change) for name, change in merged.items()}
        after = {
            (name, key): self._asked(name, entry) if entry else ()
            for name, change in changes.items()
            for key, entry in change.items()
        }
        missing = {i.device for intents in after.values() for i in intents if isinstance(i, Address)}
        missing = {device for device in missing if not self._machine.has(device)}
        if missing and wait:
            self._start(self._host, tuple(sorted(missing)))
            return self._decide(parsed, wait=False)
        before = {
            (name, key): self._asked(name, old) if (old := self._bags[name].get(key)) else () for name, key in after
        }
        touched = self._wanted.change(after)
        want = self._wanted.resources
        try:
            self._have |= self._host.look({key: want[key] for key in touched if key in want and key not in self._have})
        except HostError:
            self._wanted.change(before)
            raise
        plan = diff(self._have, want, touched if self._settled else None)
        return _Decision(parsed.type, changes, before, frozenset(touched), plan)

    def _asked(self, bag: str, entry: Entry) -> tuple[Intent, ...]:
        return tuple(self._registry.bags[bag].desired(entry, self._machine))

    def _adopt(self, decision: _Decision) -> None:
        for name, change in decision.changes.items():
            self._bags[name] = updated(self._bags[name], change)
        self._have, self._settled = decision.plan.applied(self._have), True

    def _execute(self, decision: _Decision) -> _Decision:
        """The decision as it was carried out: whole, or without the repairs that cannot be made now (CV-4)."""
        try:
            done = self._make(decision)
            self._save(decision)
        except (HostError, BagError) as error:
            self._roll_back(decision, error)
            raise
        self._adopt(done)
        if done.plan != decision.plan:
            self._have, self._settled = self._host.observe(self._wanted.resources), False
        return done

    def _make(self, decision: _Decision) -> _Decision:
        want = self._wanted.resources
        own = Plan(tuple(change for change in decision.plan.changes if change.key in decision.touched))
        try:
            self._carry_out(decision.plan)
        except HostError:
            if own == decision.plan:
                raise
            self._carry_out(diff(self._host.observe(want), want, decision.touched))
            return replace(decision, plan=own)
        return decision

    def _carry_out(self, plan: Plan) -> None:
        want = self._wanted.resources
        self._host.check(plan, want)
        self._host.apply(plan, want)
        self._host.verify(plan, want)

    def _save(self, decision: _Decision) -> None:
        for name, change in decision.changes.items():
            if change:
                self._store.save(self._registry.bags[name], updated(self._bags[name], change))

    def _roll_back(self, decision: _Decision, error: VrouterError) -> None:
        """Back to what the saved bags describe, whatever part of the plan was applied. What cannot be brought back now
        is tried again by the next command; the caller hears why its own failed."""
        self._wanted.change(decision.before)
        self._settled = False
        want = self._wanted.resources
        self._have = self._host.observe(want)
        plan = diff(self._have, want)
        try:
            self._host.apply(plan, want)
            self._have, self._settled = plan.applied(self._have), True
        except HostError:
            self._have = self._host.observe(want)
        for name, change in decision.changes.items():
            if change and isinstance(error, BagError):
                self._store.save(self._registry.bags[name], self._bags[name])


def close(registry: Registry, host: Host) -> Plan:
    """What nobody asked anything of: a policy that lets SSH in on the control device and nothing else (SU-2).

    For a boot whose bags cannot be read. A machine that has a policy keeps it. Raises HostError.
    """
    want = Wanted(registry.handlers, host.machine()).resources
    have = host.observe(want)
    plan = diff({}, want) if not any(key in have for key in want) else Plan()
    host.apply(plan, want)
    return plan
