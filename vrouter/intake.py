"""The cache directory: lock, claim, archive, refuse (contract commands 2, design 1 and 4a)."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vrouter.errors import Fault, IntakeError
from vrouter.model.settings import Settings

BOOT = "cmd_line.json"  # honoured before any other command (contract commands 7.1, K10)
_MOST_BYTES = 64 * 1024 * 1024
_MOST_DONE, _MOST_REFUSED = 2000, 500
_MOST_COMMAND_BYTES = 32 * 1024 * 1024
_MOST_NAME_BYTES = 200  # a file system takes 255, and a name gets a UUID and suffixes


@dataclass(frozen=True)
class Claimed:
    """A command file that is ours alone; while it exists the command is not finished."""

    name: str
    path: Path

    def read(self) -> bytes:
        """Its bytes, one more than the limit at most. Raises IntakeError."""
        try:
            with open(self.path, "rb") as handle:
                return handle.read(_MOST_COMMAND_BYTES + 1)
        except OSError as error:
            raise IntakeError(f"cannot read {self.name!r}: {error.strerror}") from error


class Intake:
    """The directories of one router's commands; all of them are for root alone."""

    def __init__(self, settings: Settings) -> None:
        self._cache = Path(settings.cache_dir)
        self._claimed, self._done, self._failed = (self._cache / name for name in ("claimed", "processed", "failed"))
        self._lock = Path(settings.run_dir) / "lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time; waits for the other. Raises IntakeError when the directories cannot be used."""
        try:
            for directory in (self._cache, self._claimed, self._done, self._failed, self._lock.parent):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for directory in (self._claimed, self._done, self._failed):
                directory.chmod(0o700)
            handle = open(self._lock, "w")  # noqa: SIM115  # held for the whole block
        except OSError as error:
            raise IntakeError(f"cannot use {error.filename}: {error.strerror}") from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def left_over(self) -> list[Claimed]:
        """What a run that died had claimed, oldest first."""
        found = [Claimed(path.name, path) for path in self._claimed.iterdir()]
        return sorted(found, key=lambda claimed: claimed.path.stat().st_mtime)

    def boot_waits(self) -> bool:
        """Whether boot arguments have not been taken yet."""
        return (self._cache / BOOT).is_file()

    def claim(self, name: str) -> Claimed | None:
        """Take a command file; None when it is not there. Raises IntakeError for a name that is a path."""
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise IntakeError(f"{name!r} is not a file name; give the name of a file in {self._cache}")
        if len(os.fsencode(name)) > _MOST_NAME_BYTES:
            raise IntakeError(f"{name[:40]!r}... is longer than {_MOST_NAME_BYTES} bytes")
        source, target = self._cache / name, self._claimed / name
        try:
            if not source.is_file() or source.is_symlink():
                return None
            os.rename(source, target)
        except OSError as error:
            raise IntakeError(f"cannot claim {name!r}: {error.strerror}") from error
        return Claimed(name, target)

    def copy_in(self, path: str) -> Claimed:
        """A copy of an operator's file, claimed under a name of its own; the original stays. Raises IntakeError."""
        base = os.fsencode(os.path.basename(path))[: _MOST_NAME_BYTES - 40]
        name = f"{os.fsdecode(base)}.{uuid.uuid4()}"
        try:
            shutil.copyfile(path, self._claimed / name)
        except OSError as error:
            raise IntakeError(f"cannot read {path!r}: {error.strerror}") from error
        return Claimed(name, self._claimed / name)

    def was_done(self, name: str) -> bool:
        """Whether a command of that name is archived (contract commands 2.2)."""
        return (self._done / f"{name}.gz").exists()

    def was_refused(self, name: str) -> str | None:
        """Why a command of that name was refused, as its `.error` file says; None if it was not."""
        try:
            found = json.loads((self._failed / f"{name}.error").read_text())
            return "\n".join(str(Fault(**fault)) for fault in found["faults"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def archive(self, claimed: Claimed) -> None:
        """Keep a command that is done, gzipped; a bare wire name gets a suffix (contract commands 2.4)."""
        name = claimed.name if claimed.name.count(".") != 1 else f"{claimed.name}.{uuid.uuid4()}"
        target = self._done / f"{name}.gz"
        temporary = self._done / f".{name}.new"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as handle, open(claimed.path, "rb") as source:
                with gzip.GzipFile(fileobj=handle, mode="wb", filename="", compresslevel=1) as packed:
                    shutil.copyfileobj(source, packed)
                handle.flush()
                os.fsync(descriptor)
            os.replace(temporary, target)
            (self._failed / claimed.name).unlink(missing_ok=True)
            (self._failed / f"{claimed.name}.error").unlink(missing_ok=True)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise IntakeError(f"cannot archive {claimed.name!r}: {error.strerror}") from error
        self.discard(claimed)
        _bounded(self._done, _MOST_DONE)

    def discard(self, claimed: Claimed) -> None:
        """Delete a command that is done."""
        claimed.path.unlink(missing_ok=True)

    def refuse(self, claimed: Claimed, type: str, faults: Sequence[Fault]) -> None:
        """Keep a refused command beside a `.error` file that says why (design 4a). Raises IntakeError."""
        report = {
            "file": claimed.name,
            "type": type,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "faults": [fault.as_json() for fault in faults],
        }
        try:
            error_file = self._failed / f"{claimed.name}.error"
            descriptor = os.open(error_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w") as handle:
                json.dump(report, handle, indent=2)
            os.chmod(claimed.path, 0o600)
            os.replace(claimed.path, self._failed / claimed.name)
        except OSError as error:
            raise IntakeError(f"cannot keep the refused {claimed.name!r}: {error.strerror}") from error
        _bounded(self._failed, _MOST_REFUSED)


def _bounded(directory: Path, most: int) -> None:
    """Delete the oldest files beyond the number or 64 MiB."""
    entries = []
    for path in os.scandir(directory):
        status = path.stat()
        entries.append((status.st_mtime_ns, path.path, status.st_size))
    size = sum(entry[2] for entry in entries)
    entries.sort()
    for place, (_, name, bytes_) in enumerate(entries):
        if len(entries) - place <= most and size <= _MOST_BYTES:
            break
        Path(name).unlink(missing_ok=True)
        size -= bytes_
