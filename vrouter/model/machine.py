"""What the machine is: facts the pure core is told and never looks up."""

from __future__ import annotations

from dataclasses import dataclass, field

from vrouter.model.settings import Settings
from vrouter.model.values import Mac


@dataclass(frozen=True, order=True)
class Device:
    """One network device of the machine. index: the kernel's number; one that was unplugged and is back has another."""

    name: str
    mac: Mac
    index: int = 0


@dataclass(frozen=True)
class Machine:
    """devices: the `eth*` devices that exist now."""

    devices: tuple[Device, ...] = ()
    settings: Settings = field(default_factory=Settings)

    def device_of(self, mac: str) -> str | None:
        """The device that carries a MAC, in any letter case (IF-1)."""
        wanted = mac.lower()
        return next((device.name for device in self.devices if device.mac == wanted), None)

    def has(self, name: str) -> bool:
        """Whether a device of that name exists."""
        return any(device.name == name for device in self.devices)
