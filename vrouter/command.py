"""What agent and command lines share: a router under the lock, what is asked of it, and its answers.

An answer is JSON; `answers` makes a text of it for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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


Verb = Callable[[Session, Answer], Answer]


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
    """What a verb of VERBS comes to, each as the function that it names takes its question. Raises VrouterError."""
    return VERBS[verb](current, question)


def _plan(current: Session, question: Answer) -> Answer:
    """question: `files`, pairs of name and content (bytes as Latin-1, None where it cannot be read)."""
    readable, unreadable = _files(question)
    planned, waiting = current.router.plan(readable)
    outcomes = [*planned, *unreadable]
    found = _outcomes(outcomes, waiting)
    return with_details(found, outcomes, current.router.settings, current.recent is not None)


def _apply(current: Session, question: Answer) -> Answer:
    """question: as of `_plan`."""
    readable, unreadable = _files(question)
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


def _files(question: Answer) -> tuple[list[tuple[str, bytes]], list[Outcome]]:
    files = [(str(name), None if text is None else str(text).encode("latin-1")) for name, text in question["files"]]
    readable = [(name, content) for name, content in files if content is not None]
    return readable, [Outcome(name, faults=(Fault("", "", "cannot read it"),)) for name, text in files if text is None]


def _converge(current: Session, question: Answer) -> Answer:
    """question: `dry_run`."""
    plan = current.router.converge(bool(question["dry_run"]))
    return {"changes": plan.changes_tree(), "files": [], "pending": []}


def _history(current: Session, _: Answer) -> Answer:
    return past.listed(current.router.keeper.history.states())


def _diff(current: Session, question: Answer) -> Answer:
    """question: `first` and `last`, numbers of states; `last` None for now."""
    return past.difference(current.router.keeper.history.states(), question["first"], question["last"])


def _rollback(current: Session, question: Answer) -> Answer:
    """question: `to`, the number of a state, and `dry_run`."""
    content = past.rollback(current.router.keeper.history.states(), question["to"], current.router.packed)
    files = {"files": [(f"rollback-to-{question['to']}.json", content.decode("latin-1"))]}
    return (_plan if question["dry_run"] else _apply)(current, files)


def _revert(current: Session, question: Answer) -> Answer:
    """question: `states`, numbers of those whose commands are undone."""
    content = past.revert(current.router.keeper.history.states(), question["states"], current.router.packed)
    return _apply(current, {"files": [("revert.json", content.decode("latin-1"))]})


def _explain(current: Session, question: Answer) -> Answer:
    """question: a packet."""
    return explained(current.router.wanted(), of_json(question), _origins(current.router.keeper.history.senders()))


def _trace(current: Session, question: Answer) -> Answer:
    """question: as `trace.answer` takes it."""
    return named(current.router.wanted(), told(question), _origins(current.router.keeper.history.senders()))


def _look(verb: str) -> Verb:
    return lambda current, question: shown(current.router, current.router.settings, verb, question, current.recent)


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


READS: Mapping[str, Verb] = {
    "plan": _plan, "history": _history, "diff": _diff, "explain": _explain, "trace": _trace,
    **{verb: _look(verb) for verb in LOOKS},
}  # fmt: skip
"""What changes nothing."""

VERBS: Mapping[str, Verb] = {
    **READS, "apply": _apply, "converge": _converge, "rollback": _rollback, "revert": _revert,
}  # fmt: skip
