"""What the databags know of traced packets: the elements and commands behind our rules, and why one was not routed.

Pure. The question is {"packets": [{"packet": as `explain` takes it or null, "why": whether to explain it,
"steps": [{"chain", "tag", "source", "destination", "source_port", "destination_port", "in", "out", "protocol",
"state"}]}]}, of each packet the decisions of our rules in their order; the answer has the same places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from vrouter.explain.answer import Origins, as_json, because, explain
from vrouter.explain.chains import Policy
from vrouter.explain.flow import Ends, Flow
from vrouter.explain.packet import Packet, Protocol, of_json
from vrouter.explain.walk import Kernel
from vrouter.model.resources import Key, Resource

Json = dict[str, Any]
_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp", "icmp": "icmp"}
_OTHER: Protocol = "icmp"  # of any protocol that has no ports the policy looks at addresses only
_STATES = ("new", "established", "related", "invalid", "untracked", "")


@dataclass(frozen=True, slots=True)
class Told:
    """One packet. steps: chain, comment of the rule, and the packet as it was there."""

    packet: Packet | None
    why: bool
    steps: tuple[tuple[str, str, Flow], ...]


def told(question: Mapping[str, Any]) -> list[Told]:
    """Raises ValueError, LookupError or TypeError for what is no question."""
    return [
        Told(
            of_json(item["packet"]) if item["packet"] else None, bool(item["why"]),
            tuple((str(step["chain"]), str(step["tag"]), _flow(step)) for step in item["steps"]),
        )
        for item in question["packets"]
    ]  # fmt: skip


def _flow(step: Mapping[str, Any]) -> Flow:
    protocol = _PROTOCOLS.get(step["protocol"], _OTHER)
    ports = [int(step.get(f"{end}_port", 0)) for end in ("source", "destination")]
    ends = Ends(IPv4Address(step["source"]), ports[0], IPv4Address(step["destination"]), ports[1])
    kinds = (int(step.get("icmp_type", -1)), int(step.get("icmp_code", -1)))
    flow = Flow(ends, protocol, *kinds, iif=str(step["in"]), oif=str(step["out"]))
    flow.enter(None, "new")
    return flow


def named(resources: Mapping[Key, Resource], packets: Sequence[Told], origins: Origins) -> Json:
    """`packets`, each with `steps` (`says`, `does`, `because`, `missing`; null for a rule that is not wanted), and
    `explained` as `explain` answers, where it was asked for."""
    kernel = Kernel(resources)
    return {
        "packets": [
            {
                "steps": [_step(kernel.policy, step, origins) for step in one.steps],
                "explained": as_json(explain(kernel, one.packet), origins) if one.why and one.packet else None,
            }
            for one in packets
        ]
    }


def _step(policy: Policy, step: tuple[str, str, Flow], origins: Origins) -> Json | None:
    found = policy.told(*step)
    if found is None:
        return None
    hit, missing = found
    return {
        "says": hit.rule.says if hit.rule else "", "does": hit.does, "missing": list(missing),
        "because": [because(element, origins) for element in hit.elements],
    }  # fmt: skip
