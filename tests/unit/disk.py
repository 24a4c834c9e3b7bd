"""A disk that remembers every operation below a directory, and says what a power cut may leave of them.

The model promises less than ext4 does. Data that was not fsynced may be lost or cut. A rename is one step; of the steps
in directories since their last fsync any may be there and any may be missing, but steps on one name keep their order.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, count, product
from pathlib import Path
from typing import Any

import pytest

Names = dict[str, int | None]  # what a step makes of paths: the file's number, 0 for a directory, None for nothing
_DIRECTORY = 0
_FEW = 8  # steps of which every subset is looked at
_NEEDS_ROOM = ("create", "write", "mkdir")


@dataclass(frozen=True)
class _Step:
    kind: str  # names, data, file, directory, mark
    names: Names | None = None
    number: int = 0
    content: bytes = b""
    text: str = ""


@dataclass(frozen=True)
class Cut:
    """What a power cut may leave. marks: what had been said by then. files: path below the root to content."""

    marks: tuple[str, ...]
    files: dict[str, bytes]

    def below(self, directory: str) -> dict[str, bytes]:
        """The files of one directory, by name."""
        return {name: text for path, text in self.files.items() for head, name in [os.path.split(path)]
                if head == directory}  # fmt: skip


class Disk:
    """fails_at: the number of the operation that fails with `error`; where a full disk fails, all later ones that need
    room fail as well."""

    def __init__(self, root: Path, fails_at: int = -1, error: int = errno.EIO) -> None:
        self._root, self._fails_at, self._error = str(root), fails_at, error
        self._steps: list[_Step] = []
        self._numbers = count(1)
        self._held: Names = {}
        self._content: dict[int, bytes] = {}
        self.operations = 0
        self._real: dict[str, Callable[..., Any]] = {}

    # -- recording ----------------------------------------------------------------------------------------------------

    @contextmanager
    def recording(self) -> Iterator[None]:
        """All that the block does below the root; what is there already has been there for long."""
        for parent, directories, files in os.walk(self._root):
            for name in directories:
                self._held[self._path(os.path.join(parent, name))] = _DIRECTORY
            for name in files:
                self._held[self._path(os.path.join(parent, name))] = number = next(self._numbers)
                self._content[number] = Path(parent, name).read_bytes()
        self._before = (dict(self._held), dict(self._content))
        with pytest.MonkeyPatch.context() as patch:
            for name in ("open", "fsync", "rename", "replace", "unlink", "mkdir", "chmod", "utime"):
                self._real[name] = getattr(os, name)
                patch.setattr(os, name, getattr(self, f"_{name}"))
            yield
            self._look()

    def mark(self, text: str) -> None:
        """Something was said to the world outside."""
        self._look()
        self._steps.append(_Step("mark", text=text))

    def _path(self, path: Any) -> str:
        return os.path.relpath(os.fspath(path), self._root)

    def _is_here(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and str(path).startswith(self._root)

    def _look(self) -> None:
        """Note what was written since."""
        for path, number in self._held.items():
            if number:
                with self._reading(path) as handle:
                    content = handle.read()
                if content != self._content.get(number, b""):
                    self._content[number] = content
                    self._steps.append(_Step("data", number=number, content=content))

    def _reading(self, path: str) -> Any:
        return os.fdopen(self._real["open"](os.path.join(self._root, path), os.O_RDONLY), "rb")

    def _operation(self, kind: str) -> bool:
        """Count one; whether it is to fail."""
        self._look()
        number, self.operations = self.operations, self.operations + 1
        full = self._error == errno.ENOSPC
        return (number >= self._fails_at >= 0 and kind in _NEEDS_ROOM) if full else number == self._fails_at

    def _try(self, kind: str, path: Any) -> None:
        if self._operation(kind):
            raise OSError(self._error, os.strerror(self._error), os.fspath(path))

    def _names(self, **names: int | None) -> None:
        self._held |= names
        self._held = {path: number for path, number in self._held.items() if number is not None}
        self._steps.append(_Step("names", names=names))

    def _open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if not self._is_here(path):
            return int(self._real["open"](path, flags, mode, **more))
        new = flags & os.O_CREAT and self._path(path) not in self._held
        self._try("create" if new else "open", path)
        descriptor = int(self._real["open"](path, flags, mode, **more))
        if new:
            self._names(**{self._path(path): next(self._numbers)})
        if flags & os.O_WRONLY and self._operation("write"):
            full = self._real["open"]("/dev/full", os.O_WRONLY)  # the first write fails there
            os.dup2(full, descriptor)
            os.close(full)
        return descriptor

    def _fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if self._is_here(path):
            self._try("fsync", path)
            number = self._held[self._path(path)] if path != self._root else _DIRECTORY
            self._steps.append(_Step("file" if number else "directory", number=number or 0, text=self._path(path)))

    def _move(self, name: str, source: Any, target: Any) -> None:
        if self._is_here(source):
            self._try(name, source)
        self._real[name](source, target)
        if self._is_here(source):
            self._names(**{self._path(source): None, self._path(target): self._held[self._path(source)]})

    def _rename(self, source: Any, target: Any) -> None:
        self._move("rename", source, target)

    def _replace(self, source: Any, target: Any) -> None:
        self._move("replace", source, target)

    def _unlink(self, path: Any, **more: Any) -> None:
        if self._is_here(path):
            self._try("unlink", path)
        self._real["unlink"](path, **more)
        if self._is_here(path):
            self._names(**{self._path(path): None})

    def _mkdir(self, path: Any, *more: Any, **named: Any) -> None:
        if self._is_here(path) and not os.path.isdir(path):
            self._try("mkdir", path)
        self._real["mkdir"](path, *more, **named)
        if self._is_here(path):
            self._names(**{self._path(path): _DIRECTORY})

    def _chmod(self, path: Any, *more: Any, **named: Any) -> None:
        if self._is_here(path):
            self._try("chmod", path)
        self._real["chmod"](path, *more, **named)

    def _utime(self, path: Any, *more: Any, **named: Any) -> None:
        if self._is_here(path):
            self._try("utime", path)
        self._real["utime"](path, *more, **named)

    # -- power cuts ---------------------------------------------------------------------------------------------------

    def cuts(self, in_order: bool = False) -> Iterator[Cut]:
        """Every state of the disk after a power cut between any two steps. in_order: steps in directories are lost from
        the last one back, as ext4's journal has it."""
        names, content = self._before
        lasting, cached, names, waiting, marks = dict(content), dict(content), dict(names), list[Names](), list[str]()
        for step in (_Step("start"), *self._steps):
            if step.names:
                waiting.append(step.names)
            elif step.kind == "data":
                cached[step.number] = step.content
            elif step.kind == "file":
                lasting[step.number] = cached.get(step.number, b"")
            elif step.kind == "directory":
                kept = _needed(waiting, [place for place, one in enumerate(waiting) if _touches(one, step.text)])
                for place in kept:
                    names |= waiting[place]
                waiting = [one for place, one in enumerate(waiting) if place not in kept]
            elif step.kind == "mark":
                marks.append(step.text)
            for chosen in _prefixes(waiting) if in_order else _subsets(waiting):
                there = dict(names)
                for one in chosen:
                    there |= one
                yield from (Cut(tuple(marks), files) for files in _contents(there, lasting, cached))


