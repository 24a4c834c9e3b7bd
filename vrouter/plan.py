"""The one diff: what a machine holds against what it should hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from vrouter.model.resources import HostRecord, Key, Resource
from vrouter.model.values import Mac

Holding = Mapping[Key, Resource]

_MOST_STALE = 1000  # withdrawn guests that the daemon may still hold in memory
_MOST_NOTICED = 1000  # guests; a queue of inotify holds 16384 events, a guest's files make eight
_MOST_RELEASED = 100  # leases; each takes dnsmasq 10 ms where it keeps 1 000, and the buffer of its socket holds 160


@dataclass(frozen=True)
class Change:
    """One line of a plan. `before` is empty for an addition, `after` for a removal."""

    action: Literal["add", "change", "remove"]
    key: Key
    before: Resource | None
    after: Resource | None

    def as_json(self) -> dict[str, str]:
        """The line as `plan` and `apply` print it (design 4a)."""
        line = {"action": self.action, "kind": self.key[0], "name": " ".join(self.key[1:])}
        if self.before:
            line["before"] = self.before.describe()
        if self.after:
            line["after"] = self.after.describe()
        origin = (self.after or self.before or Resource()).origin
        return line | ({"origin": origin} if origin else {})


@dataclass(frozen=True)
class Plan:
    """What makes a machine hold what is wanted: each resource once, sorted by key."""

    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def put(self) -> tuple[Resource, ...]:
        """What is added or replaced."""
        return tuple(change.after for change in self.changes if change.after)

    @property
    def remove(self) -> tuple[Resource, ...]:
        """What goes for good."""
        return tuple(change.before for change in self.changes if change.before and not change.after)

    def applied(self, have: Holding) -> dict[Key, Resource]:
        """What a machine holds after the plan."""
        result = dict(have)
        for change in self.changes:
            if change.after:
                result[change.key] = change.after
            else:
                result.pop(change.key, None)
        return result

    def changes_tree(self) -> list[dict[str, str]]:
        """The plan for programs."""
        return [change.as_json() for change in self.changes]


def by_key(resources: Iterable[Resource]) -> dict[Key, Resource]:
    """Resources found by their key."""
    return {resource.key: resource for resource in resources}


def diff(have: Holding, want: Holding, keys: Iterable[Key] | None = None) -> Plan:
    """Pure and total; empty when both sides hold the same. keys: look only at these, the rest agrees."""
    if keys is None:
        keys = have.keys() | want.keys()
    changes = []
    for key in sorted(keys):
        before, after = have.get(key), want.get(key)
        if before == after or (before and before.lasting and not after):
            continue
        action: Literal["add", "change", "remove"] = "change" if before and after else "add" if after else "remove"
        changes.append(Change(action, key, before, after))
    return Plan(tuple(changes))


def rereads_hosts(plan: Plan, stale: set[str]) -> bool:
    """Whether dnsmasq has to read its host directories anew: it notices new files by itself, but it holds on to what an
    old line said (contract lab-notes; checked with 2.90: "duplicate dhcp-host IP address").

    stale: addresses of withdrawn lines since it has read all.
    """
    put = [change for change in plan.changes if isinstance(change.after, HostRecord)]
    return len(stale) > _MOST_STALE or any(change.before or change.key[1] in stale for change in put)


def released(plan: Plan) -> list[tuple[IPv4Address, Mac]]:
    """Leases that ended with the plan: address and MAC of every entry that lost or changed them (DH-10).

    A line that foreign hands wrote may begin with anything: no lease was given for what is no MAC.
    """
    result = []
    for change in plan.changes:
        before, after = change.before, change.after
        if isinstance(before, HostRecord) and not (isinstance(after, HostRecord) and after.mac == before.mac):
            with suppress(ValueError):
                result.append((before.address, Mac(before.mac)))
    return result


def renews_hosts(plan: Plan) -> bool:
    """Whether so many guests change that dnsmasq is better started anew: the kernel does not tell it of all the files,
    and what it is told takes it longer (10 000 guests: 10 s, 1.4 s at its start; 1 000 leases that end: 10 s)."""
    count = sum(isinstance(change.before or change.after, HostRecord) for change in plan.changes)
    return count > _MOST_NOTICED or len(released(plan)) > _MOST_RELEASED
