"""What the kernel counts beside interfaces: packets that it gave up, and the counters of nftables."""

from __future__ import annotations

from pathlib import Path

_SNMP = {
    "InHdrErrors": "received with a broken header",
    "InAddrErrors": "received for an address that is not ours",
    "InDiscards": "received and given up, no room",
    "OutDiscards": "to be sent and given up, no room",
    "OutNoRoutes": "to be sent without a route",
    "FragFails": "too large and not to be fragmented",
}
_CONNTRACK = {
    "drop": "no room for a connection",
    "early_drop": "connections ended to make room",
    "insert_failed": "connections that clashed",
    "invalid": "that fit no connection",
}


def kernel_drops() -> tuple[tuple[str, str, int], ...]:
    """Name, what it means, and how many packets since the boot; those that a kernel does not count are left out."""
    found = []
    ip = _snmp()
    found += [(f"ip {name}", says, ip[name]) for name, says in _SNMP.items() if name in ip]
    tracked = _conntrack()
    found += [(f"conntrack {name}", says, tracked[name]) for name, says in _CONNTRACK.items() if name in tracked]
    return tuple(found)


def _snmp() -> dict[str, int]:
    lines = [line.split()[1:] for line in _text("/proc/net/snmp").splitlines() if line.startswith("Ip:")]
    return dict(zip(lines[0], map(int, lines[1]), strict=False)) if len(lines) == 2 else {}


def _conntrack() -> dict[str, int]:
    """The sum over all processors, which count in hexadecimal."""
    lines = [line.split() for line in _text("/proc/net/stat/nf_conntrack").splitlines()]
    if not lines:
        return {}
    return {name: sum(int(cpu[place], 16) for cpu in lines[1:]) for place, name in enumerate(lines[0])}


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
