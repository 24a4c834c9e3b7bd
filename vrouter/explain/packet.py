"""The packet that is asked about. Pure; a command line and JSON parse to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Literal, cast

Protocol = Literal["tcp", "udp", "icmp"]
State = Literal["new", "established"]

LOCAL = "local"
"""In place of the interface: a packet of the router itself."""

ECHO_REQUEST = 8

_DEVICE = re.compile(r"[A-Za-z0-9_.@-]{1,15}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Packet:
    """device: where it comes in; LOCAL for one of the router itself, empty to guess it from the route to its source.

    Ports are 0 to 65535; 0 stands for a source port that does not matter. Raises ValueError outside the bounds.
    """

    protocol: Protocol
    source: IPv4Address
    destination: IPv4Address
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = ECHO_REQUEST
    icmp_code: int = 0
    device: str = ""
    state: State = "new"

    def __post_init__(self) -> None:
        if self.protocol not in ("tcp", "udp", "icmp"):
            raise ValueError(f"{self.protocol!r} is not tcp, udp or icmp")
        if self.state not in ("new", "established"):
            raise ValueError(f"{self.state!r} is not new or established")
        if self.device and not _DEVICE.fullmatch(self.device):
            raise ValueError(f"{self.device!r} is not the name of an interface")
        for number, most in (
            (self.source_port, 65535), (self.destination_port, 65535), (self.icmp_type, 255), (self.icmp_code, 255),
        ):  # fmt: skip
            if not 0 <= number <= most:
                raise ValueError(f"{number} is not within 0:{most}")

    def as_json(self) -> dict[str, Any]:
        """For the agent and for programs; `of_json` reads it."""
        of_protocol = (
            {"icmp_type": self.icmp_type, "icmp_code": self.icmp_code}
            if self.protocol == "icmp"
            else {"source_port": self.source_port, "destination_port": self.destination_port}
        )
        ends = {"source": str(self.source), "destination": str(self.destination)}
        return {"protocol": self.protocol, **ends, **of_protocol, "in": self.device, "state": self.state}


def of_json(tree: Mapping[str, Any]) -> Packet:
    """Raises ValueError, also for what is missing or of another type."""
    try:
        numbers = {name: tree[name] for name in _NUMBERS if name in tree}
        if not all(type(number) is int for number in numbers.values()):
            raise ValueError("ports, types and codes are numbers")
        return Packet(
            protocol=tree["protocol"], source=IPv4Address(str(tree["source"])), device=str(tree.get("in", "")),
            destination=IPv4Address(str(tree["destination"])), state=tree.get("state", "new"), **numbers,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a packet: {error}") from error


_NUMBERS = ("source_port", "destination_port", "icmp_type", "icmp_code")


def parse(
    protocol: str, source: str, destination: str, *, device: str = "", state: str = "new", type: str = ""
) -> Packet:
    """As the command line says it: `SRC[:PORT]`, `DST[:PORT]`, for ICMP `TYPE` or `TYPE/CODE`. Raises ValueError."""
    from_address, from_port = _end(source)
    to_address, to_port = _end(destination)
    if protocol == "icmp":
        if from_port is not None or to_port is not None:
            raise ValueError("icmp has no ports; say --type TYPE or --type TYPE/CODE")
        kind, _, code = (type or str(ECHO_REQUEST)).partition("/")
        return Packet(
            protocol="icmp", source=from_address, destination=to_address, icmp_type=_number(kind),
            icmp_code=_number(code or "0"), device=device, state=cast(State, state),
        )  # fmt: skip
    if type:
        raise ValueError("--type is for icmp")
    if to_port is None and protocol in ("tcp", "udp"):
        raise ValueError(f"{destination!r} has no port; send {destination}:80")
    return Packet(
        protocol=cast(Protocol, protocol), source=from_address, source_port=from_port or 0, destination=to_address,
        destination_port=to_port or 0, device=device, state=cast(State, state),
    )  # fmt: skip


def _end(text: str) -> tuple[IPv4Address, int | None]:
    address, colon, port = text.partition(":")
    return IPv4Address(address), _number(port) if colon else None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError(f"{text!r} is not a number")
    return int(text)
