"""The databag `ips`: addresses of the router. Commands `ips` and `ipaliases` (contract commands 4.2, 4.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface

from vrouter.contracts import Bag, Bags, Command
from vrouter.errors import Fault, Refused
from vrouter.model import addresses
from vrouter.model.addresses import NOWHERE, AddressEntry
from vrouter.model.bag import Changes
from vrouter.model.intents import Address, ControlAddress, GuestAddress, PublicAddress
from vrouter.model.json import JsonObject
from vrouter.model.machine import Machine

_ROLES: dict[str, type[Address]] = {"public": PublicAddress, "guest": GuestAddress, "control": ControlAddress}
_NO_GATEWAY = ("", "None", "null", "0.0.0.0")


def merge_ips(document: JsonObject, bags: Bags, machine: Machine) -> Mapping[str, Changes]:
    """Addresses are upserts by `public_ip`; `add: false` removes, also one that is not there (IF-8, K6)."""
    held = bags["ips"]
    elements = []
    faults = []
    for place, fields in enumerate(_objects(document, "ip_address")):
        add = fields.get("add", True) is not False
        entry = held.get(str(fields["public_ip"]))
        if fields.get("is_private_gateway"):
            faults.append(Fault(f"ip_address[{place}].is_private_gateway", "", "not supported yet: private gateways"))
        elif add and _lost(fields, entry if isinstance(entry, AddressEntry) else None, machine):
            faults.append(
                Fault(f"ip_address[{place}].nic_dev_id", "", "no NIC is named for the address",
                      "send vif_mac_address or nic_dev_id")
            )  # fmt: skip
        elements.append((fields, add))
    if faults:
        raise Refused(faults)
    return {"ips": addresses.placed(held, elements, machine)}


def _lost(fields: JsonObject, held: AddressEntry | None, machine: Machine) -> bool:
    named = fields.get("vif_mac_address") is not None
    return not named and addresses.device_for(fields, held, machine) == NOWHERE


def merge_aliases(document: JsonObject, bags: Bags, machine: Machine) -> Mapping[str, Changes]:
    """Aliases go to the first device that has a guest address; without one the command cannot be applied."""
    held = bags["ips"]
    guests = sorted(
        (entry.order, entry.device)
        for entry in held.values()
        if isinstance(entry, AddressEntry) and entry.nw_type == "guest"
    )
    elements: list[tuple[JsonObject, bool]] = []
    for place, alias in enumerate(_objects(document, "aliases")):
        revoked = alias.get("revoke") is True
        if not guests and not revoked:
            raise Refused([Fault(f"aliases[{place}].ip_address", repr(alias["ip_address"]),
                                 "an alias of a guest address that is there",
                                 "send cmdline or guestnetwork first")])  # fmt: skip
        device = min((name for _, name in guests), key=_number, default="eth0")
        elements.append(({
            "public_ip": alias["ip_address"], "netmask": alias["netmask"], "nw_type": "guest", "add": True,
            "nic_dev_id": str(_number(device)),
        }, not revoked))  # fmt: skip
    return {"ips": addresses.placed(held, elements, machine)}


def desired(entry: AddressEntry, machine: Machine) -> Iterator[Address]:
    """The address on the device that carries its MAC now, else on the device of the bag (IF-1).

    An entry of a foreign bag that cannot be read asks for nothing and stays in the bag.
    """
    raw = entry.raw
    role = _ROLES.get(entry.nw_type)
    mac = raw.get("vif_mac_address")
    device = (machine.device_of(mac) if isinstance(mac, str) else None) or entry.device
    mtu = str(raw.get("mtu", ""))
    gateway = str(raw.get("gateway") or "")
    if role is None or raw.get("is_private_gateway"):
        return
    try:
        interface = IPv4Interface(f"{raw['public_ip']}/{raw['netmask']}")
        via = None if gateway in _NO_GATEWAY else IPv4Address(gateway)
    except (KeyError, ValueError):
        return
    yield role(
        origin=f"ips {entry.key}",
        device=device,
        address=interface.ip,
        network=interface.network,
        gateway=via,
        mtu=int(mtu) if mtu.isdecimal() else None,
        source_nat=raw.get("source_nat") is True,
        order=entry.order,
    )


def _objects(document: JsonObject, field: str) -> list[JsonObject]:
    found = document[field]
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _number(device: str) -> int:
    digits = device.removeprefix("eth")
    return int(digits) if digits.isdecimal() else 0


BAG = Bag(name="ips", entry=AddressEntry, load=addresses.load, dump=addresses.dump, desired=desired)
COMMANDS = (
    Command(type="ips", bags=("ips",), merge=merge_ips),
    Command(type="ipaliases", bags=("ips",), merge=merge_aliases),
)
