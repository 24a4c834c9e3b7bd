"""What command files and databags say of the world around a router: its NICs, its guests, its DNS servers. Pure.

Read with patience, field by field: a command that the router will refuse may still tell of a NIC that is plugged. What
cannot be read is passed over and told, with file and field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal, TypeVar

from vrouter.model.json import JsonObject, JsonValue
from vrouter.model.values import HostName, Mac
from vrouter.parse import KNOWN_TYPES, shown

Role = Literal["guest", "control", "public"]
T = TypeVar("T")

LARGEST_NUMBER = 9999
"""Of a device: eth9999 is the last one (databags/ips.schema.json)."""

_DEVICE = re.compile(r"eth(0|[1-9][0-9]{0,3})")
_BOOT_ADDRESS = re.compile(r"eth(0|[1-9][0-9]{0,3})ip")
_ABSENT = ("", "null", "None")
_NO_GATEWAY = (*_ABSENT, "0.0.0.0")
_MAC = "a MAC address"
_ROUTER: Mapping[int, Role] = {0: "guest", 1: "control", 2: "public"}
_KINDS: Mapping[str, Mapping[int, Role]] = {
    "router": _ROUTER,
    "elbvm": _ROUTER,
    "vpcrouter": {0: "control"},
    "dhcpsrvr": {0: "guest", 1: "control"},
    "ilbvm": {0: "guest", 1: "control"},
}  # contract dataplane 1.1


@dataclass(frozen=True, kw_only=True)
class NicClaim:
    """A sentence that names a NIC of the router, or an address on one.

    number: N of ethN. gateway: a router that is not ours, on the same segment.
    """

    where: str
    role: Role
    number: int | None = None
    mac: Mac | None = None
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None


@dataclass(frozen=True, kw_only=True)
class GuestClaim:
    """A DHCP entry. address: None where it has none that can be read."""

    where: str
    mac: Mac
    address: IPv4Address | None = None
    hostname: HostName | None = None


@dataclass(frozen=True, kw_only=True)
class Claims:
    """All that a directory says, in its order. resolvers: the router's DNS servers. notes: what was passed over."""

    nics: tuple[NicClaim, ...] = ()
    guests: tuple[GuestClaim, ...] = ()
    resolvers: tuple[IPv4Address, ...] = ()
    notes: tuple[str, ...] = ()


def of_commands(files: Sequence[tuple[str, JsonObject]]) -> Claims:
    """Command documents by the name of their file, in their order."""
    reader = _Reader()
    for file, document in files:
        reader.command(file, document)
    return reader.claims()


def of_bags(bags: Mapping[str, JsonObject]) -> Claims:
    """Databags by their name, as their files hold them; guests in the order of their addresses."""
    reader = _Reader()
    for name in sorted(bags, key=lambda name: (name != "cmdline", name)):
        reader.bag(name, bags[name])
    claims = reader.claims()
    ordered = sorted(claims.guests, key=lambda guest: (guest.address is None, guest.address or IPv4Address(0)))
    return Claims(nics=claims.nics, guests=tuple(ordered), resolvers=claims.resolvers, notes=claims.notes)


