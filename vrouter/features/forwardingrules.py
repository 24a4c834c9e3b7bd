"""The databag `forwardingrules`: port forwards and static NAT by public address (contract commands 4.12, 4.13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from typing import cast

from vrouter.contracts import Bag, Bags, Command
from vrouter.errors import Fault, Refused
from vrouter.model.bag import Changes, Entries
from vrouter.model.intents import Dnat, Intent, StaticNat, Transport
from vrouter.model.json import JsonObject
from vrouter.model.machine import Machine
from vrouter.model.values import PortRange, networks


@dataclass(frozen=True, slots=True)
class ForwardEntry:
    """One element of a public address's list: `type` is `forward` or `staticnat`."""

    raw: JsonObject

    def text(self, field: str) -> str:
        return str(self.raw.get(field) or "")

    @property
    def port(self) -> str:
        """What two forwards have in common that may be the same rule (contract commands 4.12)."""
        return f"{self.text('public_ip')} {self.text('protocol')} {self.text('public_ports')}"

    @property
    def sources(self) -> frozenset[str]:
        return frozenset(text.strip() for text in self.text("source_cidr_list").split(",") if text.strip())

    @property
    def key(self) -> str:
        if self.raw.get("type") == "staticnat":
            return self.text("public_ip")
        return " ".join([self.port, *sorted(self.sources)])


