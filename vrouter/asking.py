"""How a command line gets its answer: of the agent; where none runs, of the pipeline in its own process."""

from __future__ import annotations

import gc
import json
import os

from vrouter.agent.client import RUN_DIR, ask
from vrouter.answers import Answer
from vrouter.errors import VrouterError

_PATIENCE_S = 2.0  # an agent that says nothing for so long is looked at from outside


def request(verb: str, question: Answer) -> Answer:
    """The answer to a verb that may change something. The engine is imported only where it is needed. Raises
    VrouterError."""
    said = ask(os.environ.get("VROUTER_RUN_DIR", RUN_DIR), verb, json.dumps(question))
    if said is None:
        from vrouter.embedded import request as embedded

        return embedded(verb, question)
    return _answer(said)


def look(verb: str, question: Answer, alone: bool = False) -> Answer:
    """The answer to a verb that changes nothing: it never waits for ever, neither for an agent that hangs nor for the
    lock. alone: do not ask the agent. Raises VrouterError."""
    run_dir = os.environ.get("VROUTER_RUN_DIR", RUN_DIR)
    said = None if alone else ask(run_dir, verb, json.dumps(question), limit_s=_PATIENCE_S)
    if said is None:
        gc.disable()  # it would go through all bags and resources, and find nothing: a fifth of the time
        try:
            from vrouter.embedded import look as embedded

            return embedded(verb, question)
        finally:
            gc.enable()
    return _answer(said)


def _answer(said: tuple[int, str]) -> Answer:
    status, text = said
    if status:
        raise VrouterError(text)
    found: Answer = json.loads(text)
    return found
