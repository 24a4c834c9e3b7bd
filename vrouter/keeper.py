"""What lasts of a command: its bags saved, its file archived or refused (design 1, save and archive)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vrouter.contracts import Bag
from vrouter.errors import IntakeError, Refused, VrouterError
from vrouter.faults import reached
from vrouter.intake import Intake
from vrouter.model.bag import Entry
from vrouter.model.settings import Settings
from vrouter.outcome import Job, Outcome, faults_of
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
        self._bags: dict[str, dict[str, Entry]] = {}
        self._unsaved: set[str] = set()
        self._unfinished: list[Job] = []
        self._written: list[str] = []  # since the last command that was done

    def load(self) -> dict[str, dict[str, Entry]]:
        """All bags; whoever changes them in place says so by `save`. Raises BagError."""
        self._bags = {name: self._store.load(bag) for name, bag in self._kinds.items()}
        return self._bags

    def save(self, names: Iterable[str]) -> None:
        """Write bags that were changed, or note that it is deferred. Raises BagError."""
        self._written.clear()
        for name in dict.fromkeys(names):
            if self._defer and len(self._bags[name]) > _LARGE:
                self._unsaved.add(name)
            else:
                self._written.append(name)
                self._store.save(self._kinds[name], self._bags[name])
                reached("bag written")

    def save_again(self) -> None:
        """Write what a command had written before it was taken back. Raises BagError."""
        for name in self._written:
            self._store.save(self._kinds[name], self._bags[name])
        self._written.clear()

    def finish(self, job: Job, names: Iterable[str]) -> None:
        """A command is done: its file is archived, or is the journal of the bags that are not written yet."""
        if self._unsaved.isdisjoint(names):
            self._archive(job)
        else:
            self._intake.secure(job.claimed)
            self._unfinished.append(job)

    def flush(self) -> None:
        """Write what was deferred, then archive its commands. Raises BagError; then they stay the journal."""
        for name in sorted(self._unsaved):
            self._store.save(self._kinds[name], self._bags[name])
            self._unsaved.discard(name)
        for job in self._unfinished:
            self._archive(job)
        self._unfinished.clear()

    def unsaved(self) -> bool:
        """Whether there is something to flush."""
        return bool(self._unsaved or self._unfinished)

    def refuse(self, job: Job, error: VrouterError, type: str = "") -> Outcome:
        """A command cannot be applied: its file is kept beside the reasons."""
        type = error.type if isinstance(error, Refused) else type
        self._intake.refuse(job.claimed, type, faults_of(error))
        return Outcome(job.claimed.name, type, faults=faults_of(error))

    def _archive(self, job: Job) -> None:
        """The command is done, so a copy that cannot be kept is no reason to take it back."""
        if job.keep:
            try:
                self._intake.archive(job.claimed)
                return
            except IntakeError:
                pass
        self._intake.discard(job.claimed)
