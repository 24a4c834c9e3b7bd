"""The steps of every command: claim, validate, merge, desired, diff, check, apply, verify, save, archive, answer.

It knows no feature or service by name. A caller keeps one `Router` for as long as it lives.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vrouter.errors import BagError, HostError, Refused, VrouterError
from vrouter.faults import reached
from vrouter.host.host import Host
from vrouter.keeper import Keeper
from vrouter.model.bag import Changes, Entry, effective, replaced
from vrouter.model.intents import Address, Intent
from vrouter.model.resources import Key, Resource
from vrouter.model.settings import Settings
from vrouter.outcome import Job, Outcome, Registry, faults_of
from vrouter.pending import Pending, pending
from vrouter.plan import Holding, Plan, diff
from vrouter.validate import parse_document, validate
from vrouter.wanted import Wanted

_POLICY = ("chain", "set", "map", "helper", "element")
Intents = Mapping[tuple[str, str], tuple[Intent, ...]]


@dataclass(frozen=True)
class _Decision:
    """A command that was merged: its plan, and what takes the merge back."""

    type: str
    plan: Plan
    touched: frozenset[Key]
    bags_before: Mapping[str, Changes]
    asked_before: Intents


class Router:
    """Bags, what they ask for, and what the machine holds."""

    def __init__(self, settings: Settings, registry: Registry, host: Host, defer: bool = False) -> None:
        """Read the bags and observe the machine. defer: as the keeper says. Raises BagError, HostError."""
        self._registry = registry
        self._host = host
        self.keeper = Keeper(settings, registry.bags, defer)
        self._bags = self.keeper.load()
        self._stages: dict[str, float] = {}
        self._mark = 0.0
        self._start(())

    def _start(self, wait_for: Iterable[str]) -> None:
        """Take the machine as it is now: its facts, all that is wanted on it, all that it holds."""
        self._machine = self._host.machine(wait_for)
        self._wanted = Wanted(self._registry.handlers, self._machine)
        self._wanted.change(
            {(name, key): self._asked(name, entry) for name, bag in self._bags.items() for key, entry in bag.items()}
        )
        self._have: dict[Key, Resource] = self._host.observe(self._wanted.resources)
        self._settled = False  # whether only what a command touches can differ

    # -- commands -----------------------------------------------------------------------------------------------------

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Claimed commands, in their order: merged one after the other, applied and saved once.

        Where that fails, they are taken back and halved until the failing one is alone; it is refused, others go on.
        """
        begin = time.perf_counter()
        self._stages, self._mark = {}, begin
        if len(jobs) > 1 and not self._settled:
            return [outcome for job in jobs for outcome in self.run([job])]
        outcomes: dict[Job, Outcome] = {}
        decided: dict[Job, _Decision] = {}
        for job in jobs:
            try:
                decided[job] = self._decide(job.claimed.read())
            except VrouterError as error:
                outcomes[job] = self.keeper.refuse(job, error)
        reached("decided")
        try:
            done = self._execute(list(decided.values()))
        except VrouterError as error:
            if len(decided) == 1:
                job, decision = next(iter(decided.items()))
                outcomes[job] = self.keeper.refuse(job, error, decision.type)
            else:
                good = list(decided)
                middle = len(good) // 2
                for half in (good[:middle], good[middle:]):
                    outcomes |= zip(half, self.run(half), strict=True)
        else:
            for job, decision in decided.items():
                self.keeper.finish(job, _changed(decision))
                plan = done if len(decided) == 1 else decision.plan
                outcomes[job] = Outcome(job.claimed.name, decision.type, plan)
            self._lap("archive")
            reached("archived")
        took = time.perf_counter() - begin
        return [replace(outcomes[job], elapsed_s=took, stages_ms=dict(self._stages)) for job in jobs]

    def plan(self, documents: Iterable[tuple[str, bytes]]) -> tuple[list[Outcome], tuple[Pending, ...]]:
        """What `run` would do with named contents, one after the other, and what would wait then.

        Machine, disk and this Router stay as they are.
        """
        outcomes: list[Outcome] = []
        decisions: list[_Decision] = []
        settled = self._settled
        for name, content in documents:
            try:
                decision = self._decide(content, wait=False)
            except VrouterError as error:
                outcomes.append(
                    Outcome(name, error.type if isinstance(error, Refused) else "", faults=faults_of(error))
                )
                continue
            decisions.append(decision)
            outcomes.append(Outcome(name, decision.type, decision.plan))
            self._settled = True  # the first plan holds what has come apart before; the next ones go on from there
        waiting = self.pending()
        self._take_back(decisions)
        self._settled = settled
        return outcomes, waiting

    def pending(self) -> tuple[Pending, ...]:
        """What is saved and waits for an address, a device or a subnet (design 4a)."""
        return tuple(pending(self._wanted.intents(), self._machine))

    def wanted(self) -> Holding:
        """All that the bags ask of this machine."""
        return self._wanted.resources

    def knows_anything(self) -> bool:
        """Whether any bag holds an entry; a router that was told nothing is left as it is."""
        return any(self._bags.values())

    # -- the machine --------------------------------------------------------------------------------------------------

    def converge(self, dry_run: bool = False) -> Plan:
        """Make the machine what the bags say: boot, drift and rollback. Raises HostError."""
        want = self._wanted.resources
        plan = diff(self._have, want)
        if not dry_run:
            self._carry_out(plan)
            self._hold(plan)
        return plan

    def drift(self, policy: bool) -> Plan:
        """What foreign hands have made different from the bags. policy: whether they may have touched the policy, which
        costs more to read than the rest. Raises HostError."""
        machine = self._host.machine()
        if policy or machine != self._machine:
            self._start(())
        else:
            fresh = self._host.observe_but_policy(self._wanted.resources)
            kept = {key: r for key, r in self._have.items() if key[0] in _POLICY or key[0] == "host"}
            self._have = kept | fresh
        return diff(self._have, self._wanted.resources)

    def agrees(self, path: str) -> bool:
        """Whether a file is as the bags want it, or is none of ours."""
        return self._host.agrees(path, self._wanted.resources)

    # -- the steps ----------------------------------------------------------------------------------------------------

    def _decide(self, content: bytes, wait: bool = True) -> _Decision:
        parsed = parse_document(content)
        try:
            validate(parsed.document, parsed.type)
            self._lap("validate")
            return self._merge(parsed.document, parsed.type, wait)
        except Refused as refused:
            raise Refused(refused.faults, parsed.type) from refused

    def _merge(self, document: Any, type: str, wait: bool) -> _Decision:
        command = self._registry.commands[type]
        merged = command.merge(document, {name: self._bags[name] for name in command.bags}, self._machine)
        changes = {name: effective(self._bags[name], change) for name, change in merged.items()}
        self._lap("merge")
        after = {
            (name, key): self._asked(name, entry) if entry else ()
            for name, change in changes.items()
            for key, entry in change.items()
        }
        missing = {i.device for intents in after.values() for i in intents if isinstance(i, Address)}
        missing = {device for device in missing if not self._machine.has(device)}
        if missing and wait:
            self._start(sorted(missing))
            return self._merge(document, type, wait=False)
        before = {
            (name, key): self._asked(name, old) if (old := self._bags[name].get(key)) else () for name, key in after
        }
        had = self._wanted.change(after)
        want = self._wanted.resources
        self._lap("desired")
        try:
            self._have |= self._host.look({key: want[key] for key in had if key in want and key not in self._have})
        except HostError:
            self._wanted.change(before)
            raise
        held = {key: r for key in had if (r := had[key] if had[key] else self._have.get(key))}
        plan = diff(held, want, had) if self._settled else diff(self._have, want)
        taken = {name: replaced(self._bags[name], change) for name, change in changes.items()}
        self._lap("diff")
        return _Decision(type, plan, frozenset(had), taken, before)

    def _asked(self, bag: str, entry: Entry) -> tuple[Intent, ...]:
        return tuple(self._registry.bags[bag].desired(entry, self._machine))

    def _execute(self, decisions: Sequence[_Decision]) -> Plan:
        """Check, apply, verify and save what all decisions ask together; the plan that was carried out: whole, or
        without the repairs that cannot be made now (CV-4).

        Raises HostError, BagError; then machine, disk and this Router are what they were before the first of them.
        """
        want = self._wanted.resources
        keys = {key for decision in decisions for key in decision.touched}
        plan = diff(self._have, want, keys if self._settled else None)
        try:
            done = self._make(plan, keys)
            self.keeper.save([name for decision in decisions for name in _changed(decision)])
            self._lap("save")
            reached("saved")
        except (HostError, BagError):
            self._take_back(decisions)
            self._roll_back()
            raise
        if done == plan:
            self._hold(done)
        else:
            self._have, self._settled = self._host.observe(want), False
        return done

    def _make(self, plan: Plan, keys: set[Key]) -> Plan:
        try:
            self._carry_out(plan)
        except HostError:
            own = Plan(tuple(change for change in plan.changes if change.key in keys))
            if own == plan:
                raise
            want = self._wanted.resources
            self._carry_out(diff(self._host.observe(want), want, keys))
            return own
        return plan

    def _carry_out(self, plan: Plan) -> None:
        want = self._wanted.resources
        self._host.check(plan, want)
        self._lap("check")
        reached("checked")
        self._host.apply(plan, want)
        self._lap("apply")
        reached("applied")
        self._host.verify(plan, want)
        self._lap("verify")
        reached("verified")

    def _take_back(self, decisions: Sequence[_Decision]) -> None:
        for decision in reversed(decisions):
            for name, before in decision.bags_before.items():
                replaced(self._bags[name], before)
            self._wanted.change(decision.asked_before)

    def _roll_back(self) -> None:
        """Back to what the bags describe, whatever part of a plan was applied or saved. What cannot be brought back now
        is tried again by the next command; the caller hears why its own failed."""
        self._settled = False
        want = self._wanted.resources
        self._have = self._host.observe(want)
        plan = diff(self._have, want)
        try:
            self._host.apply(plan, want)
            self._hold(plan)
        except HostError:
            self._have = self._host.observe(want)
        self.keeper.save_again()

    def _hold(self, plan: Plan) -> None:
        for change in plan.changes:
            if change.after:
                self._have[change.key] = change.after
            else:
                self._have.pop(change.key, None)
        self._settled = True

    def _lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._stages[stage] = self._stages.get(stage, 0.0) + (now - self._mark) * 1000
        self._mark = now


def _changed(decision: _Decision) -> list[str]:
    return [name for name, change in decision.bags_before.items() if change]
