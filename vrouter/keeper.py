"""What lasts of a command: its bags saved, its file archived or refused (design 1, save and archive)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vrouter.contracts import Bag
from vrouter.errors import BagError, Refused, VrouterError
from vrouter.faults import reached
from vrouter.history import History
from vrouter.intake import Claimed, Intake
from vrouter.model.bag import Entry
from vrouter.model.history import Edit, Place
from vrouter.model.settings import Settings
from vrouter.outcome import Outcome, faults_of
from vrouter.store import Store

_LARGE = 2000  # entries of a bag from which writing it whole costs more than the rest of a command


class Keeper:
    """The bags in memory and on disk, and the files of commands.

    defer: do not write a large bag with every command: the claimed file, made durable, is the journal until `flush`.
    """

    def __init__(self, settings: Settings, bags: Mapping[str, Bag[Any]], defer: bool) -> None:
        self._kinds = bags
        self._defer = defer
        self._store = Store(settings.bag_dir)
        self._intake = Intake(settings)
        self.history = History(settings)
        self._bags: dict[str, dict[str, Entry]] = {}
        self._unsaved: set[str] = set()
        self._unfinished: list[Claimed] = []
        self._written: list[str] = []  # since the last command that was done

    def load(self) -> dict[str, dict[str, Entry]]:
        """All bags; whoever changes them in place says so by `save`. Raises BagError."""
        self._bags = {name: self._store.load(bag) for name, bag in self._kinds.items()}
        return self._bags

    def save(self, names: Iterable[str], journal: Iterable[Claimed]) -> None:
        """Write bags that were changed, or note that it is deferred: then the commands' files are made durable.

        Raises BagError, IntakeError.
        """
        self._written.clear()
        deferred = False
        for name in dict.fromkeys(names):
            if self._defer and len(self._bags[name]) > _LARGE:
                self._unsaved.add(name)
                deferred = True
            else:
                self._written.append(name)
                self._store.save(self._kinds[name], self._bags[name])
                reached("bag written")
        if deferred:
            self._intake.secure(journal)

    def save_again(self) -> None:
        """Write what a command had written before it was taken back; where that fails, `flush` does, if one comes.

        Raises BagError.
        """
        while self._written:
            name = self._written.pop()
            try:
                self._store.save(self._kinds[name], self._bags[name])
            except BagError:
                if not self._defer:
                    raise
                self._unsaved.add(name)

    def finish(self, done: Mapping[Claimed, tuple[str, Mapping[Place, Edit]]]) -> list[int]:
        """Commands are done, each with its type and what it edited: its file is archived, or it is the journal of a bag
        that is not written yet. The number of the state after each."""
        saved: list[Claimed] = []
        for claimed, (_, edits) in done.items():
            (saved if self._unsaved.isdisjoint(bag for bag, _ in edits) else self._unfinished).append(claimed)
        numbers = self.history.record([(claimed, type, edits) for claimed, (type, edits) in done.items()])
        self._intake.archive(saved)
        return numbers

    def flush(self) -> None:
        """Write what was deferred, then archive its commands. Raises BagError; then they stay the journal."""
        for name in sorted(self._unsaved):
            self._store.save(self._kinds[name], self._bags[name])
            self._unsaved.discard(name)
        self._intake.archive(self._unfinished)
        self._unfinished.clear()

    def unsaved(self) -> bool:
        """Whether there is something to flush."""
        return bool(self._unsaved or self._unfinished)

    def refuse(self, claimed: Claimed, error: VrouterError, type: str = "") -> Outcome:
        """A command cannot be applied: its file is kept beside the reasons."""
        type = error.type if isinstance(error, Refused) else type
        self._intake.refuse(claimed, type, faults_of(error))
        return Outcome(claimed.name, type, faults=faults_of(error))