@dataclass
class _Reader:
    nics: list[NicClaim] = field(default_factory=list)
    guests: dict[Mac, GuestClaim] = field(default_factory=dict)
    resolvers: list[IPv4Address] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def claims(self) -> Claims:
        return Claims(
            nics=tuple(self.nics),
            guests=tuple(self.guests.values()),
            resolvers=tuple(dict.fromkeys(self.resolvers)),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def command(self, file: str, document: JsonObject) -> None:
        match document.get("type"):
            case "cmdline":
                self._boot(f"{file}: cmd_line", _object(document.get("cmd_line")))
            case "ips":
                for place, element in _objects(document.get("ip_address")):
                    self._address(f"{file}: ip_address[{place}]", element, None)
            case "guestnetwork":
                self._tier(f"{file}:", document)
            case "ipaliases":
                for place, alias in _objects(document.get("aliases")):
                    where = f"{file}: aliases[{place}]"
                    address = self._interface(where, alias, "ip_address", "netmask")
                    self.nics.append(NicClaim(where=where, role="guest", address=address))
            case "dhcpconfig":
                for place, entry in _objects(document.get("entries")):
                    self._subnet(f"{file}: entries[{place}]", entry)
            case "dhcpentry":
                self._guest(f"{file}:", document)
            case str(type) if type in KNOWN_TYPES:
                pass  # it says nothing of the world around
            case type:
                self.notes.append(f"{file}: type: {shown(type)} is not a type of the contract; the router decides")

    def bag(self, name: str, bag: JsonObject) -> None:
        for key, value in bag.items():
            if key == "id":
                continue
            where = f"{name}.json: {key}"
            match name:
                case "cmdline" if key == "config":
                    self._boot(where, _object(value))
                case "ips":
                    number = self._number(where, key)
                    for place, entry in _objects(value):
                        if entry.get("add", True) is not False:
                            self._address(f"{where}[{place}]", entry, number)
                case "guestnetwork":
                    for place, entry in list(_objects(value))[:1]:
                        if entry.get("add", True) is not False:
                            self._tier(f"{where}[{place}]", {"device": key, **entry})
                case "dhcpentry":
                    entry = _object(value)
                    if entry.get("remove") is not True:
                        self._guest(where, {"ipv4_address": key, **entry})
                case "dhcpconfig":
                    self._subnet(where, _object(value))

    # -- sentences ----------------------------------------------------------------------------------------------------

    def _boot(self, where: str, boot: JsonObject) -> None:
        roles = _KINDS.get(str(boot.get("type")), _ROUTER)
        macs = _text(boot, "nic_macs").split("|")  # of all NICs in their order, where the sender says them
        for member in sorted(boot):
            if not (match := _BOOT_ADDRESS.fullmatch(member)) or not _text(boot, member):
                continue
            number = int(match[1])
            role = roles.get(number, "public")
            outside = "gateway" if role == "public" or boot.get("type") == "dhcpsrvr" else "localgw"
            named = {"mac": macs[number]} if number < len(macs) else {}
            self.nics.append(
                NicClaim(
                    where=f"{where}.{member}",
                    role=role,
                    number=number,
                    mac=self._read(where, named, "mac", Mac, _MAC),
                    address=self._interface(where, boot, member, f"eth{number}mask"),
                    gateway=None if role == "guest" and outside == "localgw" else self._gateway(where, boot, outside),
                )
            )
        for member in ("internaldns1", "internaldns2", "dns1", "dns2"):
            if address := self._read(where, boot, member, IPv4Address):
                self.resolvers.append(address)

    def _address(self, where: str, entry: JsonObject, number: int | None) -> None:
        role = str(entry.get("nw_type") or "public").lower()
        if number is None and (sent := entry.get("nic_dev_id")) is not None:
            number = self._number(f"{where}.nic_dev_id", f"eth{sent}", sent)
        known: Role = "guest" if role == "guest" else "control" if role == "control" else "public"
        self.nics.append(
            NicClaim(
                where=where,
                role=known,
                number=number,
                mac=self._read(where, entry, "vif_mac_address", Mac, _MAC),
                address=self._interface(where, entry, "public_ip", "netmask"),
                gateway=None if known == "guest" else self._gateway(where, entry, "gateway"),
            )
        )

    def _tier(self, where: str, entry: JsonObject) -> None:
        device = _text(entry, "device")
        self.nics.append(
            NicClaim(
                where=where,
                role="guest",
                number=self._number(f"{where} device", device) if device else None,
                mac=self._read(where, entry, "mac_address", Mac, _MAC),
                address=self._interface(where, entry, "router_guest_ip", "router_guest_netmask"),
            )
        )
        for text in _text(entry, "dns").split(","):
            if address := self._read(where, {"dns": text.strip()}, "dns", IPv4Address):
                self.resolvers.append(address)

    def _subnet(self, where: str, entry: JsonObject) -> None:
        address = self._interface(where, entry, "router_ip_address", "netmask")
        gateway = self._gateway(where, entry, "gateway")
        if address and gateway != address.ip:
            self.nics.append(NicClaim(where=where, role="guest", address=address, gateway=gateway))

    def _guest(self, where: str, entry: JsonObject) -> None:
        mac = self._read(where, entry, "mac_address", Mac, _MAC)
        of_ipv6 = ":" in _text(entry, "ipv4_address")  # the key of an entry that has no other address
        address = None if of_ipv6 else self._read(where, entry, "ipv4_address", IPv4Address)
        if mac is None:
            if entry.get("mac_address") in (None, *_ABSENT):
                self.notes.append(f"{where} mac_address: must be present; the entry has no guest")
            return
        owners = [guest.mac for guest in self.guests.values() if guest.address == address]
        if entry.get("add") is False or entry.get("remove") is True:  # the latter spares another owner (D10)
            for owner in owners:
                if owner == mac or entry.get("add") is False:
                    del self.guests[owner]
            return
        for owner in owners:
            if owner != mac and address is not None:
                del self.guests[owner]
        hostname = self._read(where, entry, "host_name", HostName, "a host name")
        self.guests[mac] = GuestClaim(where=where, mac=mac, address=address, hostname=hostname)

    # -- fields -------------------------------------------------------------------------------------------------------

    def _read(
        self, where: str, entry: JsonObject, member: str, parse: Callable[[str], T], what: str = "an IPv4 address"
    ) -> T | None:
        """A field's value; None where it is absent, or cannot be read, which is noted."""
        value = entry.get(member)
        if value is None or value in _ABSENT:
            return None
        try:
            if not isinstance(value, str):
                raise ValueError
            return parse(value)
        except ValueError:
            self.notes.append(f"{where} {member}: {shown(value)} is not {what}; passed over")
            return None

    def _interface(self, where: str, entry: JsonObject, address: str, mask: str) -> IPv4Interface | None:
        if self._read(where, entry, address, IPv4Address) is None:
            if entry.get(address) in (None, *_ABSENT):
                self.notes.append(f"{where} {address}: must be present; passed over")
            return None
        try:
            found = IPv4Interface(f"{entry[address]}/{_text(entry, mask)}")
            if found.network.prefixlen == 0:
                raise ValueError
            return found
        except ValueError:
            self.notes.append(f"{where} {mask}: {shown(entry.get(mask))} is not a netmask; the address is passed over")
            return None

    def _gateway(self, where: str, entry: JsonObject, member: str) -> IPv4Address | None:
        return None if entry.get(member) in _NO_GATEWAY else self._read(where, entry, member, IPv4Address)

    def _number(self, where: str, device: str, sent: JsonValue = None) -> int | None:
        if match := _DEVICE.fullmatch(device):
            return int(match[1])
        value = shown(device if sent is None else sent)
        self.notes.append(f"{where}: {value} is not a device eth0 to eth{LARGEST_NUMBER}; passed over")
        return None


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> Iterator[tuple[int, JsonObject]]:
    for place, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield place, item


def _text(entry: JsonObject, member: str) -> str:
    value = entry.get(member)
    return value if isinstance(value, str) and value not in _ABSENT else ""
