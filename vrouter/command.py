"""What agent and command lines share: a router under the lock, what is asked of it, and its answers.

An answer is JSON; `answers` makes a text of it for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from vrouter.answers import Answer
from vrouter.errors import BagError, Fault, VrouterError
from vrouter.explain.answer import Origins, Sent, explained
from vrouter.explain.packet import of_json
from vrouter.features import BAGS, COMMANDS
from vrouter.handlers import HANDLERS
from vrouter.host.host import Host
from vrouter.intake import BOOT, Intake
from vrouter.model.history import Place
from vrouter.model.settings import Settings
from vrouter.outcome import Outcome, Registry
from vrouter.past import answer as past
from vrouter.pending import Pending
from vrouter.pipeline import Router
from vrouter.records import Recent
from vrouter.show.answer import VERBS as LOOKS
from vrouter.show.answer import shown, with_details
from vrouter.trace.answer import named, told

REGISTRY = Registry(bags=BAGS, commands=COMMANDS, handlers=HANDLERS)


@dataclass(frozen=True)
class Session:
    """One writer: the lock is held, what a dead run had claimed is finished, waiting boot arguments are taken (K10).

    finished: what became of those, by the name of the file. recent: the memory of the agent, where it is one.
    """

    router: Router
    intake: Intake
    finished: Mapping[str, Outcome] = field(default_factory=dict)
    recent: Recent | None = None


@contextmanager
def session(settings: Settings, waiting: bool = True, asked: str = "") -> Iterator[Session]:
    """Open one. waiting: finish first what waits; not for a command that must change nothing. asked: the file that the
    caller takes itself.

    Raises VrouterError where directories, bags or machine cannot be used.
    """
    intake = Intake(settings)
    with intake.locked(), Host(settings) as host:
        try:
            router = Router(settings, REGISTRY, host)
        except BagError as error:
            if asked and (claimed := intake.claim(asked)):
                intake.refuse(claimed, "", [Fault("", "", str(error))])
            raise
        finished: dict[str, Outcome] = {}
        if waiting:
            for claimed in intake.left_over():
                finished[claimed.name] = router.run([claimed])[claimed]
            if asked != BOOT and intake.boot_waits() and (boot := intake.claim(BOOT)):
                finished[BOOT] = router.run([boot])[boot]
        yield Session(router, intake, finished)


def answer(current: Session, verb: str, question: Answer) -> Answer:
    """What a verb of VERBS comes to. Raises VrouterError.

    question: of `plan` and `apply` `files`, pairs of name and content (bytes as Latin-1, None where it cannot be read);
    of `converge` `dry_run`; of `diff` `first` and `last`; of `rollback` `to` and `dry_run`; of `revert` `states`; of
    `explain` a packet; of `trace` what `trace.answer` takes; of `status` and `show` what `show.answer` takes.
    """
    settings = current.router.settings
    if verb in LOOKS:
        return shown(current.router, settings, verb, question, current.recent)
    if verb == "explain":
        origins = _origins(current.router.keeper.history.senders())
        return explained(current.router.wanted(), of_json(question), origins)
    if verb == "trace":
        return named(current.router.wanted(), told(question), _origins(current.router.keeper.history.senders()))
    if verb in ("history", "diff", "rollback", "revert"):
        states, now = current.router.keeper.history.states(), current.router.packed
        if verb == "history":
            return past.listed(states)
        if verb == "diff":
            return past.difference(states, question["first"], question["last"])
        if verb == "rollback":
            name, content = f"rollback-to-{question['to']}.json", past.rollback(states, question["to"], now)
        else:
            name, content = "revert.json", past.revert(states, question["states"], now)
        verb = "plan" if question.get("dry_run") else "apply"
        question = {"files": [(name, content.decode("latin-1"))]}
    if verb == "converge":
        return {
            "changes": current.router.converge(bool(question["dry_run"])).changes_tree(),
            "files": [],
            "pending": [],
        }
    files = [(str(name), None if text is None else str(text).encode("latin-1")) for name, text in question["files"]]
    readable = [(name, content) for name, content in files if content is not None]
    unreadable = [Outcome(name, faults=(Fault("", "", "cannot read it"),)) for name, text in files if text is None]
    if verb == "plan":
        planned, waiting = current.router.plan(readable)
        outcomes = [*planned, *unreadable]
        return with_details(_outcomes(outcomes, waiting), outcomes, settings, current.recent is not None)
    done: list[Outcome] = []
    for name, content in readable:
        try:
            done += current.router.run([current.intake.copy_in(name, content)]).values()
        except VrouterError as error:
            done.append(Outcome(name, faults=(Fault("", "", str(error)),)))
    if current.recent:
        for outcome in done:
            current.recent.add(outcome)
    return _outcomes([*done, *unreadable], current.router.pending())


def _origins(senders: Mapping[Place, Sent]) -> Origins:
    """As resources name their origin: bag and key, or the bag alone where it has one entry only."""
    found: dict[str, Sent] = {}
    for (bag, key), sent in senders.items():
        found[bag] = found[f"{bag} {key}"] = sent
    return found


def _outcomes(outcomes: Sequence[Outcome], pending: Sequence[Pending]) -> Answer:
    """`changes` of all files in their order, then each file by itself, then what waits (design 4a)."""
    return {
        "changes": [change for outcome in outcomes for change in outcome.plan.changes_tree()],
        "files": [outcome_json(outcome) for outcome in outcomes],
        "pending": [item.as_json() for item in pending],
    }


def outcome_json(outcome: Outcome) -> Answer:
    """One command for programs."""
    return {
        "file": outcome.file,
        "type": outcome.type,
        "refused": bool(outcome.faults),
        "faults": [fault.as_json() for fault in outcome.faults],
        "changes": len(outcome.plan.changes),
        "state": outcome.state,
        "elapsed_ms": round(outcome.elapsed_s * 1000, 2),
        "stages_ms": {stage: round(took, 3) for stage, took in outcome.stages_ms.items()},
    }
