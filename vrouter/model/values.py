"""Values that cannot be invalid and print what they parse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")

ANY_NETWORK = IPv4Network("0.0.0.0/0")


class Mac(str):
    """A link-layer address, lower case, six octets with colons; the case of the input is irrelevant (IF-1)."""

    def __new__(cls, text: str) -> Mac:
        lower = text.lower()
        if not _MAC.fullmatch(lower):
            raise ValueError(f"{text!r} is not a MAC address")
        return super().__new__(cls, lower)


class HostName(str):
    """One or more labels of RFC 1123, section 2.1, with underscores allowed inside; at most 253 characters."""

    def __new__(cls, text: str) -> HostName:
        if len(text) > 253 or not _NAME.fullmatch(text):
            raise ValueError(f"{text!r} is not a host name")
        return super().__new__(cls, text)


@dataclass(frozen=True, order=True, slots=True)
class PortRange:
    """Inclusive TCP or UDP ports, 1 to 65535; 0 is reserved (RFC 6335, section 6)."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last <= 65535:
            raise ValueError(f"{self.first}:{self.last} is not within 1:65535")

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """Read "first:last" (contract commands 4.12); raises ValueError."""
        first, colon, last = text.partition(":")
        if not (colon and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
            raise ValueError(f"{text!r} is not first:last")
        return cls(int(first), int(last))

    @property
    def size(self) -> int:
        """How many ports."""
        return self.last - self.first + 1


def network(text: str) -> IPv4Network:
    """An address or a network, host bits masked as the kernel does; raises ValueError."""
    return IPv4Network(text, strict=False)


def networks(texts: list[str]) -> tuple[IPv4Network, ...]:
    """Sorted, without repeats; an empty list, or one that holds 0.0.0.0/0, means any (contract dataplane FE-3)."""
    found = {network(text.strip()) for text in texts if text.strip()}
    return (ANY_NETWORK,) if not found or ANY_NETWORK in found else tuple(sorted(found))
