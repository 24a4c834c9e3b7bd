"""The cache directory: lock, claim, archive, refuse (contract commands 2, design 1 and 4a)."""

from __future__ import annotations

import errno
import fcntl
import glob
import gzip
import json
import os
import stat
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vrouter.durable import make_directory, replace_file, sync_directory
from vrouter.errors import Fault, IntakeError
from vrouter.faults import reached
from vrouter.model.settings import Settings

BOOT = "cmd_line.json"  # honoured before any other command (contract commands 7.1, K10)
_MOST_BYTES = 64 * 1024 * 1024
_MOST_DONE, _MOST_REFUSED = 2000, 500
_MOST_COMMAND_BYTES = 32 * 1024 * 1024
_MOST_NAME_BYTES = 200  # a file system takes 255, and a name gets a UUID and suffixes


def is_command(name: str) -> bool:
    """Whether a file of that name in the cache is a command (contract commands 1.2): `*.json` or `*.json.*`."""
    return not name.startswith(".") and (name.endswith(".json") or ".json." in name)


_KEEP, _DELETE = 0o600, 0o700  # modes of a claimed file, so that a later process knows what becomes of it


@dataclass(frozen=True)
class Claimed:
    """A command file that is ours alone; while it exists the command is not finished.

    keep: archive it when it is done, else delete it (contract commands 2.1). stamp: its place in the order of claims,
    nanoseconds since the epoch.
    """

    name: str
    path: Path
    keep: bool = True
    stamp: int = 0

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
        self._last_claim_ns = 0
        self._kept, self._refused = _Bounded(self._done, _MOST_DONE), _Bounded(self._failed, _MOST_REFUSED)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time; waits for the other. Raises IntakeError when the directories cannot be used."""
        try:
            for directory in (self._cache, self._claimed, self._done, self._failed, self._lock.parent):
                make_directory(directory, 0o700)
            for directory in (self._claimed, self._done, self._failed):
                directory.chmod(0o700)
            handle = open(self._lock, "w")  # noqa: SIM115  # held for the whole block
        except OSError as error:
            raise IntakeError(f"cannot use {error.filename}: {error.strerror}") from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def is_free(self) -> bool:
        """Whether nobody holds the lock now."""
        try:
            with open(self._lock, "w") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.EACCES)
        return True

    def left_over(self) -> list[Claimed]:
        """What a run that died had claimed, oldest first."""
        found = sorted((path.stat().st_mtime_ns, path, path.stat().st_mode) for path in self._claimed.iterdir())
        self._last_claim_ns = max([self._last_claim_ns, *(claimed_ns for claimed_ns, _, _ in found)])
        return [Claimed(path.name, path, stat.S_IMODE(mode) != _DELETE, stamp) for stamp, path, mode in found]

    def boot_waits(self) -> bool:
        """Whether boot arguments have not been taken yet."""
        return (self._cache / BOOT).is_file()

    def waiting(self, older_than_s: float) -> list[str]:
        """Names of command files that lie in the cache and were written some time ago, oldest first."""
        found = []
        for entry in os.scandir(self._cache):
            with suppress(OSError):  # somebody took it away again
                if is_command(entry.name) and entry.is_file(follow_symlinks=False):
                    found.append((entry.stat().st_mtime, entry.name))
        now = time.time()
        return [name for written, name in sorted(found) if not now - older_than_s <= written <= now]  # clocks jump

    def claim(self, name: str, keep: bool = True) -> Claimed | None:
        """Take a command file; None when it is not there. Raises IntakeError for a name that is a path."""
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise IntakeError(f"{name!r} is not a file name; give the name of a file in {self._cache}")
        if len(os.fsencode(name)) > _MOST_NAME_BYTES:
            raise IntakeError(f"{name[:40]!r}... is longer than {_MOST_NAME_BYTES} bytes")
        source, target = self._cache / name, self._claimed / name
        try:
            if not source.is_file() or source.is_symlink():
                return None
            stamp = self._stamp(source)
            os.chmod(source, _KEEP if keep else _DELETE)
            os.rename(source, target)
        except OSError as error:
            raise IntakeError(f"cannot claim {name!r}: {error.strerror}") from error
        reached("claimed")
        return Claimed(name, target, keep, stamp)

    def delete_later(self, claimed: Claimed) -> Claimed:
        """The same command; its file is not kept when it is done."""
        with suppress(OSError):
            os.chmod(claimed.path, _DELETE)
        return replace(claimed, keep=False)

    def _stamp(self, path: Path) -> int:
        """Write the order of claims down: the kernel's own times are too coarse for it, and the clock may jump."""
        self._last_claim_ns = max(self._last_claim_ns + 1, time.time_ns())
        os.utime(path, ns=(self._last_claim_ns, self._last_claim_ns))
        return self._last_claim_ns

    def copy_in(self, name: str, content: bytes) -> Claimed:
        """An operator's command, claimed under a name of its own; the original stays. Raises IntakeError."""
        base = os.fsencode(os.path.basename(name))[: _MOST_NAME_BYTES - 40]
        name = f"{os.fsdecode(base)}.{uuid.uuid4()}"
        try:
            descriptor = os.open(self._claimed / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as handle:
                handle.write(content)
            stamp = self._stamp(self._claimed / name)
        except OSError as error:
            raise IntakeError(f"cannot copy {name!r} into {self._claimed}: {error.strerror}") from error
        return Claimed(name, self._claimed / name, stamp=stamp)

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

    def earlier_answer(self, name: str) -> tuple[int, str]:
        """Exit status and text for a name that is not in the cache any more (contract commands 2.2)."""
        if self.was_done(name):
            return 0, ""
        why = self.was_refused(name)
        shown = name if name.isprintable() else repr(name)
        return 1, f"{shown} was refused:\n{why}" if why else f"{shown}: no such file in the cache"

    def forget(self, name: str) -> None:
        """Delete the archived copy of a command whose caller said so late (`false`); older ones of the name stay."""
        copies = [self._done / f"{name}.gz", *self._done.glob(f"{glob.escape(name)}.*.gz")]
        with suppress(ValueError, OSError):
            max((path for path in copies if path.exists()), key=lambda path: path.stat().st_mtime_ns).unlink()

    def archive(self, done: Sequence[Claimed]) -> list[Claimed]:
        """Keep commands that are done, gzipped, or delete them where they say so; a bare wire name gets a suffix
        (contract commands 2.4). They are done, so a copy that cannot be kept is no reason to stop.

        Those whose claimed file is still there: the disk refused, and the next process would take them up again."""
        left = []
        for claimed in done:
            if claimed.keep:
                with suppress(OSError):
                    self._keep(claimed)
        with suppress(OSError):
            sync_directory(self._done)  # before the originals go
        for claimed in done:
            try:
                claimed.path.unlink(missing_ok=True)
            except OSError:
                left.append(claimed)
        return left

    def _keep(self, claimed: Claimed) -> None:
        name = claimed.name if claimed.name.count(".") != 1 else f"{claimed.name}.{uuid.uuid4()}"
        target = self._done / f"{name}.gz"
        replace_file(target, gzip.compress(claimed.path.read_bytes(), compresslevel=1))
        for path in (self._failed / claimed.name, self._failed / f"{claimed.name}.error"):
            path.unlink(missing_ok=True)
        self._kept.added(target)

    def secure(self, journal: Iterable[Claimed]) -> None:
        """Make claimed files last: they are the journal of what has not been saved yet. Raises IntakeError."""
        try:
            for claimed in journal:
                with open(claimed.path, "rb") as handle:
                    os.fsync(handle.fileno())
            sync_directory(self._claimed)
        except OSError as error:
            raise IntakeError(f"cannot keep {error.filename or self._claimed}: {error.strerror}") from error

    def is_pushed_again(self, name: str) -> bool:
        """Whether a file waits under the name of one that is claimed and not archived yet."""
        return os.path.exists(self._claimed / name) and os.path.exists(self._cache / name)  # of any name, however long

    def refuse(self, claimed: Claimed, type: str, faults: Sequence[Fault]) -> None:
        """Keep a refused command beside a `.error` file that says why (design 4a)."""
        report = {
            "file": claimed.name,
            "type": type,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "faults": [fault.as_json() for fault in faults],
        }
        error_file = self._failed / f"{claimed.name}.error"
        try:
            replace_file(error_file, json.dumps(report, indent=2).encode())
            os.chmod(claimed.path, _KEEP)
            os.replace(claimed.path, self._failed / claimed.name)
        except OSError:
            # A full disk: the file itself needs no room to be moved, and the caller has the faults.
            with suppress(OSError):
                os.replace(claimed.path, self._failed / claimed.name)
        for path in (error_file, self._failed / claimed.name):
            self._refused.added(path)


class _Bounded:
    """A directory that keeps its newest files, up to a number and 64 MiB. It is listed once, then remembered."""

    def __init__(self, directory: Path, most: int) -> None:
        self._directory, self._most = directory, most
        self._sizes: OrderedDict[Path, int] = OrderedDict()  # oldest first
        self._total = 0

    def added(self, path: Path) -> None:
        """A file was written; the oldest beyond the bounds go."""
        if not self._sizes:
            found = [(entry.stat().st_mtime_ns, Path(entry.path), entry.stat().st_size)
                     for entry in os.scandir(self._directory)]  # fmt: skip
            self._sizes.update((each, size) for _, each, size in sorted(found))
            self._total = sum(self._sizes.values())
        self._total -= self._sizes.pop(path, 0)
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            self._sizes[path] = size
            self._total += size
        while len(self._sizes) > self._most or self._total > _MOST_BYTES:
            oldest, size = self._sizes.popitem(last=False)
            self._total -= size
            oldest.unlink(missing_ok=True)
