"""The machine as the pipeline sees it: observe, check, apply, verify."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from vrouter.connections import ending
from vrouter.errors import HostError
from vrouter.faults import reached
from vrouter.host import files
from vrouter.host.conntrack import Conntrack
from vrouter.host.dnsmasq import Dnsmasq
from vrouter.host.guests import Guests
from vrouter.host.netlink import Netlink
from vrouter.host.nft import Nft, is_policy
from vrouter.host.units import Units
from vrouter.model.machine import Machine
from vrouter.model.resources import File, IpAddress, Key, Link, Resource, Sysctl
from vrouter.model.settings import Settings
from vrouter.plan import Holding, Plan, diff

_NETLINK = ("link", "address", "route", "rule")


class Host:
    """One machine, with its sockets kept open."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._nft = Nft()
        self._netlink = Netlink()
        self._guests = Guests(settings)
        self._units = Units(settings)
        self._dnsmasq = Dnsmasq(self._guests, self._units, settings.dnsmasq_leases)
        self._conntrack = Conntrack()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, _: TracebackType | None) -> None:
        self._netlink.close()
        self._nft.close()
        self._conntrack.close()

    def machine(self, wait_for: Iterable[str] = ()) -> Machine:
        """The facts, after giving the named devices time to appear (IF-4)."""
        self._netlink.wait_for(wait_for, self.settings.device_wait_s)
        return Machine(devices=self._netlink.devices(), settings=self.settings)

    def observe(self, want: Holding) -> dict[Key, Resource]:
        """All that is ours, and of what always exists what is wanted. Raises HostError."""
        return {
            **self._nft.observe(),
            **self._netlink.observe(want),
            **files.observe(want),
            **self._guests.observe(),
            **self._units.observe(),
        }

    def generation(self) -> int:
        """The packet policy's generation in the kernel: every transaction, anybody's, is a step."""
        return self._nft.generation()

    def policy_port(self) -> int:
        """The netlink port that our own transactions come from."""
        return self._nft.port()

    def route_port(self) -> int:
        """The one that our changes of links, addresses, routes and rules come from."""
        return self._netlink.port()

    def observe_but_policy(self, want: Holding) -> dict[Key, Resource]:
        """As `observe`, for a policy whose generation says that it is as it was left."""
        return {**self._netlink.observe(want), **files.observe(want), **self._units.observe()}

    def agrees(self, path: str, want: Holding) -> bool:
        """Whether a file is as it is wanted, or is none of ours."""
        wanted = want.get(("file", path))
        if isinstance(wanted, File):
            return files.read(path) == wanted
        return self._guests.agrees(path, want)

    def directories(self) -> list[str]:
        """Where our files lie."""
        settings = self.settings
        ours = (settings.dnsmasq_conf, settings.dnsmasq_resolv, settings.resolv, settings.rt_tables)
        return sorted({*(str(Path(path).parent) for path in ours), *self._guests.directories()})

    def watched(self) -> list[int]:
        """Descriptors that tell when a daemon dies."""
        return self._units.watched()

    def look(self, want: Holding) -> dict[Key, Resource]:
        """Links, settings and files that were not wanted before, as they are now. Raises HostError."""
        found: dict[Key, Resource] = dict(files.observe(want))
        if any(isinstance(resource, Link) for resource in want.values()):
            found |= {key: resource for key, resource in self._netlink.observe(want).items() if key in want}
        return found

    def check(self, plan: Plan, want: Holding) -> None:
        """Try what can be tried before it is real. Raises HostError; nothing has changed."""
        if is_policy([*plan.put, *plan.remove]):
            self._nft.check(plan, want)
        for resource in plan.put:
            if isinstance(resource, File) and resource.path == self.settings.dnsmasq_conf:
                self._guests.prepare()
                candidate = f"{self.settings.run_dir}/check/dnsmasq.conf"
                files.write(File(path=candidate, text=resource.text))
                self._units.check("dnsmasq", candidate)
                Path(candidate).unlink()

    def apply(self, plan: Plan, want: Holding, settle: bool = True) -> None:
        """Make a plan real. The policy comes first: without an element it is closed, so an element that is there before
        what it speaks of opens nothing. settle: see to it that daemons have taken it.

        Raises HostError; then a part may have been applied.
        """
        self._dnsmasq.before(plan, want)
        self._nft.apply(plan, want)
        reached("policy applied")
        files.apply(plan)
        reached("files applied")
        self._dnsmasq.put_guests(plan)
        reached("guests applied")
        if any(change.key[0] in _NETLINK for change in plan.changes):
            self._netlink.apply(plan, want)
        reached("network applied")
        self._dnsmasq.after(plan, want, settle)
        reached("daemons applied")
        self._conntrack.end(ending(plan, want))

    def disturbs(self, plan: Plan, want: Holding) -> bool:
        """Whether a plan makes a daemon read all anew."""
        return self._dnsmasq.reads_anew(plan, want)

    def rests_until(self) -> float:
        """Before that, in seconds of time.monotonic, no daemon should be made to read all anew."""
        return self._dnsmasq.rests_until()

    def verify(self, plan: Plan, want: Holding) -> None:
        """Look again at what was touched. For elements, and for addresses behind another of their network, the kernel's
        acknowledgement is enough (design 1): nothing follows from them. Raises HostError naming the first difference.
        """
        kinds = {change.key[0] for change in plan.changes}
        have: dict[Key, Resource] = {}
        if is_policy([*plan.put, *plan.remove]):
            have |= self._nft.observe()
        else:
            kinds.discard("element")
        if not any(
            _has_consequences(resource) for change in plan.changes for resource in (change.before, change.after)
        ):
            kinds.difference_update(_NETLINK)
        if kinds & set(_NETLINK):
            have |= self._netlink.observe(want)
        if kinds & {"file", "sysctl"}:
            touched = {resource.key: resource for resource in plan.put if isinstance(resource, (File, Sysctl))}
            have |= files.observe(touched)
        if "unit" in kinds:
            have |= self._units.observe()
        kinds.discard("host")
        keys = [change.key for change in plan.changes if change.key[0] in kinds]
        wrong = diff(have, {key: want[key] for key in keys if key in want}, keys)
        if wrong:
            first = wrong.changes[0]
            found = first.before.describe() if first.before else "nothing"
            raise HostError(f"verify: {' '.join(first.key)} is {found} after the change")


def _has_consequences(resource: Resource | None) -> bool:
    """Whether the kernel changes other things by itself when this comes or goes."""
    return (
        resource is not None
        and resource.key[0] in _NETLINK
        and not (isinstance(resource, IpAddress) and not resource.primary)
    )
