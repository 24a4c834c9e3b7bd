"""The pipeline in the caller's own process, where no agent runs: a laptop, a test, a rescue shell."""

from __future__ import annotations

import os
import time

from vrouter.agent.client import ask
from vrouter.command import outcome_text, session
from vrouter.errors import VrouterError
from vrouter.intake import Intake
from vrouter.pipeline import Job
from vrouter.settings import load_settings

_POLL_S = 0.02


def update_config(name: str, keep: bool) -> tuple[int, str]:
    """Exit status and text. While another process holds the lock an agent may be starting: it is asked first."""
    try:
        settings = load_settings(os.environ)
        while not Intake(settings).is_free():
            answer = ask(settings.run_dir, "update_config", name, "keep" if keep else "delete")
            if answer is not None:
                return answer
            time.sleep(_POLL_S)
        with session() as current:
            claimed = current.intake.claim(name)
            if claimed is None:
                return current.intake.earlier_answer(name)
            (outcome,) = current.router.run([Job(claimed, keep)])
            return (1, outcome_text(outcome)) if outcome.faults else (0, "")
    except VrouterError as error:
        return 1, f"update_config: {error}"
