"""What is saved but cannot take effect yet, because an address, a device or a subnet is not there (design 4a). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from vrouter.model.intents import Accept, Address, DhcpHost, Dnat, GuestAddress, Intents, PublicAddress, StaticNat
from vrouter.model.machine import Machine


@dataclass(frozen=True, order=True)
class Pending:
    """origin: the entry that waits. needs: what it waits for."""

    origin: str
    needs: str

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)


def pending(intents: Intents, machine: Machine) -> list[Pending]:
    """Sorted, one line an entry and need."""
    return sorted(set(_waiting(intents, machine)))


def _waiting(intents: Intents, machine: Machine) -> Iterator[Pending]:
    public = {address.address for address in intents.of(PublicAddress)}
    guests = [address.network for address in intents.of(GuestAddress)]
    for address in intents.of(Address):
        if not machine.has(address.device):
            yield Pending(address.origin, f"device {address.device}")
    for rule in intents.of(Accept):
        if rule.to not in public:
            yield Pending(rule.origin, f"public address {rule.to}")
    for nat in intents.of(Dnat, StaticNat):
        assert isinstance(nat, (Dnat, StaticNat))
        if nat.public_ip not in public:
            yield Pending(nat.origin, f"public address {nat.public_ip}")
        if not any(nat.guest in network for network in guests):
            yield Pending(nat.origin, f"a guest subnet for {nat.guest}")
    for host in intents.of(DhcpHost):
        if not any(host.address in network for network in guests):
            yield Pending(host.origin, f"a guest subnet for {host.address}")
