"""The last states of all bags on disk, and which command sent each entry that is there.

A record of what happened, not the truth: a command does not fail because it cannot be recorded, and where a record is
missing the way back ends there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from vrouter.intake import Claimed
from vrouter.model.history import Edit, Place, State, loaded
from vrouter.model.settings import Settings

_MOST, _MOST_BYTES = 50, 64 * 1024 * 1024
_LARGE_BYTES = 8 * 1024 * 1024  # of the senders, from which it is worth dropping what is gone


@dataclass(frozen=True)
class Sent:
    """The command that an entry came with. time: UTC, ISO 8601."""

    file: str
    type: str
    time: str


class History:
    """Two records in one directory: a file for each of the last states, and a log of who sent what."""

    def __init__(self, settings: Settings) -> None:
        self._directory = Path(settings.history_dir)
        self._senders = self._directory / "senders.log"
        self._kept: dict[int, tuple[int, Path]] | None = None  # stamp and file by number; listed when first needed

    def record(self, done: Sequence[tuple[Claimed, str, Mapping[Place, Edit]]]) -> list[int]:
        """Keep what commands edited, each with its type; the number of each state.

        Nought for a command that edited nothing, or that could not be kept.
        """
        numbers = [0] * len(done)
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept = self._listed()
            known = {stamp: number for number, (stamp, _) in kept.items()}
            fresh = [place for place, (claimed, _, edits) in enumerate(done) if edits and claimed.stamp not in known]
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            for place, (claimed, type, edits) in enumerate(done):
                numbers[place] = known.get(claimed.stamp, 0)
                if place in fresh:
                    numbers[place] = number = max(kept, default=0) + 1
                    self._keep(State(number, now, claimed.name, type, claimed.stamp, edits))
            self._send([(now, *done[place]) for place in fresh])
        return numbers

    def states(self) -> list[State]:
        """Those that are kept without a gap up to the last one, oldest first."""
        found: list[State] = []
        with suppress(OSError, ValueError):
            for number, (_, path) in sorted(self._listed().items(), reverse=True):
                if found and number != found[-1].number - 1:
                    break
                found.append(loaded(orjson.loads(path.read_bytes())))
        return found[::-1]

    def senders(self) -> dict[Place, Sent]:
        """The last command of each entry, also of commands whose state is not kept any more."""
        found: dict[Place, Sent] = {}
        with suppress(OSError):
            for line in self._senders.read_bytes().splitlines():
                with suppress(ValueError, TypeError):  # cut by a power loss
                    when, file, type, places = orjson.loads(line)
                    sent = Sent(file, type, when)
                    for bag, key, held in places:
                        if held:
                            found[bag, key] = sent
                        else:
                            found.pop((bag, key), None)
        return found

    def _listed(self) -> dict[int, tuple[int, Path]]:
        if self._kept is None:
            self._kept = {}
            with suppress(FileNotFoundError):
                for path in self._directory.glob("*-*.json"):
                    number, _, stamp = path.stem.partition("-")
                    if number.isdecimal() and stamp.isdecimal():
                        self._kept[int(number)] = (int(stamp), path)
        return self._kept

    def _keep(self, state: State) -> None:
        path = self._directory / f"{state.number:08}-{state.stamp}.json"
        _write(path, os.O_TRUNC, [orjson.dumps(state.as_json())])
        kept = self._listed()
        kept[state.number] = (state.stamp, path)
        size = 0
        for number in sorted(kept, reverse=True):
            size += kept[number][1].stat().st_size
            if number <= state.number - _MOST or (size > _MOST_BYTES and number != state.number):
                kept.pop(number)[1].unlink(missing_ok=True)

    def _send(self, done: Iterable[tuple[str, Claimed, str, Mapping[Place, Edit]]]) -> None:
        lines = [
            orjson.dumps([now, claimed.name, type, [[*place, edit.after is not None] for place, edit in edits.items()]])
            for now, claimed, type, edits in done
        ]
        _write(self._senders, os.O_APPEND, lines)
        if lines and self._senders.stat().st_size > _LARGE_BYTES:
            self._compact()

    def _compact(self) -> None:
        places: dict[Sent, list[Place]] = {}
        for place, sent in self.senders().items():
            places.setdefault(sent, []).append(place)
        lines = [
            orjson.dumps([sent.time, sent.file, sent.type, [[*place, True] for place in held]])
            for sent, held in sorted(places.items(), key=lambda item: item[0].time)
        ]
        fresh = self._senders.with_suffix(".new")
        _write(fresh, os.O_TRUNC, lines)
        fresh.replace(self._senders)


def _write(path: Path, how: int, lines: Iterable[bytes]) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb") as handle:
        handle.writelines(line + b"\n" for line in lines)
