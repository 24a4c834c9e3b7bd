"""Answers to `status` and `show`: reads what a question needs of the machine, has rows made of it, changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from ipaddress import AddressValueError, IPv4Address

from vrouter.answers import Answer
from vrouter.errors import VrouterError
from vrouter.host import counts, files, foreign, leases, listing, processes, tracked
from vrouter.host.conntrack import Conntrack
from vrouter.host.guests import Guests
from vrouter.host.units import Units
from vrouter.model.settings import Settings
from vrouter.outcome import Outcome
from vrouter.past.confirm import Unconfirmed
from vrouter.pipeline import Router
from vrouter.plan import Plan
from vrouter.records import Recent, last_commands, waiting
from vrouter.show import guests, network, planned, policy, traffic
from vrouter.show.layout import Row
from vrouter.show.status import Facts, status, wanted_daemons
from vrouter.view import View

VERBS = ("status", "show")
_COMMANDS = 10
_MOST_COUNTED = 5000


def shown(router: Router, settings: Settings, verb: str, question: Answer, recent: Recent | None) -> Answer:
    """question: of `show` the table as `what`, and for connections `addresses` and `most`. recent: the memory of a
    resident process that answers; None where the asking process does it itself. Raises VrouterError."""
    view = router.view(_drift(router, resident=recent is not None))
    if verb == "status":
        return status(view, _facts(router, settings, view, recent, bool(question.get("busy"))))
    what = str(question.get("what"))
    if what == "connections":
        return _connections(view, question)
    if what not in _ROWS:
        raise VrouterError(f"there is no table {what!r}")
    return {"what": what, "rows": list(_ROWS[what](view, settings)), "notes": []}


def _drift(router: Router, resident: bool) -> Plan:
    """A router that was told nothing is left as it is, so nothing is apart. A resident one knows when the policy was
    touched, and has looked again before it answers; the rest is read anew."""
    if not router.knows_anything():
        return Plan()
    return router.drift(policy=False) if resident else router.converge(dry_run=True)


def _routes(view: View, _: Settings) -> Iterable[Row]:
    found = listing.listing()
    return network.routes(view, found.routes, found.rules)


def _counters(_: View, __: Settings) -> Iterable[Row]:
    return traffic.counters(listing.listing().interfaces, counts.kernel_drops(), foreign.ruleset())


_ROWS: dict[str, Callable[[View, Settings], Iterable[Row]]] = {
    "networks": lambda view, _: network.networks(view),
    "addresses": lambda view, _: network.addresses(view),
    "routes": _routes,
    "rules": lambda view, _: policy.rules(view),
    "forwards": lambda view, _: policy.forwards(view),
    "nat": lambda view, _: policy.nat(view),
    "dhcp": lambda view, settings: guests.dhcp(view, leases.leases(settings.dnsmasq_leases), time.time()),
    "leases": lambda view, settings: guests.leases(view, leases.leases(settings.dnsmasq_leases), time.time()),
    "counters": _counters,
}


def _connections(view: View, question: Answer) -> Answer:
    try:
        addresses = frozenset(IPv4Address(str(text)) for text in question.get("addresses", ()))
        most = int(question.get("most", 1000))
    except (AddressValueError, ValueError, TypeError) as error:
        raise VrouterError(f"cannot list connections: {error}") from error
    found, more = tracked.tracked(addresses, most)
    notes = [f"only {most} are shown, the kernel tracks {tracked.total() or 'more'}; see --limit"] if more else []
    return {"what": "connections", "rows": list(traffic.connections(view, found)), "notes": notes}


def _facts(router: Router, settings: Settings, view: View, recent: Recent | None, busy: bool) -> Facts:
    seen = listing.listing()
    units = Units(settings)
    pids = {name: units.pid(name) for name in wanted_daemons(view)}
    agent = os.getpid() if recent is not None else processes.agent_pid(settings.run_dir)
    return Facts(
        now=time.time(),
        told=router.knows_anything(),
        interfaces=seen.interfaces,
        routes=seen.routes,
        rules=seen.rules,
        ruleset=foreign.ruleset(),
        legacy=foreign.legacy(),
        daemons={name: processes.process(pid) if pid else None for name, pid in pids.items()},
        agent=processes.process(agent) if agent else None,
        answering=recent is not None,
        busy=busy,
        unconfirmed=Unconfirmed(settings).waits(),
        commands=last_commands(settings, recent.last() if recent else (), _COMMANDS),
        waiting=waiting(settings),
        connections=(tracked.total(), tracked.limit()),
        free_bytes={path: files.free_bytes(path) for path in (settings.cache_dir, settings.bag_dir)},
    )


def with_details(answer: Answer, outcomes: Iterable[Outcome], settings: Settings, resident: bool) -> Answer:
    """What a plan means beyond its changes, in each file's part of the answer. Raises VrouterError."""
    guests_of, units, conntrack = Guests(settings), Units(settings), Conntrack()
    serving = planned.Serving(frozenset(guests_of.stale()), guests_of.has_tagged(), bool(units.pid("dnsmasq")))
    for file, outcome in zip(answer["files"], outcomes, strict=True):
        count = conntrack.count(outcome.ends, _MOST_COUNTED) if outcome.ends else (0, True)
        file |= planned.detail(outcome.plan, outcome.ends, count, serving, resident)
        serving = serving.after(outcome.plan)
    return answer
