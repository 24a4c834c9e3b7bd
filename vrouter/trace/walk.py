"""The way of each traced packet, from what the kernel tells of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from vrouter.model.traced import Event, Header
from vrouter.trace.asked import BEGINS, ENDS, LOCAL, TRACE_TABLE
from vrouter.trace.rules import OURS, Rules

Verdict = Literal["accepted", "delivered", "dropped", "not routed", "taken"]
Json = dict[str, Any]

QUIET_S = 0.1  # a packet of which nothing more is told for so long has ended
_TRACE = f"ip {TRACE_TABLE}"
_ANSWERS = BEGINS[2:]


@dataclass(slots=True)
class Step:
    """One decision of a table that is not the trace's. rule: its text, empty for the chain's policy. tag: its comment.

    ends, device_in, device_out, mark, state: as the packet was when its base chain was called.
    """

    hook: str
    table: str
    chain: str
    handle: int
    does: str
    ends: Header
    device_in: str
    device_out: str
    mark: int
    state: str
    rule: str = ""
    tag: str = ""

    @property
    def ours(self) -> bool:
        return self.table == OURS

    def as_json(self) -> Json:
        """For programs; `trace.question` adds what the databags know of it, and takes `tag` away."""
        return {
            "hook": self.hook, "table": self.table, "chain": self.chain, "ours": self.ours, "rule": self.rule,
            "does": self.does, "ends": self.ends.as_json(), "in": self.device_in, "out": self.device_out,
            "mark": self.mark, "state": self.state, "because": [], "missing": [],
            "tag": self.tag if self.ours else "",
        }  # fmt: skip


@dataclass(slots=True)
class Way:
    """One packet. last: when it was told of, in seconds of the caller's clock. hook: where it is, passed: those that
    let it go on. ended: a rule has stopped it."""

    packet: Header
    device: str
    last: float
    hook: str = ""
    state: str = ""
    steps: list[Step] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    ends: Header | None = None
    device_in: str = ""
    device_out: str = ""
    mark: int = 0
    ended: bool = False

    @property
    def verdict(self) -> Verdict:
        if self.ended:
            return "dropped"
        if "postrouting" in self.passed:
            return "accepted"
        if "input" in self.passed:
            return "delivered"
        if self.hook in self.passed or not self.hook:
            return "not routed"
        return "taken"

    def as_json(self) -> Json:
        """`packet` as `explain` has it, `verdict`, `passes`, `hook` where it ended, `out`, `ends`, and `steps`."""
        packet = {"protocol": self.packet.protocol, **self.packet.as_json(), "in": self.device, "state": self.state}
        return {
            "packet": packet, "verdict": self.verdict, "passes": self.verdict in ("accepted", "delivered"),
            "hook": self.hook, "out": self.device_out if self.verdict == "accepted" else "",
            "ends": (self.ends or self.packet).as_json(), "steps": [step.as_json() for step in self.steps],
            "reason": "", "reason_because": [],
        }  # fmt: skip


class Ways:
    """Packets under way, by the kernel's id of each."""

    def __init__(self, device: Callable[[int], str], most: int) -> None:
        """device: the name of an index. most: so many are begun."""
        self._device, self._most = device, most
        self._open: dict[int, Way] = {}
        self.begun = 0

    @property
    def full(self) -> bool:
        """Whether no more will come."""
        return self.begun >= self._most and not self._open

    def take(self, event: Event, rules: Rules, now: float) -> Iterator[Way]:
        """One more decision; what has ended by it."""
        way = self._open.get(event.id)
        if self._begins(event, way):
            if way:
                del self._open[event.id]
                yield way
            assert event.header is not None
            way = None
            if self.begun < self._most:
                self.begun += 1
                device = LOCAL if event.chain in ("output", "answers_output") else self._device(event.device_in)
                self._open[event.id] = way = Way(event.header, device, now)
        if way is None:
            return
        way.last = now
        self._step(way, event, rules)
        if way.ended:
            del self._open[event.id]
            yield way

    def quiet(self, now: float, limit_s: float = QUIET_S) -> Iterator[Way]:
        """Those of which nothing was told for so long."""
        for number in [number for number, way in self._open.items() if now - way.last >= limit_s]:
            yield self._open.pop(number)

    @staticmethod
    def _begins(event: Event, way: Way | None) -> bool:
        if event.table != _TRACE or event.kind != "rule" or event.chain not in BEGINS or event.header is None:
            return False
        return not (event.verdict == "accept" or (way and event.chain in _ANSWERS and not way.passed))

    def _step(self, way: Way, event: Event, rules: Rules) -> None:
        if event.header:
            way.ends, way.mark, way.state = event.header, event.mark, event.state or way.state
            way.device_in, way.device_out = self._device(event.device_in), self._device(event.device_out)
            way.hook = self._hook(event, rules) or way.hook
        if event.table == _TRACE:
            if event.chain in ENDS and event.kind == "policy":
                way.passed.append(ENDS[event.chain])
            return
        if event.kind == "return" or way.ends is None or (event.kind == "rule" and not event.handle):
            return  # the end of a chain is told as a decision too
        named = rules.rules.get((event.table, event.handle)) if event.kind == "rule" else None
        unknown = "" if event.kind == "policy" else f"a rule that is gone (handle {event.handle})"
        way.steps.append(
            Step(
                hook=way.hook, table=event.table, chain=event.chain, handle=event.handle, does=event.verdict,
                ends=way.ends, device_in=way.device_in, device_out=way.device_out, mark=way.mark, state=way.state,
                rule=named.text if named else unknown, tag=named.tag if named else "",
            )
        )  # fmt: skip
        way.ended = event.verdict == "drop"

    @staticmethod
    def _hook(event: Event, rules: Rules) -> str:
        if event.table == _TRACE:
            return ENDS.get(event.chain) or {"answers": "prerouting", "answers_output": "output"}.get(
                event.chain, event.chain
            )
        return rules.hooks.get((event.table, event.chain), "")
