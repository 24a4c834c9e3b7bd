"""Commands that wait, one writer that takes them through the pipeline together, and the answers that are remembered."""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from collections.abc import Iterable

from vrouter.agent.drift import Drift, log
from vrouter.agent.questions import reply
from vrouter.answers import file_text
from vrouter.command import outcome_json
from vrouter.errors import VrouterError
from vrouter.faults import reached
from vrouter.intake import BOOT, Claimed, Intake, is_command
from vrouter.outcome import Outcome
from vrouter.pipeline import Router
from vrouter.records import Recent

_REMEMBERED = 4096  # answers kept for callers that come after the watcher
_MOST_TOGETHER = 512
_FLUSH_S = 0.8  # a bag that was deferred is written within a second (design 3)


class Queue:
    """drift: what watches the machine; None until it has been made what the bags say."""

    def __init__(self, intake: Intake, router: Router, recent: Recent) -> None:
        self._intake, self._router, self._recent = intake, router, recent
        self.drift: Drift | None = None
        self._waiting: dict[str, Claimed] = {claimed.name: claimed for claimed in intake.left_over()}
        self._held: dict[str, Claimed] = {}  # those that need a daemon that was disturbed a moment ago
        self._callers: dict[str, list[socket.socket]] = {}  # who wants the answer of a command
        self._answers: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._flush_at = 0.0

    def is_full(self) -> bool:
        """Whether so many wait that they should be taken before more are heard."""
        return len(self._waiting) >= _MOST_TOGETHER

    def due(self) -> list[float]:
        """When to come back, in seconds of time.monotonic, if nothing happens before."""
        held = [self._router.rests_until()] if self._held else []
        return held + ([self._flush_at] if self._router.keeper.unsaved() else [])

    # -- what comes in ------------------------------------------------------------------------------------------------

    def found(self, names: Iterable[str]) -> None:
        """Files that lie in the cache; those that cannot be taken stay there."""
        for name in filter(is_command, names):
            try:
                self._take(name)
            except VrouterError as error:
                log(str(error))

    def asked(self, caller: socket.socket, name: str, keep: bool) -> None:
        """`update_config`: the answer comes when the command is done; at once where it was done before."""
        try:
            if name != BOOT:
                self._take(BOOT)
            self._take(name, keep)
        except VrouterError as error:
            reply(caller, (1, f"update_config: {error}"))
            return
        for place in (self._waiting, self._held):
            if name in place:
                self._callers.setdefault(name, []).append(caller)
                if not keep:
                    place[name] = self._intake.delete_later(place[name])
                return
        said = self._answers.get(name) or self._intake.earlier_answer(name)
        if not keep and said[0] == 0:
            self._flush()
            self._intake.forget(name)
        reply(caller, said)

    def _take(self, name: str, keep: bool = True) -> None:
        if self._intake.is_pushed_again(name):
            self.work()  # the first one is finished before it,
            self._flush()  # and archived
        claimed = self._intake.claim(name, keep)
        if claimed:
            self._waiting[name] = claimed

    # -- work ---------------------------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Do what is due; whether there was a command."""
        busy = bool(self._waiting) or (bool(self._held) and time.monotonic() >= self._router.rests_until())
        if busy:
            self.work(hold=True)
        if self._router.keeper.unsaved() and time.monotonic() >= self._flush_at:
            self._flush()
        return busy

    def work(self, hold: bool = False) -> None:
        """Take what waits through the pipeline. hold: leave back what would disturb a daemon again within a second."""
        if not hold or time.monotonic() >= self._router.rests_until():
            self._waiting = self._held | self._waiting
            self._held = {}
        batch, self._waiting = self._waiting, {}
        if not batch:
            return
        if self.drift:
            self.drift.agree()
        if not self._router.keeper.unsaved():
            self._flush_at = time.monotonic() + _FLUSH_S
        outcomes = self._router.run(list(batch.values()), hold)
        self._held |= {name: claimed for name, claimed in batch.items() if claimed not in outcomes}
        for outcome in outcomes.values():
            self._answer(outcome)
        if self.drift:
            if any(change.key[0] == "unit" for outcome in outcomes.values() for change in outcome.plan.changes):
                self.drift.watch_daemons()
            self.drift.step()

    def _answer(self, outcome: Outcome) -> None:
        self._recent.add(outcome)
        said = (1, file_text(outcome_json(outcome))) if outcome.faults else (0, "")
        self._answers[outcome.file] = said
        self._answers.move_to_end(outcome.file)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        for caller in self._callers.pop(outcome.file, ()):
            reply(caller, said)
        reached("answered")
        if outcome.faults:
            log(said[1])

    def close(self) -> None:
        """Answer everybody, and leave nothing that only memory holds."""
        self.work()
        self._flush()

    def _flush(self) -> None:
        """Write what was deferred; a disk that takes nothing is tried again a second later."""
        self._flush_at = time.monotonic() + _FLUSH_S
        try:
            self._router.keeper.flush()
        except VrouterError as error:
            log(f"cannot save yet: {error}")
