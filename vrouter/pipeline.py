"""The steps of every command: claim, validate, merge, desired, diff, check, apply, verify, save, archive, answer.

It knows no feature or service by name. A caller keeps one `Router` for as long as it lives.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from vrouter.connections import ending
from vrouter.convergence import Convergence, Laps
from vrouter.errors import HostError, Refused, VrouterError, unexpected
from vrouter.faults import reached
from vrouter.host.host import Host
from vrouter.intake import Claimed
from vrouter.keeper import Keeper
from vrouter.model.bag import Changes, Entry, effective, replaced
from vrouter.model.history import Edit, Packed, Place, pack
from vrouter.model.intents import Address, Intent
from vrouter.model.resources import Key
from vrouter.model.settings import Settings
from vrouter.outcome import Outcome, Registry, faults_of
from vrouter.pending import Pending, pending
from vrouter.plan import Holding, Plan
from vrouter.validate import parse_document, validate
from vrouter.view import View

Intents = Mapping[tuple[str, str], tuple[Intent, ...]]


@dataclass(frozen=True)
class _Decision:
    """A command that was merged: its plan, and what takes the merge back."""

    type: str
    plan: Plan
    touched: frozenset[Key]
    bags_before: Mapping[str, Changes]
    bags_after: Mapping[str, Changes]
    asked_before: Intents

    def changed(self) -> list[str]:
        """The bags in which it changed an entry."""
        return [name for name, change in self.bags_before.items() if change]

    def edits(self) -> dict[Place, Edit]:
        """The entries before and after it."""
        return {
            (name, key): Edit(pack(before), pack(self.bags_after[name][key]))
            for name, change in self.bags_before.items()
            for key, before in change.items()
        }


class _Held(Exception):
    """The command is to be given again later."""


class Router:
    """Bags, what they ask for, and the machine that is made so."""

    def __init__(self, settings: Settings, registry: Registry, host: Host, defer: bool = False) -> None:
        """Read the bags and observe the machine. defer: as the keeper says. Raises BagError, HostError."""
        self.settings = settings
        self._registry = registry
        self._laps = Laps()
        self._state = Convergence(registry.handlers, host, self._laps)
        self.keeper = Keeper(settings, registry.bags, defer)
        self._bags = self.keeper.load()
        self._held: set[str] = set()  # bags of commands that were held back
        self._start(())

    def _start(self, wait_for: Iterable[str]) -> None:
        """Take the machine as it is now: its facts, all that is wanted on it, all that it holds."""
        self._state.look_at_machine(wait_for)
        self._state.start(
            {(name, key): self._asked(name, entry) for name, bag in self._bags.items() for key, entry in bag.items()}
        )

    # -- commands -----------------------------------------------------------------------------------------------------

    def run(self, commands: Sequence[Claimed], hold: bool = False) -> dict[Claimed, Outcome]:
        """Claimed commands, in their order: merged one after the other, applied and saved once.

        Where that fails, they are taken back and halved until the failing one is alone; it is refused, others go on.
        hold: leave out those for which a daemon would read anew within a second of the last time, and those that come
        after them for the same bags; they have no outcome and are to be given again.
        """
        if len(commands) > 1 and not self._state.settled:
            return {key: outcome for one in commands for key, outcome in self.run([one], hold).items()}
        begin = time.perf_counter()
        self._laps.begin()
        hold = hold and time.monotonic() < self._state.rests_until()
        if not hold:
            self._held.clear()
        outcomes: dict[Claimed, Outcome] = {}
        decided: dict[Claimed, _Decision] = {}
        for claimed in commands:
            try:
                decided[claimed] = self._decide(claimed.read(), hold=hold)
            except _Held:
                continue
            except VrouterError as error:
                outcomes[claimed] = self.keeper.refuse(claimed, error)
        reached("decided")
        if decided:
            outcomes |= self._finish(decided)
        took = time.perf_counter() - begin
        return {
            claimed: replace(outcomes[claimed], elapsed_s=took, stages_ms=dict(self._laps.ms))
            for claimed in commands
            if claimed in outcomes
        }

    def _finish(self, decided: Mapping[Claimed, _Decision]) -> dict[Claimed, Outcome]:
        """Carry out, save and archive what was decided; halved where that fails."""
        try:
            done = self._execute(decided)
        except VrouterError as error:
            commands = list(decided)
            if isinstance(error, HostError) and self._state.device_moved():
                self._start(())  # it came or went in the middle
                return self.run(commands)
            if len(commands) > 1:
                middle = len(commands) // 2
                return self.run(commands[:middle]) | self.run(commands[middle:])
            return {key: self.keeper.refuse(key, error, decision.type) for key, decision in decided.items()}
        states = self.keeper.finish({claimed: (each.type, each.edits()) for claimed, each in decided.items()})
        self._laps.lap("archive")
        reached("archived")
        return {
            claimed: Outcome(claimed.name, each.type, done if len(decided) == 1 else each.plan, state=state)
            for (claimed, each), state in zip(decided.items(), states, strict=True)
        }

    def plan(self, documents: Iterable[tuple[str, bytes]]) -> tuple[list[Outcome], tuple[Pending, ...]]:
        """What `run` would do with named contents, one after the other, and what would wait then.

        Machine, disk and this Router stay as they are.
        """
        outcomes: list[Outcome] = []
        decisions: list[_Decision] = []
        settled = self._state.settled
        for name, content in documents:
            try:
                decision = self._decide(content, wait=False)
            except VrouterError as error:
                outcomes.append(
                    Outcome(name, error.type if isinstance(error, Refused) else "", faults=faults_of(error))
                )
                continue
            decisions.append(decision)
            ends = ending(decision.plan, self._state.wanted.resources)
            outcomes.append(Outcome(name, decision.type, decision.plan, ends=ends))
            self._state.settled = True  # the first plan holds what has come apart; the next ones go on from there
        waiting = self.pending()
        self._take_back(decisions)
        self._state.settled = settled
        return outcomes, waiting

    def packed(self, place: Place) -> Packed:
        """An entry as a state of the history holds it; None where there is none."""
        bag, key = place
        return pack(self._bags[bag].get(key)) if bag in self._bags else None

    def pending(self) -> tuple[Pending, ...]:
        """What is saved and waits for an address, a device or a subnet (design 4a)."""
        return tuple(pending(self._state.wanted.intents(), self._state.machine))

    def rests_until(self) -> float:
        """When those that were held back may be given again, in seconds of time.monotonic."""
        return self._state.rests_until()

    def view(self, drift: Plan) -> View:
        """All that is asked for and wanted, for those who show it. drift: what differs from it now."""
        wanted = self._state.wanted
        return View(wanted.intents(), wanted.resources, self._state.machine, self.pending(), drift, self._bags)

    def wanted(self) -> Holding:
        """All that the bags ask of this machine."""
        return self._state.wanted.resources

    def knows_anything(self) -> bool:
        """Whether any bag holds an entry; a router that was told nothing is left as it is."""
        return any(self._bags.values())

    # -- the machine --------------------------------------------------------------------------------------------------

    def converge(self, dry_run: bool = False) -> Plan:
        """Make the machine what the bags say: boot, drift and rollback. Raises HostError."""
        return self._state.converge(dry_run)

    def drift(self, policy: bool) -> Plan:
        """What foreign hands have made different from the bags. policy: whether they may have touched the policy, which
        costs more to read than the rest. Raises HostError."""
        if self._state.device_moved():
            self._start(())
        elif policy:
            self._state.observe()
        else:
            return self._state.refresh()
        return self._state.converge(dry_run=True)

    def agrees(self, path: str) -> bool:
        """Whether a file is as the bags want it, or is none of ours."""
        return self._state.agrees(path)

    # -- the steps ----------------------------------------------------------------------------------------------------

    def _decide(self, content: bytes, wait: bool = True, hold: bool = False) -> _Decision:
        parsed = parse_document(content)
        try:
            validate(parsed.document, parsed.type)
            self._laps.lap("validate")
            bags = self._registry.commands[parsed.type].bags
            if hold and not self._held.isdisjoint(bags):
                self._hold_back(bags)
            decision = self._merge(parsed.document, parsed.type, wait)
            if hold and self._state.disturbs(decision.plan):
                self._take_back([decision])
                self._hold_back(bags)
            return decision
        except Refused as refused:
            raise Refused(refused.faults, parsed.type) from refused
        except (VrouterError, _Held):
            raise
        except Exception as error:  # a mistake of ours in one command must not stop the others
            self._start(())
            raise VrouterError(unexpected(error)) from error

    def _hold_back(self, bags: Iterable[str]) -> NoReturn:
        self._held.update(bags)
        raise _Held

    def _merge(self, document: Any, type: str, wait: bool) -> _Decision:
        command = self._registry.commands[type]
        merged = command.merge(document, {name: self._bags[name] for name in command.bags}, self._state.machine)
        changes = {name: effective(self._bags[name], change) for name, change in merged.items()}
        self._laps.lap("merge")
        after = {
            (name, key): self._asked(name, entry) if entry else ()
            for name, change in changes.items()
            for key, entry in change.items()
        }
        missing = {i.device for intents in after.values() for i in intents if isinstance(i, Address)}
        missing = {device for device in missing if not self._state.machine.has(device)}
        if missing and wait:
            self._start(sorted(missing))
            return self._merge(document, type, wait=False)
        before = {
            (name, key): self._asked(name, old) if (old := self._bags[name].get(key)) else () for name, key in after
        }
        plan, touched = self._state.ask(after, before)
        taken = {name: replaced(self._bags[name], change) for name, change in changes.items()}
        return _Decision(type, plan, touched, taken, changes, before)

    def _asked(self, bag: str, entry: Entry) -> tuple[Intent, ...]:
        return tuple(self._registry.bags[bag].desired(entry, self._state.machine))

    def _execute(self, decided: Mapping[Claimed, _Decision]) -> Plan:
        """Check, apply, verify and save what all decisions ask together; the plan that was carried out.

        Raises VrouterError; then machine, disk and this Router are what they were before the first of them.
        """
        decisions = list(decided.values())
        try:
            done = self._state.make({key for decision in decisions for key in decision.touched})
            self.keeper.save([name for decision in decisions for name in decision.changed()], decided)
        except Exception as error:
            self._take_back(decisions)
            self._state.roll_back()
            self.keeper.save_again()
            if isinstance(error, VrouterError):
                raise
            raise HostError(unexpected(error)) from error
        self._laps.lap("save")
        reached("saved")
        return done

    def _take_back(self, decisions: Sequence[_Decision]) -> None:
        for decision in reversed(decisions):
            for name, before in decision.bags_before.items():
                replaced(self._bags[name], before)
            self._state.wanted.change(decision.asked_before)
