"""What is wanted on a machine beside what it holds, and the way from the one to the other: check, apply, verify.

It knows resources and no bag; `pipeline` says what is wanted.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping

from vrouter.contracts import Handler
from vrouter.errors import HostError
from vrouter.faults import reached
from vrouter.host.host import Host
from vrouter.model.machine import Machine
from vrouter.model.resources import Key, Resource
from vrouter.plan import Plan, diff
from vrouter.wanted import Asked, Wanted

_MEND_AGAIN_S = 10.0  # a daemon that cannot start must not slow down every command
_POLICY = ("chain", "set", "map", "helper", "element")
_ESSENTIAL = (*_POLICY, "sysctl", "link", "address", "route", "rule")


class Laps:
    """Milliseconds of each step, since `begin`."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what was measured."""
        self.ms: dict[str, float] = {}
        self._mark = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The time since the last lap belongs to this stage."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - self._mark) * 1000
        self._mark = now


class Convergence:
    """settled: whether only what a command touches can differ from what is wanted; else all of it may."""

    wanted: Wanted
    machine: Machine

    def __init__(self, handlers: tuple[Handler, ...], host: Host, laps: Laps) -> None:
        """Use `start` before anything else."""
        self._handlers, self._host, self._laps = handlers, host, laps
        self._have: dict[Key, Resource] = {}
        self.settled = False
        self._mend_at = 0.0  # before that, in seconds of time.monotonic, daemons that could not be started are left

    def look_at_machine(self, wait_for: Iterable[str] = ()) -> None:
        """Take the machine's facts as they are now; named devices get time to appear. Raises HostError."""
        self.machine = self._host.machine(wait_for)

    def start(self, asked: Asked) -> None:
        """Take what entries ask for as all that is wanted, and observe what the machine holds. Raises HostError."""
        self.wanted = Wanted(self._handlers, self.machine)
        self.wanted.change(asked)
        self.observe()

    def observe(self) -> None:
        """Take all that the machine holds as it is now; any of it may have come apart. Raises HostError."""
        self._have, self.settled = {}, False
        self._have = self._held_once(self._host.observe(self.wanted.resources))

    def _held_once(self, found: dict[Key, Resource]) -> dict[Key, Resource]:
        """What is as it is wanted is that very resource, which also knows where it comes from."""
        want = self.wanted.resources
        for key, resource in found.items():
            wanted = want.get(key)
            if wanted is not None and wanted == resource:
                found[key] = wanted
        return found

    def device_moved(self) -> bool:
        """Whether a device came or went since the facts were taken, or went and came back."""
        return self._host.machine() != self.machine

    # -- one command --------------------------------------------------------------------------------------------------

    def ask(self, asked: Asked, before: Asked) -> tuple[Plan, frozenset[Key]]:
        """Take entries' new intents: what that changes on the machine, and the keys it touches.

        before: what the entries asked until now; wanted again where this raises HostError.
        """
        had = self.wanted.change(asked)
        want = self.wanted.resources
        self._laps.lap("desired")
        try:
            self._have |= self._host.look({key: want[key] for key in had if key in want and key not in self._have})
        except HostError:
            self.wanted.change(before)
            raise
        if self.settled:
            held = {key: found for key in had if (found := had[key] or self._have.get(key))}
            plan = diff(held, want, had)
        else:
            plan = self._whole(had)
        self._laps.lap("diff")
        return plan, frozenset(had)

    def make(self, keys: set[Key]) -> Plan:
        """Make real what differs at these keys, and elsewhere what has come apart.

        The plan that was carried out: whole, or without the repairs that cannot be made now (CV-4). Raises HostError;
        then a part may have been applied.
        """
        want = self.wanted.resources
        plan = diff(self._have, want, keys) if self.settled else self._whole(keys)
        try:
            self._carry_out(plan)
        except HostError:
            own = Plan(tuple(change for change in plan.changes if change.key in keys))
            if own == plan:
                raise
            if any(change.key[0] == "unit" for change in plan.changes if change.key not in keys):
                self._mend_at = time.monotonic() + _MEND_AGAIN_S
            self._carry_out(diff(self._host.observe(want), want, keys))
            self.observe()
            return own
        self._took(plan)
        self.settled = self.settled or not diff(self._have, want)
        return plan

    def _whole(self, keys: Collection[Key]) -> Plan:
        """All that differs; but a daemon that could not be started a moment ago is left, unless a key names it."""
        plan = diff(self._have, self.wanted.resources)
        if time.monotonic() >= self._mend_at:
            return plan
        return Plan(tuple(change for change in plan.changes if change.key[0] != "unit" or change.key in keys))

    def roll_back(self) -> None:
        """Back to what is wanted now, whatever part of a plan was applied. What cannot be brought back is tried again
        by the next command; the caller hears why its own failed."""
        self.observe()
        want = self.wanted.resources
        plan = diff(self._have, want)
        try:
            self._host.apply(plan, want, settle=False)
        except HostError:
            self.observe()
        else:
            self._took(plan)
            self.settled = True

    # -- all of it ----------------------------------------------------------------------------------------------------

    def converge(self, dry_run: bool = False) -> Plan:
        """Make the machine what is wanted: boot, drift and rollback; where a daemon or its files stand in the way, at
        least what passes packets. Raises HostError."""
        plan = diff(self._have, self.wanted.resources)
        if dry_run:
            return plan
        try:
            self._carry_out(plan)
        except HostError:
            self.observe()
            rest = diff(self._have, self.wanted.resources).changes
            self._carry_out(Plan(tuple(change for change in rest if change.key[0] in _ESSENTIAL)))
            self.observe()
            raise
        self._took(plan)
        self.settled = True
        return plan

    def refresh(self) -> Plan:
        """What differs, with all but the packet policy and the guests' files observed afresh; those cost more to read,
        and their watchers have said nothing. Raises HostError."""
        want = self.wanted.resources
        kept = {key: found for key, found in self._have.items() if key[0] in _POLICY or key[0] == "host"}
        self._have = kept | self._held_once(self._host.observe_but_policy(want))
        return diff(self._have, want)

    def agrees(self, path: str) -> bool:
        """Whether a file is as it is wanted, or is none of ours."""
        return self._host.agrees(path, self.wanted.resources)

    def disturbs(self, plan: Plan) -> bool:
        """Whether a plan makes a daemon read all anew."""
        return self._host.disturbs(plan, self.wanted.resources)

    def rests_until(self) -> float:
        """Before that, in seconds of time.monotonic, no daemon should be made to read all anew."""
        return self._host.rests_until()

    def _carry_out(self, plan: Plan) -> None:
        want: Mapping[Key, Resource] = self.wanted.resources
        self._host.check(plan, want)
        self._laps.lap("check")
        reached("checked")
        self._host.apply(plan, want)
        self._laps.lap("apply")
        reached("applied")
        self._host.verify(plan, want)
        self._laps.lap("verify")
        reached("verified")

    def _took(self, plan: Plan) -> None:
        for change in plan.changes:
            if change.after:
                self._have[change.key] = change.after
            else:
                self._have.pop(change.key, None)
