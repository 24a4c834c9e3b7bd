"""What the kernel refuses of a packet's addresses when it routes it: martians and the reverse path. Pure.

Source: ip_route_input_slow and __fib_validate_source of net/ipv4, for `src_valid_mark`, `accept_local` and
`route_localnet` at their defaults of 0, and with routing rules present.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from vrouter.explain.fib import Fib, Way, is_limited, is_zero


def martian(source: IPv4Address, destination: IPv4Address) -> str:
    """Why no packet with these addresses comes in from outside; empty where nothing speaks against it."""
    if source.is_multicast or is_limited(source):
        return f"{source} cannot be a source"
    if is_limited(destination) or (is_zero(source) and is_zero(destination)):
        return ""
    if is_zero(source):
        return f"{source} cannot be a source"
    for address in (destination, source):
        if address.is_loopback:
            return f"{address} is of the loopback"
    return f"{destination} cannot be reached" if is_zero(destination) else ""


def refused(fib: Fib, source: IPv4Address, destination: IPv4Address, device: str) -> tuple[str, Way | None]:
    """Why the source is not taken from the device, and the way back that decided; an empty reason where it is taken.

    destination: after translation, as the kernel has it here. The packet's mark does not count.
    """
    if is_zero(source):
        return "", None
    mode = fib.reverse_path(device)
    way = fib.lookup(source, destination)
    if way is None:
        return (f"there is no way back to {source} (rp_filter {mode})" if mode else ""), None
    if way.kind == "local":
        return f"{source} is an address of the router itself", way
    if way.kind == "broadcast":
        return f"{source} is a broadcast address", way
    if way.device == device:
        return "", way
    if device not in fib.addressed:
        return (f"{device} has no address (rp_filter {mode})" if mode else ""), way
    if mode == 1:
        return f"the way back to {source} is {way.device}, not {device} (rp_filter 1)", way
    return "", way
