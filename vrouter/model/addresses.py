"""The entries of the `ips` bag, which four commands write (contract commands 4.1, 4.2, 4.3, 4.6).

They stand in `model/` because the features that write them do not import each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from typing import cast

from vrouter.model.bag import Changes, Entries
from vrouter.model.json import JsonObject
from vrouter.model.machine import Machine

NOWHERE = "ethNone"  # the reference's device of an address whose device is not known


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressEntry:
    """One address: its key is the address itself. order: place in the device's list, lower is nearer the front."""

    raw: JsonObject
    device: str
    order: int = field(compare=False)

    @property
    def key(self) -> str:
        return str(self.raw["public_ip"])

    @property
    def nw_type(self) -> str:
        """`public`, `guest` or `control`; public where the document was silent (K13)."""
        return str(self.raw.get("nw_type") or "public").lower()


def derived(fields: JsonObject, device: str) -> JsonObject:
    """The entry as the reference stores it: the element's fields and those computed from address and mask.

    Raises ValueError where address or mask do not parse.
    """
    interface = IPv4Interface(f"{fields['public_ip']}/{fields['netmask']}")
    network = interface.network
    entry = {key: value for key, value in fields.items() if value is not None}
    entry |= {
        "device": device,
        "cidr": str(interface),
        "size": str(network.prefixlen),
        "network": str(network),
        "broadcast": str(network.broadcast_address) if network.prefixlen < 31 else "None",
        "nw_type": str(fields.get("nw_type") or "public").lower(),
    }
    if "mtu" in entry:
        entry["mtu"] = str(entry["mtu"])
    return entry


def device_for(fields: JsonObject, held: AddressEntry | None, machine: Machine) -> str:
    """By MAC against the machine, then by `nic_dev_id`, else where the address was (IF-1); NOWHERE if none tells."""
    mac = fields.get("vif_mac_address")
    found = machine.device_of(mac) if isinstance(mac, str) else None
    if found:
        return found
    number = fields.get("nic_dev_id")
    if number is not None and str(number).isdecimal():
        return f"eth{int(str(number))}"
    return held.device if held else NOWHERE


def placed(bag: Entries, elements: Iterable[tuple[JsonObject, bool]], machine: Machine) -> Changes:
    """Merge address elements, each with whether it is added or removed, in their order (contract commands 4.2).

    Differs from the reference where 7.2 says so: a removed address leaves the bag (D8), an identical one keeps its
    place, a `source_nat` one goes to the front only when it is added. A control address is the only one of its device.
    """
    now = dict(cast(Mapping[str, AddressEntry], bag))
    changes: dict[str, AddressEntry | None] = {}
    for fields, add in elements:
        key = str(fields["public_ip"])
        held = now.pop(key, None)
        if not add:
            changes[key] = None
            continue
        device = device_for(fields, held, machine)
        entry = AddressEntry(raw=derived(fields, device), device=device, order=0)
        others = [other for other in now.values() if other.device == device]
        if entry.nw_type == "control":
            for other in others:
                changes[other.key] = None
                del now[other.key]
        if held is not None and held.device == device and held.raw.get("source_nat") == entry.raw.get("source_nat"):
            order = held.order
        elif entry.raw.get("source_nat"):
            order = min((other.order for other in others), default=1) - 1
        else:
            order = max((other.order for other in others), default=-1) + 1
        now[key] = changes[key] = replace(entry, order=order)
    return changes


def load(text: JsonObject) -> dict[str, AddressEntry]:
    """The bag's lists by device, `add: false` tombstones of the reference dropped. Raises ValueError."""
    entries: dict[str, AddressEntry] = {}
    for device, listed in text.items():
        if device == "id":
            continue
        if not isinstance(listed, list):
            raise ValueError(f"{device} is not a list")
        for order, raw in enumerate(listed):
            if not isinstance(raw, dict) or not isinstance(raw.get("public_ip"), str):
                raise ValueError(f"{device}[{order}] is not an address entry with public_ip")
            if raw.get("add", True) is not False:
                entry = AddressEntry(raw=raw, device=device, order=order)
                entries[entry.key] = entry
    return entries


def dump(entries: Mapping[str, AddressEntry]) -> JsonObject:
    """The lists by device, each in its order."""
    devices: dict[str, list[AddressEntry]] = {}
    for entry in entries.values():
        devices.setdefault(entry.device, []).append(entry)
    return {
        device: [entry.raw for entry in sorted(devices[device], key=lambda entry: (entry.order, entry.key))]
        for device in sorted(devices)
    } | {"id": "ips"}
