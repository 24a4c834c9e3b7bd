"""dnsmasq while a plan is applied: its guests' files, when it reads them, and whether it has."""

from __future__ import annotations

import time
from collections.abc import Iterable
from ipaddress import IPv4Address

from vrouter.errors import HostError
from vrouter.host import dhcp
from vrouter.host.guests import Guests
from vrouter.host.leases import forget
from vrouter.host.units import Units
from vrouter.model.resources import HostRecord, Unit
from vrouter.model.values import Mac
from vrouter.plan import Holding, Plan, released, renews_hosts, rereads_hosts

_REST_S = 1.0  # a daemon reads all anew at most once in it (design 3)
_HANGS_S = 5.0  # without an answer this long a daemon is as good as dead; it reads 10 000 guests in 1.4
_STARTS_S = 15.0


class Dnsmasq:
    """Use `before`, `put_guests`, `after` in this order."""

    def __init__(self, guests: Guests, units: Units, leases: str) -> None:
        """leases: the path of its lease file."""
        self._guests, self._units, self._leases = guests, units, leases
        self._read_at = -_REST_S  # in seconds of time.monotonic
        self._had_tagged = False

    def rests_until(self) -> float:
        """Before that, in seconds of time.monotonic, it should not be made to read all anew."""
        return self._read_at + _REST_S

    def reads_anew(self, plan: Plan, want: Holding) -> bool:
        """Whether a plan makes it."""
        changed = any(change.key == ("unit", "dnsmasq") for change in plan.changes)
        unit = isinstance(want.get(("unit", "dnsmasq")), Unit)
        return changed or (unit and (renews_hosts(plan) or rereads_hosts(plan, self._guests.stale())))

    def before(self, plan: Plan, want: Holding) -> None:
        """Stop it where so many guests change that it is better started anew; then nobody else writes its lease file.
        Raises HostError."""
        self._had_tagged, unit = self._guests.has_tagged(), want.get(("unit", "dnsmasq"))
        if isinstance(unit, Unit) and renews_hosts(plan):
            self._units.stop(unit)
            forget(self._leases, released(plan))

    def put_guests(self, plan: Plan) -> None:
        """Write guests' files; those of guests that go say so until the daemon has read it. Raises HostError."""
        for resource in plan.remove:
            if isinstance(resource, HostRecord):
                self._guests.withdraw(resource)
        for resource in plan.put:
            if isinstance(resource, HostRecord):
                self._guests.put(resource)

    def after(self, plan: Plan, want: Holding, settle: bool) -> None:
        """Start, stop or reload it as the plan needs; with `settle`, wait until it has read what changed, then end the
        leases of guests that are gone. Raises HostError."""
        for resource in plan.remove:
            if isinstance(resource, Unit):
                self._units.stop(resource)
        unit = want.get(("unit", "dnsmasq"))
        guests_change = any(isinstance(resource, HostRecord) for resource in [*plan.put, *plan.remove])
        if isinstance(unit, Unit):
            self._read_anew(unit, plan, want)
            if guests_change and settle:
                self._wake(unit)
        self._forget(plan)
        if isinstance(unit, Unit):
            gone = [] if renews_hosts(plan) else released(plan)
            _release(unit, gone)
            if gone and settle:
                self._wake(unit, len(gone))

    def _read_anew(self, unit: Unit, plan: Plan, want: Holding) -> None:
        if not self.reads_anew(plan, want):
            return
        if unit in plan.put or renews_hosts(plan) or self._had_tagged or self._guests.has_tagged():
            self._start(unit)
        else:
            self._units.reload(unit.name)
            self._guests.all_read()
        self._read_at = time.monotonic()

    def _start(self, unit: Unit) -> None:
        self._guests.prepare()
        self._units.start(unit)
        self._guests.all_read()

    def _wake(self, unit: Unit, packets: int = 1) -> None:
        """Until it has read its files and taken DHCP packets sent before. A daemon that hangs is as good as a dead one:
        it is started anew, once."""
        if not self._units.is_stopped(unit.name) and self._has_read(unit, _HANGS_S, packets):
            return
        self._units.kill(unit.name)
        self._start(unit)
        if not self._has_read(unit, _STARTS_S):
            raise HostError(f"{unit.name} does not answer on {unit.serves[0].ip}")

    def _has_read(self, unit: Unit, limit_s: float, packets: int = 1) -> bool:
        if not unit.dns:
            return self._units.comes_to_rest(unit.name, limit_s)
        return dhcp.awake(unit.serves[0].ip, limit_s, lambda: self._units.pid(unit.name) is not None, packets)

    def _forget(self, plan: Plan) -> None:
        for resource in plan.remove:
            if isinstance(resource, HostRecord):
                self._guests.remove(resource)


def _release(unit: Unit, gone: Iterable[tuple[IPv4Address, Mac]]) -> None:
    for address, mac in gone:
        server = next((router.ip for router in unit.serves if address in router.network), None)
        if server:
            dhcp.release(server, address, mac)
