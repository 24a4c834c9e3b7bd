"""The databag `guestnetwork`: tiers (contract commands 4.3). Command `guestnetwork`, which also writes `ips`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from vrouter.contracts import Bag, Bags, Command
from vrouter.formats import ABSENT
from vrouter.model import addresses
from vrouter.model.bag import Changes
from vrouter.model.intents import Tier
from vrouter.model.json import JsonObject, JsonValue
from vrouter.model.machine import Machine
from vrouter.model.values import HostName

DEFAULT_DOMAIN = "cloudnine.internal"


@dataclass(frozen=True, slots=True)
class TierEntry:
    """The tier of one device; the whole document is kept."""

    raw: JsonObject

    def text(self, field: str) -> str:
        return str(self.raw.get(field) or "")

    @property
    def domain(self) -> str:
        """The search domain; the default where the document has none, or `null` (contract dataplane 1.2)."""
        return DEFAULT_DOMAIN if self.text("domain_name") in ABSENT else self.text("domain_name")


def merge(document: JsonObject, bags: Bags, machine: Machine) -> Mapping[str, Changes]:
    """An upsert by device: a changed tier takes effect (D9). A removal of what is not there is nothing (K6)."""
    device = str(document["device"])
    held = bags["guestnetwork"].get(device)
    old = held.text("router_guest_ip") if isinstance(held, TierEntry) else ""
    address = str(document["router_guest_ip"])
    if document.get("add") is False:
        if old != address:
            return {}
        gone = addresses.placed(bags["ips"], [(_address(TierEntry(document)), False)], machine)
        return {"guestnetwork": {device: None}, "ips": gone}
    entry = TierEntry({**document, "domain_name": TierEntry(document).domain})
    elements = [(_address(entry), True)]
    if isinstance(held, TierEntry) and old != address:
        elements.insert(0, (_address(held), False))
    return {"guestnetwork": {device: entry}, "ips": addresses.placed(bags["ips"], elements, machine)}


def _address(entry: TierEntry) -> JsonObject:
    fields: dict[str, JsonValue] = {
        "public_ip": entry.text("router_guest_ip"), "netmask": entry.text("router_guest_netmask"),
        "gateway": entry.text("router_guest_gateway"), "nic_dev_id": entry.text("device").removeprefix("eth"),
        "vif_mac_address": entry.raw.get("mac_address"), "nw_type": "guest", "add": True, "source_nat": False,
        "one_to_one_nat": False,
    }  # fmt: skip
    return fields | {"mtu": entry.text("mtu")} if entry.text("mtu") else fields


def desired(entry: TierEntry, machine: Machine) -> Iterator[Tier]:
    """DHCP and DNS of the tier, on the device that carries its MAC (IF-2)."""
    try:
        yield Tier(
            origin=f"guestnetwork {entry.text('device')}",
            device=machine.device_of(entry.text("mac_address")) or entry.text("device"),
            domain=HostName(entry.domain),
            resolvers=tuple(IPv4Address(text.strip()) for text in entry.text("dns").split(",") if text.strip()),
            gateway=IPv4Address(entry.text("router_guest_gateway")),
            is_gateway=entry.raw.get("is_vr_guest_gateway", True) is not False,
        )
    except ValueError:
        return  # an entry of a foreign bag that cannot be read stays in the bag


def load(text: JsonObject) -> dict[str, TierEntry]:
    """The first element of each device's list, which is the one that counts. Raises ValueError."""
    entries = {}
    for device, listed in text.items():
        if device == "id":
            continue
        if not isinstance(listed, list) or not all(isinstance(raw, dict) for raw in listed):
            raise ValueError(f"{device} is not a list of objects")
        first = next((raw for raw in listed if isinstance(raw, dict)), None)
        if first is not None and first.get("add", True) is not False:
            entries[device] = TierEntry(first)
    return entries


def dump(entries: Mapping[str, TierEntry]) -> JsonObject:
    """In the reference's shape: a list of one a device."""
    return {device: [entry.raw] for device, entry in entries.items()} | {"id": "guestnetwork"}


BAG = Bag(name="guestnetwork", entry=TierEntry, load=load, dump=dump, desired=desired)
COMMANDS = (Command(type="guestnetwork", bags=("guestnetwork", "ips"), merge=merge),)
