"""The way of a packet through the kernel (netfilter's hooks and IPv4 routing), step by step. Pure.

Order of a hook: filter chains by priority, conntrack at -200 between them, nat chains together at -100 (destination) or
100 (source), whatever their own priority is among themselves (nf_nat_core.c).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from operator import itemgetter
from typing import Literal, NoReturn

from vrouter.explain import source
from vrouter.explain.chains import Hit, Hooked, Policy
from vrouter.explain.fib import LOOPBACK, Fib, Way, is_limited, is_zero
from vrouter.explain.flow import Connection, Flow, answer_type, flow_of
from vrouter.explain.packet import LOCAL, Packet
from vrouter.model.resources import Key, Resource
from vrouter.model.table import Chain

Verdict = Literal["accepted", "delivered", "dropped", "no route", "not routed"]

NO_RULE = "no rule decides, so the policy of the chain does"

_CONNTRACK = -200
_TRANSLATES: Mapping[Hooked, tuple[int, int]] = {  # priority, and order among equals
    "prerouting": (-100, 2), "output": (-100, 2), "input": (100, 2), "postrouting": (100, 2),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One decision. rule: what the rule says of itself. because: elements, routes, addresses that it rests on."""

    stage: str
    does: str
    chain: str = ""
    rule: str = ""
    because: tuple[Resource, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """Where a packet came to. ends: as it leaves, or is delivered. device, via: where it leaves and its next hop."""

    verdict: Verdict
    steps: tuple[Step, ...]
    flow: Flow
    device: str = ""
    via: str = ""

    @property
    def passes(self) -> bool:
        return self.verdict in ("accepted", "delivered")


class _End(Exception):
    """The packet goes no further."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict: Verdict = verdict


class Kernel:
    """One router, as it is wanted."""

    def __init__(self, resources: Mapping[Key, Resource]) -> None:
        network = ("link", "address", "route", "rule", "sysctl")
        self.fib = Fib(resource for key, resource in resources.items() if key[0] in network)
        self.policy = Policy(resources, self.fib)

    def first(self, packet: Packet) -> Walk:
        """The first packet of a connection."""
        return _Way(self, flow_of(packet), None).go()

    def next(self, packet: Packet, connection: Connection | None) -> Walk:
        """A later one of its direction. connection: as the first one left it; None where it cannot exist."""
        return _Way(self, flow_of(packet), connection).go()

    def connection(self, packet: Packet) -> Connection | None:
        """The one that a first packet like this makes, or made when a filter that stops it now still let it in."""
        return _Way(self, flow_of(packet), None, stopping=False).go().flow.connection

    def answer(self, packet: Packet, walk: Walk) -> Walk | None:
        """The answer to a first packet that was accepted, as it comes back; None where there is none to expect."""
        flow = walk.flow
        if walk.verdict != "accepted" or flow.connection is None or walk.device == LOOPBACK:
            return None
        back = Flow(flow.connection.reply, flow.protocol, 0, flow.icmp_code, iif=walk.device, answers=True)
        if packet.protocol == "icmp":
            back.icmp_type = answer_type(flow.icmp_type)
        return _Way(self, back, flow.connection).go()

    def guess(self, packet: Packet) -> str:
        """Where a packet comes in: from the router itself, or by the way that leads back to its source."""
        way = self.fib.lookup(packet.source, packet.destination)
        return "" if way is None else LOCAL if way.kind == "local" else way.device


class _Way:
    """One packet under way. stopping: False goes on behind a filter that drops."""

    def __init__(self, kernel: Kernel, flow: Flow, known: Connection | None, stopping: bool = True) -> None:
        self._fib, self._policy = kernel.fib, kernel.policy
        self._flow = flow
        self._known = known
        self._stopping = stopping
        self._steps: list[Step] = []

    def go(self) -> Walk:
        try:
            way = self._sent() if not self._flow.iif else self._received()
            verdict: Verdict = "accepted" if way else "delivered"
        except _End as end:
            way, verdict = None, end.verdict
        return Walk(
            verdict=verdict, steps=tuple(self._steps), flow=self._flow, device=way.device if way else "",
            via=str(way.via or "") if way else "",
        )  # fmt: skip

    def _received(self) -> Way | None:
        flow = self._flow
        if flow.iif not in self._fib.links:
            self._stop("not routed", "link", f"{flow.iif} is no interface that this router wants up")
        self._hook("prerouting")
        way = self._routed()
        if way.kind in ("local", "broadcast"):
            self._hook("input")
            return None
        if not self._fib.forwards():
            self._stop("not routed", "routing", "this router forwards nothing (net/ipv4/ip_forward)")
        self._accepted_source()
        flow.oif = way.device
        self._hook("forward")
        self._hook("postrouting")
        return way

    def _routed(self) -> Way:
        """ip_route_input_slow."""
        flow = self._flow
        to = flow.ends.destination
        if why := source.martian(flow.ends.source, to):
            self._stop("not routed", "routing", f"{why} (martian)")
        if to.is_multicast:
            self._stop("not routed", "routing", f"{to} is a multicast group; none is routed, joined ones are not known")
        if is_limited(to) or (is_zero(to) and is_zero(flow.ends.source)):
            self._say("routing", "broadcast: for the router itself")
            return self._taken(Way("broadcast", IPv4Network(to), "", 0))
        way = self._fib.lookup(to, flow.ends.source, flow.mark)
        if way is None:
            self._stop("no route", "routing", f"no route to {to}")
        self._led(way)
        return self._taken(way) if way.kind in ("local", "broadcast") else way

    def _taken(self, way: Way) -> Way:
        self._accepted_source()
        return way

    def _accepted_source(self) -> None:
        ends = self._flow.ends
        why, way = source.refused(self._fib, ends.source, ends.destination, self._flow.iif)
        if why:
            self._stop("not routed", "source", why, *((way.because,) if way and way.because else ()))

    def _sent(self) -> Way | None:
        """A packet of the router itself (ip_route_output_key_hash_rcu, ip_route_me_harder)."""
        flow = self._flow
        ends = flow.ends
        own = self._fib.lookup(ends.source, ends.source)
        if own is None or own.kind != "local":
            self._stop("not routed", "routing", f"{ends.source} is no address of this router")
        way = self._way_out()
        self._hook("output")
        if flow.ends.destination != ends.destination:
            way = self._way_out()
        self._hook("postrouting")
        if way.kind != "local":
            return way
        flow.iif, flow.oif = LOOPBACK, ""
        self._hook("prerouting")
        self._hook("input")
        return None

    def _way_out(self) -> Way:
        flow = self._flow
        to = flow.ends.destination
        if to.is_multicast or is_limited(to):
            own = self._fib.lookup(flow.ends.source, flow.ends.source)
            assert own is not None
            flow.oif = own.device
            self._say("routing", f"for many, by the interface of its source, {own.device}")
            return Way("broadcast", IPv4Network(to), own.device, 0)
        sought = flow.ends.source if is_zero(to) else to  # no address means the router itself
        way = self._fib.lookup(sought, flow.ends.source, flow.mark)
        if way is None:
            self._stop("no route", "routing", f"no route to {to}")
        flow.oif = LOOPBACK if way.kind == "local" else way.device
        self._led(way)
        return way

    def _led(self, way: Way) -> None:
        by = f"table {way.table}" if way.rule else {255: "local", 254: "main"}.get(way.table, str(way.table))
        what = {
            "unicast": f"{way.to} by {way.device}" + (f" via {way.via}" if way.via else ""),
            "local": "for the router itself",
            "broadcast": "broadcast: for the router itself",
        }[way.kind]
        because: list[Resource] = [resource for resource in (way.rule, way.because) if resource]
        self._say("routing", f"{what} ({by})", *because)

    def _hook(self, hook: Hooked) -> None:
        """All that is called at a hook, in its order."""
        calls: list[tuple[int, int, Callable[[], None]]] = []
        for chain in self._policy.hooked(hook, "filter"):
            calls.append((chain.hook.priority if chain.hook else 0, 1, partial(self._filter, hook, chain)))
        if hook in ("prerouting", "output"):
            calls.append((_CONNTRACK, 0, self._track))
        if hook in _TRANSLATES:
            calls.append((*_TRANSLATES[hook], partial(self._translate, hook)))
        for _, _, call in sorted(calls, key=itemgetter(0, 1)):
            call()

    def _track(self) -> None:
        flow = self._flow
        if flow.connection:
            return  # over the loopback it comes by twice
        flow.enter(self._known, "established" if self._known else "new")
        held = flow.connection
        if held is None:
            self._say("conntrack", f"invalid: ICMP type {flow.icmp_type} begins no connection and answers none")
        elif self._known:
            translated = held.translates_source or held.translates_destination
            marked = f", mark {held.mark}" if held.mark else ""
            way = f", translated to {held.reply.reversed()}" if translated else ""
            self._say("conntrack", f"established: {held.original}{way}{marked}")

    def _filter(self, hook: Hooked, chain: Chain) -> None:
        goes_on, hits = self._policy.run(chain, self._flow)
        self._hits(hook, hits)
        if not goes_on and self._stopping:
            raise _End("dropped")

    def _translate(self, hook: Hooked) -> None:
        """Ask the nat chains once a connection, then give the packet what its connection says."""
        flow = self._flow
        kind: Literal["dnat", "snat"] = "dnat" if hook in ("prerouting", "output") else "snat"
        held = flow.connection
        if held is None:
            return
        asked = flow.state == "new" and kind not in held.bound
        if asked:
            held.bound |= {kind}
            for chain in self._policy.hooked(hook, "nat"):
                goes_on, hits = self._policy.run(chain, flow)
                self._hits(hook, [hit for hit in hits if hit.rule])
                if not goes_on:
                    raise _End("dropped")
                if any(hit.rule and hit.rule.verdict.do == kind for hit in hits):
                    break
        if flow.manipulate(kind) and not asked:
            end = "destination" if kind == "dnat" else "source"
            self._say(hook, f"{end} as the connection has it: {flow.ends}")

    def _hits(self, hook: Hooked, hits: list[Hit]) -> None:
        for hit in hits:
            if hit.rule or hit.does == "drop" or len(hits) == 1:
                rule = hit.rule.says if hit.rule else NO_RULE
                step = Step(stage=hook, does=hit.does, chain=hit.chain, rule=rule, because=hit.elements)
                self._steps.append(step)

    def _say(self, stage: str, does: str, *because: Resource) -> None:
        self._steps.append(Step(stage=stage, does=does, because=because))

    def _stop(self, verdict: Verdict, stage: str, why: str, *because: Resource) -> NoReturn:
        self._say(stage, why, *because)
        raise _End(verdict)
