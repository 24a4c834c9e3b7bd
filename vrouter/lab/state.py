"""Where a lab is written down, and the lock that keeps two commands from working on one lab.

`/run/vrouter-lab/NAME/` (`VROUTER_LAB_DIR` replaces `/run/vrouter-lab`) holds `state.json` once the lab is complete,
and for each node its log, its own files and a mount point. The directory itself carries the lock: nothing stays.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vrouter.lab import shape
from vrouter.lab.errors import LabError
from vrouter.lab.topology import Topology

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_FILE = "state.json"


@dataclass(frozen=True)
class State:
    """A complete lab.

    topology: what it was started from. started: seconds since the epoch. nodes: name to process id of the box's PID 1,
    the switch included.
    """

    name: str
    topology: Topology
    started: float
    nodes: dict[str, int]


def root() -> Path:
    """The directory of all labs."""
    return Path(os.environ.get("VROUTER_LAB_DIR", "/run/vrouter-lab")).absolute()


def checked(name: str) -> str:
    """The name of a lab; raises LabError when it cannot be one (it becomes a directory)."""
    if not _NAME.fullmatch(name):
        raise LabError(f"{name!r} is not a lab name: [a-z0-9][a-z0-9-]*, at most 31 characters")
    return name


def names() -> list[str]:
    """Labs that have a directory, complete or not, sorted."""
    with suppress(FileNotFoundError):
        return sorted(entry.name for entry in root().iterdir() if _NAME.fullmatch(entry.name))
    return []


def load(name: str) -> State | None:
    """None when there is no such lab or it is not complete, which includes a file that cannot be read."""
    try:
        found = json.loads((root() / checked(name) / _FILE).read_bytes())
        return State(**{**found, "topology": shape.loaded(found["topology"])})
    except (OSError, ValueError, TypeError, LookupError):
        return None


def save(state: State) -> None:
    """Replace the file whole; on tmpfs, so nothing is synced."""
    path = root() / state.name / _FILE
    fresh = path.with_suffix(".new")
    tree = {
        "name": state.name,
        "topology": shape.dumped(state.topology),
        "started": state.started,
        "nodes": state.nodes,
    }
    fresh.write_text(json.dumps(tree) + "\n")
    fresh.replace(path)


def remove(name: str) -> None:
    """Forget the lab, whose boxes must have ended. Raises LabError when something cannot be removed."""
    try:
        shutil.rmtree(root() / checked(name))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LabError(f"cannot remove the directory of lab {name}: {error}") from error
    with suppress(OSError):  # other labs are there
        root().rmdir()


@contextmanager
def locked(name: str, wait_s: float) -> Iterator[Path]:
    """Hold the lab's directory, made if it is not there, against every other command.

    The lock ends with this process and is not inherited past an exec: when it can be had, each child that a killed
    command had just forked is a process with its marker. Raises LabError after `wait_s` seconds. What is still empty
    at the end is removed.
    """
    directory = root() / checked(name)
    end = time.monotonic() + wait_s
    held = None
    try:
        while (held := _try_lock(directory)) is None:
            if time.monotonic() > end:
                raise LabError(f"lab {name} is being started, changed or ended by another command")
            time.sleep(0.02)
        yield directory
    finally:
        if held is not None:
            with suppress(OSError):  # not empty
                directory.rmdir()
                root().rmdir()
            os.close(held)


def _try_lock(directory: Path) -> int | None:
    """A descriptor that holds the lock; None when another has it or took the directory away."""
    with suppress(FileNotFoundError):  # another command removed a parent meanwhile
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(held), os.stat(directory)):
                return held
        except BlockingIOError:
            pass
        except BaseException:
            os.close(held)
            raise
        os.close(held)
    return None
