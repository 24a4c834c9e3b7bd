"""Kernel settings that are part of the observable behaviour (contract dataplane 1.2, 2.1, 2.3)."""

from __future__ import annotations

from collections.abc import Iterator

from vrouter.contracts import Handler, whole
from vrouter.model.intents import Intents, RouterFacts
from vrouter.model.machine import Machine
from vrouter.model.resources import Resource, Sysctl

_SETTINGS = {
    "net/ipv4/conf/all/accept_redirects": "0",
    "net/ipv4/conf/all/accept_source_route": "0",
    "net/ipv4/conf/all/arp_announce": "2",  # IF-11
    "net/ipv4/conf/all/arp_ignore": "2",  # IF-11
    "net/ipv4/conf/all/promote_secondaries": "1",  # IF-6
    "net/ipv4/conf/all/rp_filter": "0",  # the kernel takes the larger of this and the device's
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/lo/rp_filter": "1",  # RP-2
    "net/ipv4/ip_forward": "1",
    "net/ipv4/ip_nonlocal_bind": "1",
    "net/ipv4/tcp_syncookies": "1",
    "net/ipv4/tcp_timestamps": "0",
    "net/ipv6/conf/all/disable_ipv6": "1",  # IPv6 is off until a bag needs it
    "net/ipv6/conf/default/disable_ipv6": "1",
}


def resources(intents: Intents, _: Machine) -> Iterator[Resource]:
    """The same for every router; nothing on a machine that is not one yet."""
    if intents.one(RouterFacts):
        for name, value in _SETTINGS.items():
            yield Sysctl(name=name, value=value)


HANDLER = Handler(name="kernel", takes=(RouterFacts,), scope=whole, resources=resources)
