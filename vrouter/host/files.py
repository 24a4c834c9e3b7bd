"""Files and kernel settings: read, and replaced whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vrouter.errors import HostError
from vrouter.model.resources import File, Key, Resource, Sysctl
from vrouter.plan import Holding, Plan

_PROC = Path("/proc/sys")


def observe(want: Holding) -> dict[Key, Resource]:
    """The files and settings that are asked for, as they are now. Raises HostError."""
    found: dict[Key, Resource] = {}
    for key, resource in want.items():
        if isinstance(resource, File):
            held = read(resource.path)
            if held is not None:
                found[key] = held
        elif isinstance(resource, Sysctl):
            found[key] = Sysctl(name=resource.name, value=_setting(resource.name))
    return found


def read(path: str) -> File | None:
    """A file's text and mode; None when it is not there."""
    try:
        with open(path, "rb") as handle:
            mode = stat.S_IMODE(os.fstat(handle.fileno()).st_mode)
            return File(path=path, text=handle.read().decode(errors="surrogateescape"), mode=mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error


def _setting(name: str) -> str:
    try:
        return (_PROC / name).read_text().strip()
    except OSError:
        return "absent"


def free_bytes(path: str) -> int | None:
    """Room for more on the disk that holds a directory; None where there is none yet."""
    try:
        held = os.statvfs(path)
    except OSError:
        return None
    return held.f_bavail * held.f_frsize


def apply(plan: Plan) -> None:
    """Write and remove what the plan says. Raises HostError naming file or setting."""
    for resource in plan.put:
        if isinstance(resource, File):
            write(resource)
        elif isinstance(resource, Sysctl):
            try:
                (_PROC / resource.name).write_text(resource.value)
            except OSError as error:
                raise HostError(f"cannot set {resource.name} to {resource.value}: {error.strerror}") from error
    for resource in plan.remove:
        if isinstance(resource, File):
            remove(resource.path)


def remove(path: str) -> None:
    """Take a file away, if it is there. Raises HostError."""
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise HostError(f"cannot remove {path}: {error.strerror}") from error


def write(file: File) -> None:
    """Replace a file whole: readers see the old text or the new one, never a part."""
    path = Path(file.path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.new"  # a leading dot: dnsmasq does not read it (contract lab-notes)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, file.mode)
        with open(descriptor, "wb") as handle:
            os.fchmod(descriptor, file.mode)
            handle.write(file.text.encode(errors="surrogateescape"))
        os.replace(temporary, path)
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error
