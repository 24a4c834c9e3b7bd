"""The databag `firewallrules`: ingress by public address, egress of the guest network (contract commands 4.10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import cast

from vrouter.contracts import Bag, Bags, Command
from vrouter.errors import Fault, Refused
from vrouter.model.bag import Changes
from vrouter.model.intents import Accept, Egress, EgressDefault, Intent, Protocol
from vrouter.model.json import JsonObject, JsonValue
from vrouter.model.machine import Machine
from vrouter.model.values import PortRange, networks

_PROTOCOLS = ("tcp", "udp", "icmp", "all")


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One rule as it was received."""

    raw: JsonObject


def merge(document: JsonObject, bags: Bags, _: Machine) -> Mapping[str, Changes]:
    """A rule replaces the one with its id (D12); revoking an unknown id is fine. Twice is once."""
    listed = document.get("rules", [])
    rules = [rule for rule in (listed if isinstance(listed, list) else []) if isinstance(rule, dict)]
    faults = [
        Fault(f"rules[{place}].src_port_range", repr(rule["src_port_range"]), "first and last, first not above last")
        for place, rule in enumerate(rules)
        if rule.get("src_port_range") and not _ordered(rule["src_port_range"])
    ]
    if faults:
        raise Refused(faults)
    return {"firewallrules": {str(rule["id"]): None if rule.get("revoked") else RuleEntry(rule) for rule in rules}}


def _ordered(ports: JsonValue) -> bool:
    match ports:
        case [int(first), int(last)]:
            return first <= last
    return False


def desired(entry: RuleEntry, _: Machine) -> Iterator[Intent]:
    """What one rule asks. A rule of a foreign bag that cannot be read asks for nothing: it opens nothing."""
    raw = entry.raw
    origin = f"firewallrules {raw.get('id')}"
    protocol = str(raw.get("protocol", "")).lower()
    if protocol not in _PROTOCOLS:
        return
    try:
        span = _span(raw, protocol)
        sources = networks(_texts(raw.get("source_cidr_list")))
        if str(raw.get("traffic_type", "")).lower() == "ingress":
            yield Accept(
                origin=origin, to=IPv4Address(str(raw.get("src_ip"))), protocol=cast(Protocol, protocol), span=span,
                sources=sources,
            )  # fmt: skip
        elif protocol == "all" and not raw.get("source_cidr_list"):
            yield EgressDefault(origin=origin, allow=raw.get("default_egress_policy") is True)  # FE-4
        else:
            yield Egress(
                origin=origin, protocol=cast(Protocol, protocol), span=span, sources=sources,
                destinations=networks(_texts(raw.get("dest_cidr_list"))),
                blocks=raw.get("default_egress_policy") is True,
            )  # fmt: skip
    except ValueError:
        return


def _span(raw: JsonObject, protocol: str) -> tuple[int, int] | None:
    """Ports; or ICMP type * 256 + code, -1 or absent for any; None for every port, type or protocol."""
    if protocol in ("tcp", "udp"):
        match raw.get("src_port_range"):
            case [int(first), int(last)]:
                ports = PortRange(first, last)
                return (ports.first, ports.last)
        return None
    if protocol == "icmp":
        kind, code = raw.get("icmp_type", -1), raw.get("icmp_code", -1)
        if not isinstance(kind, int) or kind < 0:
            return None
        return (kind * 256 + code,) * 2 if isinstance(code, int) and code >= 0 else (kind * 256, kind * 256 + 255)
    return None


def _texts(value: JsonValue) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def load(text: JsonObject) -> dict[str, RuleEntry]:
    """Rules by id. Raises ValueError."""
    entries = {}
    for key, raw in text.items():
        if key == "id":
            continue
        if not isinstance(raw, dict):
            raise ValueError(f"{key} is not an object")
        entries[key] = RuleEntry(raw)
    return entries


def dump(entries: Mapping[str, RuleEntry]) -> JsonObject:
    """In the reference's shape: keys are ids as texts, values the rules as received."""
    return {key: entry.raw for key, entry in entries.items()} | {"id": "firewallrules"}


BAG = Bag(name="firewallrules", entry=RuleEntry, load=load, dump=dump, desired=desired)
COMMANDS = (Command(type="firewallrules", bags=("firewallrules",), merge=merge),)