def _touches(names: Names, directory: str) -> bool:
    return any((os.path.dirname(path) or ".") == directory for path in names)


def _needed(waiting: Sequence[Names], places: Sequence[int]) -> list[int]:
    """These steps, and those before them on the same names."""
    found = set(places)
    for place in range(len(waiting) - 1, -1, -1):
        if any(later > place and not waiting[later].keys().isdisjoint(waiting[place]) for later in found):
            found.add(place)
    return sorted(found)


def _prefixes(waiting: Sequence[Names]) -> Iterator[Sequence[Names]]:
    return (waiting[:length] for length in range(len(waiting) + 1))


def _subsets(waiting: Sequence[Names]) -> Iterator[Sequence[Names]]:
    """All of them; of many steps those with a few that are there, or a few that are missing."""
    most = len(waiting)
    lengths = range(most + 1) if most <= _FEW else (0, 1, 2, most - 2, most - 1, most)
    for length in lengths:
        for places in combinations(range(len(waiting)), length):
            if _needed(waiting, places) == list(places):
                yield [waiting[place] for place in places]


def _contents(names: Names, lasting: dict[int, bytes], cached: dict[int, bytes]) -> Iterator[dict[str, bytes]]:
    """Every content that the files of a tree may have; those of a directory that is lost are lost with it."""
    there = {path: number for path, number in names.items() if number is not None}
    files = [path for path, number in there.items() if number and _is_reached(path, there)]
    versions = []
    for path in files:
        old, new = lasting.get(there[path], b""), cached.get(there[path], b"")
        versions.append([old] if old == new and there[path] in lasting else list({old, new, new[: len(new) // 2]}))
    for chosen in product(*versions):
        yield dict(zip(files, chosen, strict=True))


def _is_reached(path: str, there: dict[str, int]) -> bool:
    parent = os.path.dirname(path)
    return not parent or (there.get(parent) == _DIRECTORY and _is_reached(parent, there))
