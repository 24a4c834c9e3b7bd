"""The router's NICs, as the claims on them imply: which device has which MAC, and which addresses it will carry. Pure.

A MAC decides before a number, as in the router itself (contract dataplane IF-1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import count

from vrouter.lab.claims import LARGEST_NUMBER, NicClaim, Role
from vrouter.model.values import Mac

_USUAL: dict[Role, tuple[int, ...]] = {"guest": (0,), "control": (1,), "public": ()}
_FIRST_PUBLIC = 2
_SPELLED = 26  # segments that are told apart by a letter


@dataclass
class Device:
    """A NIC of the router. addresses and gateways in the order in which they are named; outside: gateways of guests."""

    number: int
    role: Role
    mac: Mac | None = None
    segment: str = ""
    addresses: list[IPv4Interface] = field(default_factory=list)
    gateways: list[IPv4Address] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"eth{self.number}"

    @property
    def networks(self) -> list[IPv4Network]:
        """Each once, in their order."""
        return list(dict.fromkeys(address.network for address in self.addresses))

    def take(self, claim: NicClaim) -> None:
        """Learn what a claim says of it."""
        self.mac = self.mac or claim.mac
        if claim.address and claim.address not in self.addresses:
            self.addresses.append(claim.address)
        if claim.gateway and claim.gateway not in self.gateways:
            self.gateways.append(claim.gateway)


def wired(claims: Sequence[NicClaim], guests: bool) -> list[Device]:
    """The devices by number, each on its segment. guests: whether some have to be connected.

    Where nothing is named, the usual three of an isolated network (contract dataplane 1.1).
    """
    bench = _Bench()
    later = [claim for claim in claims if not bench.place(claim)]
    for claim in later:
        bench.find(claim).take(claim)
    if not bench.devices:
        for number, role in enumerate(("guest", "control", "public")):
            bench.add(number, role)  # type: ignore[arg-type]  # they are roles
    if guests and not any(device.role == "guest" for device in bench.devices.values()):
        bench.add(bench.free("guest"), "guest")
    devices = [bench.devices[number] for number in sorted(bench.devices)]
    _connect(devices)
    return devices


class _Bench:
    def __init__(self) -> None:
        self.devices: dict[int, Device] = {}

    def add(self, number: int, role: Role) -> Device:
        """One more device."""
        device = self.devices[number] = Device(number, role)
        return device

    def place(self, claim: NicClaim) -> bool:
        """Whether the claim names its device by a MAC that is known, or by a number that no other MAC has."""
        device = self._with(claim.mac)
        if device is None and claim.number is not None:
            device = self.devices.get(claim.number)
            if device and device.mac and claim.mac and device.mac != claim.mac:
                return False
            device = device or self.add(claim.number, claim.role)
        if device is None:
            return False
        device.take(claim)
        return True

    def find(self, claim: NicClaim) -> Device:
        """For a claim without a number, or with one that another MAC has: by MAC, by its network, or a new one."""
        if device := self._with(claim.mac):
            return device
        free = [d for d in self.devices.values() if d.role == claim.role and not (d.mac and claim.mac)]
        free.sort(key=lambda device: device.number)
        network = claim.address.network if claim.address else None
        for device in free:
            if network in device.networks:
                return device
        if free and not claim.mac:
            return free[0]
        return self.add(self.free(claim.role), claim.role)

    def free(self, role: Role) -> int:
        """The usual number of such a device, or the next that none has."""
        numbers: Iterable[int] = (*_USUAL[role], *range(_FIRST_PUBLIC, LARGEST_NUMBER + 1))
        return next((number for number in numbers if number not in self.devices), LARGEST_NUMBER + 1)

    def _with(self, mac: Mac | None) -> Device | None:
        return next((device for device in self.devices.values() if mac and device.mac == mac), None)


def _connect(devices: Sequence[Device]) -> None:
    """A segment each: `guest`, `guest-b`, ...; public devices whose networks overlap are two NICs of one VLAN."""
    names = {role: _names(role) for role in _USUAL}
    for device in devices:
        same = next((other for other in devices if other.segment and _one_vlan(device, other)), None)
        device.segment = same.segment if same else next(names[device.role])


def _one_vlan(device: Device, other: Device) -> bool:
    public = device.role == other.role == "public"
    return public and any(a.overlaps(b) for a in device.networks for b in other.networks)


def _names(role: Role) -> Iterator[str]:
    yield role
    for place in count(2):
        yield f"{role}-{chr(ord('a') + place - 1) if place <= _SPELLED else place}"
