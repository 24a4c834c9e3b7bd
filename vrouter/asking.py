"""How a command line gets its answer: of the agent; where none runs, of the pipeline in its own process."""

from __future__ import annotations

import json
import os

from vrouter.agent.client import RUN_DIR, ask
from vrouter.answers import Answer
from vrouter.errors import VrouterError


def request(verb: str, question: Answer) -> Answer:
    """The answer to a verb that may change something. The engine is imported only where it is needed. Raises
    VrouterError."""
    said = ask(os.environ.get("VROUTER_RUN_DIR", RUN_DIR), verb, json.dumps(question))
    if said is None:
        from vrouter.embedded import request as embedded

        return embedded(verb, question)
    return _answer(said)


def _answer(said: tuple[int, str]) -> Answer:
    status, text = said
    if status:
        raise VrouterError(text)
    found: Answer = json.loads(text)
    return found