class _Held:
    """The bag while a document is merged; a pass over all of it is made only when a rule needs one."""

    def __init__(self, entries: Entries) -> None:
        self._saved = entries
        self._changed: dict[str, ForwardEntry | None] = {}

    def get(self, key: str) -> ForwardEntry | None:
        """The rule of a key, if it is held now."""
        found = self._changed[key] if key in self._changed else self._saved.get(key)
        return found if isinstance(found, ForwardEntry) else None

    def same(self, rule: ForwardEntry) -> list[str]:
        """Keys of the forwards that are the same rule: equal text, and lists that are both empty or share a member."""
        if not rule.sources:
            return [rule.key] if self.get(rule.key) else []
        known = [(key, self.get(key)) for key in self._restricted.get(rule.port, [])]
        return [key for key, held in known if held and held.sources & rule.sources]

    def of_address(self, public_ip: str) -> list[str]:
        """Keys of everything that is stored for a public address."""
        return self._addresses.get(public_ip, [])

    def put(self, rule: ForwardEntry) -> None:
        """Hold one more forward, for the rules of the document that follow."""
        if rule.sources:
            self._restricted.setdefault(rule.port, []).append(rule.key)
        self._changed[rule.key] = rule

    def drop(self, key: str) -> None:
        """Hold one forward less."""
        self._changed[key] = None

    @cached_property
    def _restricted(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, entry in self._saved.items():
            if isinstance(entry, ForwardEntry) and entry.raw.get("type") != "staticnat" and entry.sources:
                found.setdefault(entry.port, []).append(key)
        return found

    @cached_property
    def _addresses(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, entry in self._saved.items():
            if isinstance(entry, ForwardEntry):
                found.setdefault(entry.text("public_ip"), []).append(key)
        return found


def merge_forwards(document: JsonObject, bags: Bags, _: Machine) -> Mapping[str, Changes]:
    """A rule replaces the same one, whatever its guest; a revoked one goes. Raises Refused for ranges of two sizes."""
    held = _Held(bags["forwardingrules"])
    changes: dict[str, ForwardEntry | None] = {}
    faults = []
    for place, rule in enumerate(_rules(document)):
        ports, guest_ports = (PortRange.parse(str(rule[f"{end}_port_range"])) for end in ("source", "destination"))
        if ports.size != guest_ports.size:
            faults.append(
                Fault(f"rules[{place}].destination_port_range", repr(str(guest_ports)),
                      f"a range of {ports.size} ports as {ports}", "send ranges of equal size")
            )  # fmt: skip
        renamed = {
            "public_ip": rule["source_ip_address"], "public_ports": rule["source_port_range"],
            "internal_ip": rule["destination_ip_address"], "internal_ports": rule["destination_port_range"],
            "protocol": rule["protocol"], "type": "forward",
        }  # fmt: skip
        if "source_cidr_list" in rule:
            renamed["source_cidr_list"] = rule["source_cidr_list"]
        entry = ForwardEntry(renamed)
        for key in held.same(entry):
            changes[key] = None
            held.drop(key)
        if rule.get("revoke") is not True:
            changes[entry.key] = entry
            held.put(entry)
    if faults:
        raise Refused(faults)
    return {"forwardingrules": changes}


def merge_static_nat(document: JsonObject, bags: Bags, _: Machine) -> Mapping[str, Changes]:
    """A rule becomes all that its public address has; a revoked one takes away all that it has."""
    held = _Held(bags["forwardingrules"])
    changes: dict[str, ForwardEntry | None] = {}
    for rule in _rules(document):
        public_ip = str(rule["source_ip_address"])
        changes |= dict.fromkeys(held.of_address(public_ip))
        changes[public_ip] = None
        if rule.get("revoke") is not True:
            guest = rule["destination_ip_address"]
            changes[public_ip] = ForwardEntry({"public_ip": public_ip, "internal_ip": guest, "type": "staticnat"})
    return {"forwardingrules": changes}


def _rules(document: JsonObject) -> list[JsonObject]:
    listed = document["rules"]
    return [rule for rule in (listed if isinstance(listed, list) else []) if isinstance(rule, dict)]


def desired(entry: ForwardEntry, _: Machine) -> Iterator[Intent]:
    """One translation, or one a port where the ranges differ by a shift (design 4a).

    An entry of a foreign bag that cannot be read asks for nothing and stays in the bag.
    """
    origin = f"forwardingrules {entry.key}"
    try:
        public_ip, guest = IPv4Address(entry.text("public_ip")), IPv4Address(entry.text("internal_ip"))
        if entry.raw.get("type") == "staticnat":
            yield StaticNat(origin=origin, public_ip=public_ip, guest=guest)
            return
        ports, guest_ports = PortRange.parse(entry.text("public_ports")), PortRange.parse(entry.text("internal_ports"))
        sources = networks(sorted(entry.sources))
    except ValueError:
        return
    protocol = entry.text("protocol").lower()
    if protocol not in ("tcp", "udp") or ports.size != guest_ports.size:
        return
    step = ports.size if ports == guest_ports else 1
    for offset in range(0, ports.size, step):
        yield Dnat(
            origin=origin, public_ip=public_ip, protocol=cast(Transport, protocol), guest=guest, sources=sources,
            ports=PortRange(ports.first + offset, ports.first + offset + step - 1),
            guest_ports=PortRange(guest_ports.first + offset, guest_ports.first + offset + step - 1),
            width=ports.size,
        )  # fmt: skip


def load(text: JsonObject) -> dict[str, ForwardEntry]:
    """The lists by public address, as single rules. Raises ValueError."""
    entries: dict[str, ForwardEntry] = {}
    for public_ip, listed in text.items():
        if public_ip == "id":
            continue
        if not isinstance(listed, list):
            raise ValueError(f"{public_ip} is not a list")
        for place, raw in enumerate(listed):
            if not isinstance(raw, dict):
                raise ValueError(f"{public_ip}[{place}] is not an object")
            entry = ForwardEntry({"public_ip": public_ip, **raw})
            entries[entry.key] = entry
    return entries


def dump(entries: Mapping[str, ForwardEntry]) -> JsonObject:
    """In the reference's shape: a list by public address."""
    addresses: dict[str, list[JsonObject]] = {}
    for entry in entries.values():
        addresses.setdefault(entry.text("public_ip"), []).append(entry.raw)
    return {**addresses, "id": "forwardingrules"}


BAG = Bag(name="forwardingrules", entry=ForwardEntry, load=load, dump=dump, desired=desired)
COMMANDS = (
    Command(type="forwardrules", bags=("forwardingrules",), merge=merge_forwards),
    Command(type="staticnatrules", bags=("forwardingrules",), merge=merge_static_nat),
)
