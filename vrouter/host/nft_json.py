"""What `nft -j list table` prints, as resources in their canonical form. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vrouter.model import boxes
from vrouter.model.resources import Resource
from vrouter.model.table import Chain, Element, Helper, Hook, NamedSet, hook_text
from vrouter.model.values import network

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}

Listed = dict[str, Any]  # one object of libnftables-json(5)


def resources(listing: Iterable[Listed]) -> Iterator[Resource]:
    """Chains with the tags of their rules, sets, maps, helpers and elements; counters and handles are left out."""
    chains: dict[str, list[str]] = {}
    hooks: dict[str, Hook | None] = {}
    for item in listing:
        if "chain" in item:
            found = item["chain"]
            hooks[found["name"]] = hook = _hook(found)
            chains[found["name"]] = [hook_text(hook)]
        elif "rule" in item:
            chains[item["rule"]["chain"]].append(item["rule"].get("comment", ""))
        elif "ct helper" in item:
            helper = item["ct helper"]
            yield Helper(name=helper["name"], protocol=_protocol(helper["protocol"]))
        elif "set" in item or "map" in item:
            yield from _set(item.get("set") or item["map"])
    for name, tags in chains.items():
        yield Chain(name=name, tags=tuple(tags), hook=hooks[name])


def _hook(chain: Listed) -> Hook | None:
    if "hook" not in chain:
        return None
    return Hook(chain["type"], chain["hook"], chain["prio"], chain["policy"])


def _set(found: Listed) -> Iterator[Resource]:
    types = tuple(found["type"]) if isinstance(found["type"], list) else (found["type"],)
    value = tuple(found["map"].split(" . ")) if "map" in found else ()
    name = found["name"]
    yield NamedSet(name=name, types=types, value=value, interval="interval" in found.get("flags", []))
    for member in found.get("elem", []):
        key, result = member if isinstance(member, list) else (member, None)
        yield Element(set=name, atoms=_atoms(key, types), value=() if result is None else _atoms(result, value))


def _atoms(value: Any, types: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, dict) and "elem" in value:
        value = value["elem"]["val"]
    parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return tuple(
        _protocol(part) if type == "inet_proto" else _atom(part) for part, type in zip(parts, types, strict=True)
    )


def _atom(part: Any) -> str:
    if isinstance(part, dict) and "prefix" in part:
        net = network(f"{part['prefix']['addr']}/{part['prefix']['len']}")
        return boxes.addresses_text(boxes.of_network(net))
    if isinstance(part, dict) and "range" in part:
        low, high = part["range"]
        return f"{low}-{high}"
    return str(part)


def _protocol(part: Any) -> Any:
    """The name, which libnftables gives only where /etc/protocols tells it."""
    return _PROTOCOLS.get(part, part)
