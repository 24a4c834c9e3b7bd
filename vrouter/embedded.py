"""The pipeline in the caller's process, where no agent runs: a laptop, a test, a rescue shell. One lock guards both."""

from __future__ import annotations

import json
import os
import time

from vrouter.agent.client import ask
from vrouter.answers import Answer, file_text
from vrouter.closed import close
from vrouter.command import READS, REGISTRY, Session, answer, outcome_json, session
from vrouter.errors import VrouterError
from vrouter.host.host import Host
from vrouter.intake import Intake
from vrouter.model.settings import Settings
from vrouter.pipeline import Router
from vrouter.settings import load_settings

_POLL_S = 0.02
_LOOK_S = 1.0  # how long one who only looks waits for another process,
_LOOKS = 3  # and how often it looks where others go on


def update_config(name: str, keep: bool) -> tuple[int, str]:
    """Exit status and text for the orchestrator's command."""
    try:
        settings = load_settings(os.environ)
        said = _agent(settings, "update_config", name, "keep" if keep else "delete")
        if said is not None:
            return said
        with session(settings, asked=name) as current:
            claimed = current.intake.claim(name, keep)
            outcome = current.router.run([claimed])[claimed] if claimed else current.finished.get(name)
            if outcome:
                said = (1, file_text(outcome_json(outcome))) if outcome.faults else (0, "")
            else:
                said = current.intake.earlier_answer(name)
            if not keep and not claimed and said[0] == 0:
                current.intake.forget(name)  # an agent may have taken the file before it was told
            return said
    except VrouterError as error:
        return 1, f"update_config: {error}"


def request(verb: str, question: Answer) -> Answer:
    """The answer to a verb of `command.answer`. Raises VrouterError."""
    settings = load_settings(os.environ)
    said = _agent(settings, verb, json.dumps(question))
    if said is not None:
        status, text = said
        if status:
            raise VrouterError(text)
        found: Answer = json.loads(text)
        return found
    changes_nothing = verb in READS or bool(question.get("dry_run"))
    with session(settings, waiting=not changes_nothing) as current:
        return answer(current, verb, question)


def look(verb: str, question: Answer) -> Answer:
    """The answer to a verb that changes nothing. It takes no lock, so that a router that hangs can be looked at; where
    somebody began to change the machine meanwhile, it looks again. Raises VrouterError."""
    settings = load_settings(os.environ)
    intake = Intake(settings)
    found: Answer = {}
    for _ in range(_LOOKS):
        held = _is_held(intake)
        with Host(settings) as host:
            found = answer(Session(Router(settings, REGISTRY, host), intake), verb, question | {"busy": held})
        if held or intake.is_free():
            break
    return found


def _is_held(intake: Intake) -> bool:
    """Whether another process keeps the lock all the while."""
    end = time.monotonic() + _LOOK_S
    while not intake.is_free():
        if time.monotonic() > end:
            return True
        time.sleep(_POLL_S)
    return False


def close_policy() -> None:
    """For a boot whose bags cannot be read (SU-2). Raises HostError."""
    with Host(load_settings(os.environ)) as host:
        close(REGISTRY, host)


def _agent(settings: Settings, *words: str) -> tuple[int, str] | None:
    """What the agent says; None when there is none. While another process holds the lock, an agent may be starting."""
    intake = Intake(settings)
    while not intake.is_free():
        said = ask(settings.run_dir, *words)
        if said is not None:
            return said
        time.sleep(_POLL_S)
    return None
