"""The policy of a boot whose bags cannot be read (SU-2)."""

from __future__ import annotations

from vrouter.host.host import Host
from vrouter.outcome import Registry
from vrouter.plan import Plan, diff
from vrouter.wanted import Wanted


def close(registry: Registry, host: Host) -> Plan:
    """What nobody asked anything of: a policy that lets SSH in on the control device and nothing else (SU-2).

    For a boot whose bags cannot be read. A machine that has a policy keeps it. Raises HostError.
    """
    want = Wanted(registry.handlers, host.machine()).resources
    have = host.observe(want)
    plan = diff({}, want) if not any(key in have for key in want) else Plan()
    host.apply(plan, want)
    return plan
