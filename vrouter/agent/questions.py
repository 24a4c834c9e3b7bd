"""What operators may ask the agent, read with care: the socket takes anything."""

from __future__ import annotations

import contextlib
import json
import socket

from vrouter.answers import Answer
from vrouter.errors import VrouterError
from vrouter.explain.packet import of_json
from vrouter.show.answer import VERBS as LOOKS
from vrouter.trace.answer import told

NO_REQUEST = "vrouter agent: not a request"


def question(verb: str, text: str) -> Answer:
    """What is asked, as `command.answer` takes it. Raises VrouterError for anything else."""
    try:
        asked = json.loads(text)
        if verb in LOOKS:
            return dict(asked)
        if verb == "history":
            return {}
        if verb == "explain":
            return of_json(asked).as_json()
        if verb == "trace":
            told(asked)
            return {"packets": asked["packets"]}
        if verb == "converge":
            return {"dry_run": bool(asked["dry_run"])}
        if verb == "diff":
            return {"first": int(asked["first"]), "last": None if asked["last"] is None else int(asked["last"])}
        if verb == "rollback":
            return {"to": int(asked["to"]), "dry_run": bool(asked["dry_run"])}
        if verb == "revert":
            return {"states": [int(number) for number in asked["states"]]}
        for _, content in asked["files"]:
            if content is not None:  # the caller could not read it
                content.encode("latin-1")
        return {"files": asked["files"]}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise VrouterError(NO_REQUEST) from error


def reply(caller: socket.socket, answer: tuple[int, str]) -> None:
    """Exit status and text, to a caller that may have gone."""
    with contextlib.suppress(OSError):
        caller.setblocking(True)
        caller.settimeout(1)
        caller.sendall(f"{answer[0]}\n{answer[1]}".encode())
    caller.close()
