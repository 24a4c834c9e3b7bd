"""The pipeline in the caller's process, where no agent runs: a laptop, a test, a rescue shell. One lock guards both."""

from __future__ import annotations

import json
import os
import time

from vrouter.agent.client import ask
from vrouter.answers import Answer, file_text
from vrouter.closed import close
from vrouter.command import REGISTRY, answer, outcome_json, session
from vrouter.errors import VrouterError
from vrouter.host.host import Host
from vrouter.intake import Intake
from vrouter.model.settings import Settings
from vrouter.settings import load_settings

_POLL_S = 0.02


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
            if outcome is None:
                return current.intake.earlier_answer(name)
            return (1, file_text(outcome_json(outcome))) if outcome.faults else (0, "")
    except VrouterError as error:
        return 1, f"update_config: {error}"


def request(verb: str, question: Answer) -> Answer:
    """The answer to `plan`, `apply`, `converge` or `explain`. Raises VrouterError."""
    settings = load_settings(os.environ)
    said = _agent(settings, verb, json.dumps(question))
    if said is not None:
        status, text = said
        if status:
            raise VrouterError(text)
        found: Answer = json.loads(text)
        return found
    changes_nothing = verb in ("plan", "explain") or bool(question.get("dry_run"))
    with session(settings, waiting=not changes_nothing) as current:
        return answer(current, verb, question)


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
