"""The formats that the schemas in `databags/` name: what a text has to be before it may reach a rendered file.

Every format also exists as `boot-<format>`, for boot arguments, where `ABSENT` stands for a missing one (contract
commands 4.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

from jsonschema import FormatChecker

from vrouter.model.values import HostName, Mac, PortRange

ABSENT = frozenset({"", "null", "None"})

_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")
_SEPARATOR = re.compile(r"[,: ]+")

Check = Callable[[str], bool]


def format_checker() -> FormatChecker:
    """A checker that knows these formats and no other."""
    checker = FormatChecker(formats=())
    for name, check in _FORMATS.items():
        checker.checks(name, raises=ValueError)(_of_text(check))
        checker.checks(f"boot-{name}", raises=ValueError)(_of_text(_or_absent(check)))
    checker.checks("port-pair", raises=ValueError)(_port_pair)
    return checker


def _of_text(check: Check) -> Callable[[object], bool]:
    """A format speaks of texts only; whether a value has to be one is for `type` to say."""
    return lambda value: not isinstance(value, str) or check(value)


def _or_absent(check: Check) -> Check:
    return lambda text: text in ABSENT or check(text)


def _list_of(check: Check) -> Check:
    return lambda text: text == "" or all(check(item) for item in text.split(","))


def _within(first: int, last: int) -> Check:
    return lambda text: first <= _number(text) <= last


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text} is not a number of at most five digits")
    return int(text)


def _ipv4_any(text: str) -> bool:
    IPv4Address(text)
    return True


def _ipv4_unicast(text: str) -> bool:
    """An address that a host can have: not of 0/8, 127/8, 224/3 (RFC 6890, section 2.2.2; RFC 5771)."""
    first = IPv4Address(text).packed[0]
    return first < 224 and first not in (0, 127)


def _gateway(text: str) -> bool:
    return text == "0.0.0.0" or _ipv4_unicast(text)


def _netmask(text: str) -> bool:
    """Ones, then zeros, and not zeros only."""
    zeros = int(IPv4Address(text)) ^ 0xFFFFFFFF
    return zeros & (zeros + 1) == 0 and zeros != 0xFFFFFFFF


def _cidr4(text: str) -> bool:
    address, slash, length = text.partition("/")
    return _ipv4_any(address) and (not slash or _number(length) <= 32)


def _ipv6(text: str) -> bool:
    IPv6Address(text)
    return "%" not in text


def _ipv6_prefix(text: str) -> bool:
    """A network, or its length alone: senders differ (contract commands 4.3)."""
    address, slash, length = text.rpartition("/")
    return _number(length) <= 128 and (not slash or _ipv6(address))


def _mac(text: str) -> bool:
    Mac(text)
    return True


def _name(text: str) -> bool:
    """A host or domain name; what reads as an address is none."""
    HostName(text)
    return not _holds(_ipv4_any, text)


def _host(text: str) -> bool:
    return _name(text) or _holds(_ipv4_any, text) or _ipv6(text)


def _holds(check: Check, text: str) -> bool:
    try:
        return check(text)
    except ValueError:
        return False


def _port_range(text: str) -> bool:
    return str(PortRange.parse(text)) == text


def _port_pair(value: object) -> bool:
    """[first, last] in that order; the elements have faults of their own."""
    match value:
        case [int() as first, int() as last]:
            return first <= last
    return True


def _static_nat_port_range(text: str) -> bool:
    return text == "0:0" or _port_range(text)


def _static_routes(text: str) -> bool:
    return text == "" or all(_cidr4(network) and _ipv4_unicast(gateway) for network, gateway in _pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    words = _SEPARATOR.split(text)
    return zip(words[::2], words[1::2], strict=True)


_FORMATS: dict[str, Check] = {
    "ipv4-any": _ipv4_any,
    "ipv4-unicast": _ipv4_unicast,
    "ipv4-unicast-or-empty": lambda text: text == "" or _ipv4_unicast(text),
    "ipv4-list": _list_of(_ipv4_unicast),
    "gateway": _gateway,
    "netmask": _netmask,
    "cidr4": _cidr4,
    "cidr4-list": _list_of(_cidr4),
    "length4": _within(0, 32),
    "ipv6": _ipv6,
    "ipv6-list": _list_of(_ipv6),
    "ipv6-prefix": _ipv6_prefix,
    "length6": _within(0, 128),
    "mac": _mac,
    "mtu": _within(68, 65535),
    "host-name": _name,
    "host-list": _list_of(_host),
    "domain-name": _name,
    "domain-name-list": _list_of(_name),
    "port-range": _port_range,
    "static-nat-port-range": _static_nat_port_range,
    "static-routes": _static_routes,
}
