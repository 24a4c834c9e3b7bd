"""The answer as text for people. Pure, and free of the evaluator: a thin client prints so what an agent says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vrouter.answers import plain

Json = Mapping[str, Any]

_STAGE, _RULE = 13, 46  # columns
_VERDICTS = {"accept": "accepted", "drop": "dropped", "return": "lets it go on"}


def explanation_text(found: Json) -> str:
    """The packet, a line a step, what becomes of it, and what would let it pass."""
    lines = [_asked(found), *_steps(found), _result(found)]
    if found["hint"]:
        lines.append(f"  hint: {found['hint']}")
    if found["answer"]:
        lines.append(f"  its answer {_result(found['answer'])}")
    return "\n".join(lines)


def _asked(found: Json) -> str:
    packet = found["packet"]
    came = "of the router itself" if packet["in"] == "local" else f"in {packet['in']}"
    guessed = " (guessed; say --in)" if found["guessed"] else ""
    kind = f" type {packet['icmp_type']} code {packet['icmp_code']}" if packet["protocol"] == "icmp" else ""
    return f"{packet['protocol']} {_ends(packet)}{kind}, {packet['state']}, {came}{guessed}"


def _steps(walk: Json) -> Iterator[str]:
    """Of what a decision rests on the last: those before it tell the interface's role, or the table of a route."""
    for step in walk["steps"]:
        does = _VERDICTS.get(step["does"], step["does"])
        what = f"{step['rule']}: {does}" if step["rule"] else does
        why = because(step["because"][-1]) if step["because"] else ""
        yield f"  {step['stage']:{_STAGE}}{what:{_RULE}}{f'  {why}' if why else ''}".rstrip()


def because(item: Json) -> str:
    """What a decision rests on: element or resource, its databag entry, and the command that sent it."""
    value = f": {item['value']}" if item["value"] else ""
    command = item["command"]
    told = f", {plain(command['file'])} of {command['time']}" if command else ""
    origin = f" ({item['origin']}{told})" if item["origin"] else ""
    return f"{item['name']}{value}{origin}" if item["kind"] == "element" else f"{item['kind']} {item['name']}{origin}"


def _result(walk: Json) -> str:
    match walk["verdict"]:
        case "accepted":
            via = f" via {walk['via']}" if walk["via"] else ""
            return f"passes: leaves by {walk['out']}{via} as {_ends(walk['ends'])}"
        case "delivered":
            return f"passes: delivered to the router itself as {_ends(walk['ends'])}"
        case verdict:
            last = walk["steps"][-1]
            where = f"{last['stage']} {last['chain']}".strip() if last["chain"] != last["stage"] else last["stage"]
            return f"does not pass: {verdict} ({where}: {last['rule'] or last['does']})"


def _ends(ends: Json) -> str:
    texts = []
    for end in ("source", "destination"):
        port = ends.get(f"{end}_port")
        texts.append(f"{ends[end]}:{port}" if port else str(ends[end]))
    return " > ".join(texts)
