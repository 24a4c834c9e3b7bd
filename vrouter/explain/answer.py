"""The answer to one question, and as JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from vrouter.explain.flow import Ends
from vrouter.explain.hints import hint
from vrouter.explain.packet import Packet
from vrouter.explain.walk import Kernel, Step, Walk
from vrouter.model.resources import Key, Resource

Json = dict[str, Any]


class Sent(Protocol):
    """The command that put an entry there. time: UTC, ISO 8601."""

    @property
    def file(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def time(self) -> str: ...


Origins = Mapping[str, Sent]
"""By the origin that a resource names, bag and entry; empty where nothing is remembered of commands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """packet: with its interface, guessed where none was asked for. answer: the way back of a first packet's answer."""

    packet: Packet
    guessed: bool
    walk: Walk
    hint: str
    answer: Walk | None = None


def explain(kernel: Kernel, packet: Packet) -> Explanation:
    """The way of one packet; of a first one also the way of the answer."""
    guessed = not packet.device
    if guessed:
        packet = replace(packet, device=kernel.guess(packet) or "nowhere")
    if packet.state == "new":
        walk = kernel.first(packet)
        answer = kernel.answer(packet, walk)
    else:
        walk, answer = kernel.next(packet, kernel.connection(packet)), None
    return Explanation(
        packet=packet, guessed=guessed, walk=walk, hint=hint(kernel, packet, walk), answer=answer
    )  # fmt: skip


def as_json(found: Explanation, origins: Origins | None = None) -> Json:
    """`packet`, `guessed`, then as `_walk`; `hint` where it does not pass; `answer`, a walk, where one is expected."""
    answer = _walk(found.answer, origins or {}) if found.answer else None
    packet = found.packet.as_json()
    return {"packet": packet, "guessed": found.guessed, **_walk(found.walk, origins or {}), "hint": found.hint,
            "answer": answer}  # fmt: skip


def _walk(walk: Walk, origins: Origins) -> Json:
    """`verdict`, `passes`, `out` and `via`, `ends` after translation, and `steps`."""
    return {
        "verdict": walk.verdict, "passes": walk.passes, "out": walk.device, "via": walk.via,
        "ends": _ends(walk.flow.ends, walk.flow.protocol), "steps": [_step(step, origins) for step in walk.steps],
    }  # fmt: skip


def _ends(ends: Ends, protocol: str) -> Json:
    ports = {} if protocol == "icmp" else {
        "source_port": ends.source_port, "destination_port": ends.destination_port
    }  # fmt: skip
    return {"source": str(ends.source), "destination": str(ends.destination), **ports}


def _step(step: Step, origins: Origins) -> Json:
    found = [because(resource, origins) for resource in step.because]
    return {"stage": step.stage, "does": step.does, "chain": step.chain, "rule": step.rule, "because": found}


def because(resource: Resource, origins: Origins) -> Json:
    """What a decision rests on: kind, name and content of the resource, its databag entry, and its command."""
    kind, *name = resource.key
    sent = origins.get(resource.origin)
    command = {"file": sent.file, "type": sent.type, "time": sent.time} if sent else None
    return {"kind": kind, "name": " ".join(name), "value": resource.describe(), "origin": resource.origin,
            "command": command}  # fmt: skip


def explained(resources: Mapping[Key, Resource], packet: Packet, origins: Origins | None = None) -> Json:
    """All of it: from what is wanted to the answer."""
    return as_json(explain(Kernel(resources), packet), origins)
