"""The databag `dhcpentry`: DHCP and DNS of guest NICs (contract commands 4.4). Command `dhcpentry`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import cast

from vrouter.contracts import Bag, Bags, Command
from vrouter.model.bag import Changes
from vrouter.model.intents import DhcpHost
from vrouter.model.json import JsonObject
from vrouter.model.machine import Machine
from vrouter.model.values import HostName, Mac, network


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One NIC; the whole document is kept. mac: of it, apart, because every new entry looks for its own among all."""

    raw: JsonObject
    mac: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mac", str(self.raw.get("mac_address", "")).lower())


def merge(document: JsonObject, bags: Bags, _: Machine) -> Mapping[str, Changes]:
    """The document becomes the entry of its address, and of its MAC: an older entry of either goes.

    A removal takes away only the entry with both, so that a late one spares the address's new owner (D10); it leaves
    no tombstone (D8).
    """
    held = cast(Mapping[str, HostEntry], bags["dhcpentry"])
    key = str(document.get("ipv4_address") or document.get("ipv6_address"))
    entry = HostEntry(document)
    owner = held.get(key)
    if document.get("add") is False:
        return {"dhcpentry": {key: None}}
    if document.get("remove") is True:
        mine = owner is not None and owner.mac == entry.mac
        return {"dhcpentry": {key: None} if mine else {}}
    changes: dict[str, HostEntry | None] = {other: None for other, found in held.items() if found.mac == entry.mac}
    return {"dhcpentry": changes | {key: entry}}


def desired(entry: HostEntry, _: Machine) -> Iterator[DhcpHost]:
    """The static lease and the name; an entry without IPv4 address asks for nothing yet (DH-14)."""
    raw = entry.raw
    gateway = str(raw.get("default_gateway") or "")
    try:
        yield DhcpHost(
            origin=f"dhcpentry {raw.get('ipv4_address')}",
            mac=Mac(str(raw["mac_address"])),
            address=IPv4Address(str(raw["ipv4_address"])),
            name=HostName(str(raw["host_name"])),
            gateway=IPv4Address(gateway) if gateway else None,
            default=raw.get("default_entry", True) is not False,
            routes=tuple(_routes(str(raw.get("static_routes") or ""))),
        )
    except (KeyError, ValueError):
        return  # IPv6 only, or an entry of a foreign bag that cannot be read: it stays in the bag


def _routes(text: str) -> Iterator[tuple[IPv4Network, IPv4Address]]:
    words = [word for word in re.split(r"[\s,;:]+", text) if word]
    for to, via in zip(words[::2], words[1::2], strict=False):
        yield network(to), IPv4Address(via)


def load(text: JsonObject) -> dict[str, HostEntry]:
    """Entries by address, the reference's `remove: true` tombstones dropped. Raises ValueError."""
    entries = {}
    for key, raw in text.items():
        if key == "id":
            continue
        if not isinstance(raw, dict):
            raise ValueError(f"{key} is not an object")
        if raw.get("remove") is not True:
            entries[key] = HostEntry(raw)
    return entries


def dump(entries: Mapping[str, HostEntry]) -> JsonObject:
    """In the reference's shape."""
    return {key: entry.raw for key, entry in entries.items()} | {"id": "dhcpentry"}


BAG = Bag(name="dhcpentry", entry=HostEntry, load=load, dump=dump, desired=desired)
COMMANDS = (Command(type="dhcpentry", bags=("dhcpentry",), merge=merge),)
