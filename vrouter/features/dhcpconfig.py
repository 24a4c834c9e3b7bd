"""The databag `dhcpconfig`: gateways of guest subnets (contract commands 4.5). Command `dhcpconfig`.

The reference keeps nothing of it; this bag is ours, so that a subnet without a guest has its gateway too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from vrouter.contracts import Bag, Bags, Command
from vrouter.model.bag import Changes
from vrouter.model.intents import SubnetGateway
from vrouter.model.json import JsonObject
from vrouter.model.machine import Machine


@dataclass(frozen=True, slots=True)
class SubnetEntry:
    """One subnet, by the router's address in it."""

    raw: JsonObject


def merge(document: JsonObject, bags: Bags, _: Machine) -> Mapping[str, Changes]:
    """The list is complete: it replaces the bag."""
    listed = document["entries"]
    found = {
        str(item["router_ip_address"]): SubnetEntry(item)
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
    }
    return {"dhcpconfig": dict.fromkeys(bags["dhcpconfig"]) | found}


def desired(entry: SubnetEntry, _: Machine) -> Iterator[SubnetGateway]:
    """What option 3 holds in that subnet; where the document has no gateway, the router itself stays the gateway."""
    if entry.raw.get("gateway"):
        router, gateway = (IPv4Address(str(entry.raw[name])) for name in ("router_ip_address", "gateway"))
        yield SubnetGateway(origin=f"dhcpconfig {router}", router=router, gateway=gateway)


def load(text: JsonObject) -> dict[str, SubnetEntry]:
    """Entries by router address. Raises ValueError."""
    entries = {}
    for key, raw in text.items():
        if key == "id":
            continue
        if not isinstance(raw, dict):
            raise ValueError(f"{key} is not an object")
        for address in (raw.get("router_ip_address"), raw.get("gateway", "0.0.0.0")):
            IPv4Address(str(address))
        entries[key] = SubnetEntry(raw)
    return entries


def dump(entries: Mapping[str, SubnetEntry]) -> JsonObject:
    """One object a subnet."""
    return {key: entry.raw for key, entry in entries.items()} | {"id": "dhcpconfig"}


BAG = Bag(name="dhcpconfig", entry=SubnetEntry, load=load, dump=dump, desired=desired)
COMMANDS = (Command(type="dhcpconfig", bags=("dhcpconfig",), merge=merge),)
