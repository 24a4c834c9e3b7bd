"""What the cache directory tells of commands: those that wait, and the last ones that are done. Only reads."""

from __future__ import annotations

import gzip
import heapq
import json
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from vrouter.errors import Fault
from vrouter.intake import is_command
from vrouter.model.observed import Done, Waiting
from vrouter.model.settings import Settings
from vrouter.outcome import Outcome

_MOST = 50
_LOOKED_AT = 1 << 18  # bytes of an archived command in which its type is looked for
_TYPE = re.compile(rb'"type"\s*:\s*"(\w{1,40})"')
_SAME_S = 30.0  # a bare name is archived with a suffix: one so close in time is the same command


class Recent:
    """The last commands of a resident process, with what no file tells: how long they took."""

    def __init__(self) -> None:
        self._done: deque[Done] = deque(maxlen=_MOST)

    def add(self, outcome: Outcome) -> None:
        """A command was answered now."""
        self._done.append(
            Done(
                file=outcome.file, type=outcome.type, time=time.time(), refused=bool(outcome.faults),
                faults=tuple(map(str, outcome.faults)), changes=len(outcome.plan.changes),
                took_ms=outcome.elapsed_s * 1000,
            )
        )  # fmt: skip

    def last(self) -> tuple[Done, ...]:
        """The newest last."""
        return tuple(self._done)


def waiting(settings: Settings) -> tuple[Waiting, ...]:
    """Command files that are not done, the oldest first."""
    now = time.time()
    cache = Path(settings.cache_dir)
    lying = [(now - written, name, False) for written, name in _files(cache) if is_command(name)]
    taken = [(now - written, name, True) for written, name in _files(cache / "claimed")]
    return tuple(
        Waiting(file=name, age_s=max(0.0, age), claimed=claimed)
        for age, name, claimed in sorted([*lying, *taken], reverse=True)
    )


def last_commands(settings: Settings, remembered: Iterable[Done], most: int) -> tuple[Done, ...]:
    """The newest first, from `processed/`, `failed/` and memory; memory knows more of the same command."""
    cache = Path(settings.cache_dir)
    done = [(written, name, False) for written, name in _files(cache / "processed") if name.endswith(".gz")]
    refused = [(written, name, True) for written, name in _files(cache / "failed") if name.endswith(".error")]
    known = sorted(remembered, key=lambda one: -one.time)
    found = []
    for written, name, failed in heapq.nlargest(most, [*done, *refused]):
        base = name.removesuffix(".error" if failed else ".gz")
        same = next((one for one in known if _same(one, base, written)), None)
        if same:
            known.remove(same)
            found.append(same)
        elif failed:
            found.append(_refused(cache / "failed" / name, base, written))
        else:
            found.append(Done(file=base, type=_type(cache / "processed" / name), time=written))
    return tuple(sorted([*found, *known], key=lambda one: -one.time)[:most])


def _same(one: Done, name: str, written: float) -> bool:
    return (name == one.file or name.startswith(f"{one.file}.")) and abs(one.time - written) < _SAME_S


def _files(directory: Path) -> Iterator[tuple[float, str]]:
    """When it was written, and its name; files go while one looks."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    yield entry.stat().st_mtime, entry.name


def _type(path: Path) -> str:
    """Of an archived command; a large one says it near its start or not at all."""
    try:
        with gzip.open(path) as handle:
            text = handle.read(_LOOKED_AT)
    except (OSError, EOFError, ValueError):
        return ""
    with suppress(ValueError, RecursionError):
        document = json.loads(text)
        return str(document.get("type", "")) if isinstance(document, dict) else ""
    first = _TYPE.search(text)
    return first[1].decode() if first else ""


def _refused(path: Path, name: str, written: float) -> Done:
    type, when = "", written
    faults: tuple[str, ...] = ("why is not known any more",)
    with suppress(OSError, ValueError, TypeError, KeyError):
        report = json.loads(path.read_text())
        type, faults = str(report["type"]), tuple(str(Fault(**fault)) for fault in report["faults"])
        when = datetime.strptime(report["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    return Done(file=name, type=type, time=when, refused=True, faults=faults)
