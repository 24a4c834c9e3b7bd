"""What is asked of the databags about traced packets, and their answer put where it belongs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vrouter.trace.asked import Asked
from vrouter.trace.text import why

Json = dict[str, Any]
_KNOWN = ("tcp", "udp", "icmp")


def of_ways(ways: Sequence[Json]) -> Json:
    """The question, as `trace.answer` takes it."""
    return {"packets": [_packet(way) for way in ways]}


def _packet(way: Json) -> Json:
    packet = way["packet"]
    known = packet["protocol"] in _KNOWN
    asked = {**packet, "state": "new"}
    steps = [
        {"chain": step["chain"], "tag": step["tag"], "protocol": packet["protocol"], "in": step["in"],
         "out": step["out"], **step["ends"]}
        for step in way["steps"] if step["tag"]
    ]  # fmt: skip
    return {"packet": asked if known else None, "why": known and not way["passes"], "steps": steps}


def of_asked(asked: Asked) -> Json:
    """To explain the only packet that was asked for."""
    packet: Json = {
        "protocol": asked.protocol, "source": str(asked.source.network_address), "in": asked.device, "state": "new",
        "destination": str(asked.destination.network_address),
    }  # fmt: skip
    if asked.protocol != "icmp":
        packet |= {"source_port": asked.source_port or 0, "destination_port": asked.destination_port or 0}
    return {"packet": packet, "why": True, "steps": []}


def merge(ways: Sequence[Json], answer: Json | None) -> None:
    """Tell each step what the databags know of its rule, and each packet that went no further why. answer: None where
    there is none."""
    for place, way in enumerate(ways):
        found = answer["packets"][place] if answer else {"steps": [], "explained": None}
        known = iter(found["steps"])
        for step in way["steps"]:
            about = next(known, None) if step["tag"] else None
            del step["tag"]
            if about:
                step |= {"rule": about["says"], "does": _does(step["does"], about["does"])}
                step |= {"because": about["because"], "missing": about["missing"]}
        if not way["passes"]:
            way["reason"], way["reason_because"] = why(way, found["explained"])


def _does(kernel: str, wanted: str) -> str:
    """A drop is the kernel's word; of the rest the databags have the better one."""
    return kernel if kernel in ("accept", "drop", "return") and wanted in ("accept", "drop", "return") else wanted
