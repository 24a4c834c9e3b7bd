"""What the command lines share: a router under the lock, and its outcomes as text and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vrouter.errors import BagError, Fault
from vrouter.features import BAGS, COMMANDS
from vrouter.handlers import HANDLERS
from vrouter.host.host import Host
from vrouter.intake import BOOT, Intake
from vrouter.pending import Pending
from vrouter.pipeline import Outcome, Registry, Router
from vrouter.settings import load_settings

REGISTRY = Registry(bags=BAGS, commands=COMMANDS, handlers=HANDLERS)


@dataclass(frozen=True)
class Session:
    """One writer: the lock is held, what a dead run had claimed is finished, waiting boot arguments are taken (K10).

    finished: what became of those, by the name of the file.
    """

    router: Router
    intake: Intake
    finished: Mapping[str, Outcome]


@contextmanager
def session(waiting: bool = True, asked: str = "") -> Iterator[Session]:
    """Open one. waiting: finish first what waits; not for a command that must change nothing. asked: the file that the
    caller takes itself.

    Raises VrouterError where settings, directories, bags or machine cannot be used.
    """
    settings = load_settings(os.environ)
    intake = Intake(settings)
    with intake.locked(), Host(settings) as host:
        try:
            router = Router(settings, REGISTRY, host)
        except BagError as error:
            if asked and (claimed := intake.claim(asked)):
                intake.refuse(claimed, "", [Fault("", "", str(error))])
            raise
        finished = {}
        if waiting:
            for claimed in intake.left_over():
                finished[claimed.name] = router.run(claimed)
            if asked != BOOT and intake.boot_waits() and (boot := intake.claim(BOOT)):
                finished[BOOT] = router.run(boot)
        yield Session(router, intake, finished)


def plain(name: str) -> str:
    """A file's name on one line: quoted where it holds control characters or bytes that are no text."""
    return name if name.isprintable() else repr(name)


def outcome_text(outcome: Outcome) -> str:
    """For people: what was changed, or why it was refused."""
    if outcome.faults:
        return "\n".join([f"{plain(outcome.file)} refused:", *(f"  {fault}" for fault in outcome.faults)])
    done = f"{len(outcome.plan.changes)} changes" if outcome.plan else "nothing to change"
    return "\n".join([f"{plain(outcome.file)}: {done}", *changes_text(outcome.plan.changes_tree())])


def changes_text(changes: Sequence[dict[str, str]]) -> Iterator[str]:
    """One line a change: `+` added, `-` removed, `~` changed."""
    for change in changes:
        sign = {"add": "+", "remove": "-", "change": "~"}[change["action"]]
        content = " -> ".join(text for text in (change.get("before"), change.get("after")) if text)
        origin = f"  ({change['origin']})" if "origin" in change else ""
        yield f"  {sign} {change['kind']} {change['name']}{': ' + content if content else ''}{origin}"


def outcomes_json(outcomes: Sequence[Outcome], pending: Sequence[Pending]) -> dict[str, object]:
    """For programs: `changes` of all files in their order, then each file by itself, then what waits (design 4a)."""
    return {
        "changes": [change for outcome in outcomes for change in outcome.plan.changes_tree()],
        "files": [
            {
                "file": outcome.file,
                "type": outcome.type,
                "refused": bool(outcome.faults),
                "faults": [fault.as_json() for fault in outcome.faults],
                "changes": len(outcome.plan.changes),
                "elapsed_ms": round(outcome.elapsed_s * 1000, 2),
            }
            for outcome in outcomes
        ],
        "pending": [item.as_json() for item in pending],
    }
