"""What the pipeline works with, what it is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vrouter.contracts import Bag, Command, Handler
from vrouter.errors import Fault, Refused, VrouterError
from vrouter.plan import Plan


@dataclass(frozen=True)
class Registry:
    """What the pipeline works with: bags and commands by name, handlers in their order."""

    bags: Mapping[str, Bag[Any]]
    commands: Mapping[str, Command]
    handlers: tuple[Handler, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one command. faults: empty when it is done. elapsed_s: from its batch's start to its answer.

    stages_ms: milliseconds of each step that the batch went through together. state: number of the state of all bags
    after it, see history; nought where it edited nothing.
    """

    file: str
    type: str = ""
    plan: Plan = field(default_factory=Plan)
    faults: tuple[Fault, ...] = ()
    elapsed_s: float = 0.0
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    state: int = 0


def faults_of(error: VrouterError) -> tuple[Fault, ...]:
    """What a failure says of a command."""
    return error.faults if isinstance(error, Refused) else (Fault("", "", str(error)),)
