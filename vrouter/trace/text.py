"""Traced packets as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vrouter.answers import plain
from vrouter.explain.text import because

Json = Mapping[str, Any]

_STAGE = 13  # columns
_VERDICTS = {"accept": "accepted", "drop": "dropped", "continue": "goes on", "return": "lets it go on"}
_SEES = (
    "a trace sees what reaches the prerouting hook: not what was never sent here, what has another MAC address or "
    "VLAN, or what an XDP program, a table of family netdev or a full queue dropped before"
)


def way_text(way: Json) -> str:
    """The packet, a line a decision with the addresses where they change, what became of it, and why."""
    lines = [f"{ends(way['packet'])}, {_came(way['packet'])}", *_steps(way), f"  {result(way)}"]
    if way["reason"]:
        lines.append(f"  why: {way['reason']}")
        lines += [f"    by {because(item)}" for item in way["reason_because"][-1:]]
    return "\n".join(lines)


def _came(packet: Json) -> str:
    state = f"{packet['state']}, " if packet["state"] else ""
    return state + ("of the router itself" if packet["in"] == "local" else f"in {packet['in']}")


def ends(held: Json) -> str:
    """`tcp A:1 > B:2`; of ICMP also type and code."""
    texts = []
    for end in ("source", "destination"):
        port = held.get(f"{end}_port")
        texts.append(str(held[end]) if port is None else f"{held[end]}:{port}")
    kind = f" type {held['icmp_type']} code {held['icmp_code']}" if "icmp_type" in held else ""
    return f"{held['protocol']} {' > '.join(texts)}{kind}" if "protocol" in held else " > ".join(texts) + kind


def _steps(way: Json) -> Iterator[str]:
    hook, now = "", {name: value for name, value in way["packet"].items() if name in way["ends"]}
    for step in way["steps"]:
        if step["ends"] != now:
            now = step["ends"]
            yield f"  {'':{_STAGE}}now {ends(now)}"
        name = f"{step['table']} {step['chain']}"
        rule = plain(step["rule"]) if step["rule"] else "no rule decides, so its policy does"
        does = _VERDICTS.get(step["does"], step["does"])
        text = rule if not step["ours"] and rule.endswith((" drop", " accept")) else f"{rule}: {does}"
        stage = step["hook"] if step["hook"] != hook else ""
        hook = step["hook"]
        yield f"  {stage:{_STAGE}}{name}: {text}"
        for item in step["because"][-1:]:
            yield f"  {'':{_STAGE}}  by {because(item)}"
        for missing in step["missing"]:
            yield f"  {'':{_STAGE}}  by an element of {missing} that no databag asks for"


def result(way: Json) -> str:
    """One line: what became of it."""
    match way["verdict"]:
        case "accepted":
            return f"passes: leaves by {way['out']} as {ends(way['ends'])}"
        case "delivered":
            return f"passes: delivered to the router itself as {ends(way['ends'])}"
        case "dropped":
            last = way["steps"][-1]
            whose = "" if last["ours"] else "the foreign "
            rule = f"rule: {plain(last['rule'])}" if last["rule"] else "the policy of the chain"
            return f"does not pass: dropped by {whose}table {last['table']}, chain {last['chain']}, {rule}"
        case "not routed":
            where = "sent" if way["hook"] == "forward" else "routed"
            return f"does not pass: not {where}; every rule at {way['hook'] or 'prerouting'} let it go on"
        case _:
            return f"does not pass: nothing of nftables stopped it at {way['hook']}, and it did not come out there"


def end_text(found: Json) -> str:
    """How it ended: what was seen, what was lost."""
    lines = [found["note"]] if found["note"] else []
    if found["lost"]:
        lines.append("some events were lost: more came than could be read; ways may have gaps")
    if not found["packets"]:
        lines.append(f"no packet seen in {found['seconds']:g} s: {found['asked']}")
        lines.append(f"hint: {found['hint']}")
    return "\n".join(lines)


def unseen(explanation: Json | None, asked: str) -> str:
    """Why there may have been none. explanation: of such a packet, as `explain` answers."""
    if explanation is None:
        return _SEES
    says = "would let it pass" if explanation["passes"] else "would not let it pass"
    return f"{_SEES}; if it comes, the databags say that the router {says} (vrouter explain {asked})"


def why(way: Json, explanation: Json | None) -> tuple[str, list[Any]]:
    """Why a packet went no further, where the last step does not say it, and what that rests on."""
    if way["verdict"] == "dropped":
        same = explanation and explanation["verdict"] == "dropped" and way["steps"][-1]["ours"]
        return (str(explanation["hint"]) if explanation and same else ""), []
    if way["verdict"] == "taken":
        return ("the older iptables, a queue of a program, or a full table of connections took it "
                "(vrouter status, dmesg)"), []  # fmt: skip
    if explanation and explanation["verdict"] in ("no route", "not routed"):
        last = explanation["steps"][-1]
        return last["does"], last["because"]
    packet, device = way["ends"], way["packet"]["in"]
    came = "" if device == "local" else f" iif {device}"
    return ("no way, no way back (rp_filter), TTL or size: the databags would route it, so look at foreign routes and "
            f"settings (ip route get {packet['destination']} from {packet['source']}{came})"), []  # fmt: skip
