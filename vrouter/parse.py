"""The bytes of a command file become a document of a type that is built, or the file is refused with its faults.

What JSON leaves open is settled here: size, depth, numbers, repeated members, halves of surrogate pairs.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vrouter.data import data_names
from vrouter.errors import Fault, Refused
from vrouter.model.json import JsonObject, JsonValue

SCHEMA_SUFFIX = ".schema.json"
DEFINITIONS = "definitions"
SUPPORTED_TYPES = frozenset(
    name.removesuffix(SCHEMA_SUFFIX) for name in data_names("databags") if name.endswith(SCHEMA_SUFFIX)
) - {DEFINITIONS}
KNOWN_TYPES = SUPPORTED_TYPES | frozenset(
    (
        *("bgppeers", "cmdline", "dhcpconfig", "dhcpentry", "firewallrules", "forwardrules", "guestnetwork"),
        *("ipaliases", "ips", "ipv6firewallrules", "loadbalancer", "monitorservice", "networkacl", "remoteaccessvpn"),
        *("site2sitevpn", "staticnatrules", "staticroutes", "vmdata", "vmpassword", "vpnuserlist"),
    )
)  # contract commands 1.6
MOST_FAULTS = 100

_LARGEST_BYTES = 32 * 1024 * 1024
_DEEPEST = 64
_MOST_DIGITS = 19  # of a signed number of 64 bits
_LONGEST_SHOWN = 80
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,79}")
_REPEATED = "given more than once"

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class ParsedDocument:
    """JSON of a type in SUPPORTED_TYPES, not yet held against its schema."""

    type: str
    document: JsonObject


def parse_document(text: bytes) -> ParsedDocument:
    """Read a command file; raises Refused. A repeated member of boot arguments is fine, the last one wins (4.1)."""
    met = _Met()
    document = _loaded(text, met)
    if not isinstance(document, dict):
        raise Refused([Fault("", shown(document), "a JSON object")])
    type = document.get("type")
    if not isinstance(type, str):
        raise Refused([Fault("type", shown(type), "a string") if "type" in document else missing("type")])
    check_type(type)
    faults = [fault for fault in met.faults(document) if type != "cmdline" or fault.expected != _REPEATED]
    if faults:
        raise Refused(faults[:MOST_FAULTS])
    return ParsedDocument(type, document)


def check_type(type: str) -> None:
    """Raises Refused for a type that the contract does not know, or that is not built yet."""
    if type not in SUPPORTED_TYPES:
        kind = "not supported yet" if type in KNOWN_TYPES else "unknown type"
        raise Refused([Fault("", "", f"{kind}: {repr(_cut(type))[1:-1]}")])


def missing(path: str, expected: str = "") -> Fault:
    """The fault of a field that has to be there."""
    return Fault(path, "", f"must be present: {expected}" if expected else "must be present")


def spelled(path: Iterable[str | int]) -> str:
    """A place as `rules[0].protocol`; a name with other characters as `cmd_line['a b']`."""
    text = ""
    for part in path:
        plain = isinstance(part, str) and _PLAIN_NAME.fullmatch(part)
        text += f".{part}" if plain else f"[{part if isinstance(part, int) else repr(_cut(part))}]"
    return text.removeprefix(".")


def shown(value: object) -> str:
    """A value on one short line of printable characters; of an object or a list only what it is."""
    match value:
        case str():
            return _cut(repr(_cut(value)))
        case dict():
            return f"an object of {len(value)}"
        case list():
            return f"a list of {len(value)}"
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


class _Unfit(str):
    """Stands in a document for a number that is not taken; says what was found."""


@dataclass
class _Met:
    """What the parser met and could not place; `faults` finds the places."""

    repeated: list[tuple[JsonObject, list[str]]] = field(default_factory=list)
    unfit: bool = False
    surrogates: bool = False

    def members(self, pairs: list[tuple[str, JsonValue]]) -> JsonObject:
        made = dict(pairs)
        if len(made) < len(pairs):
            times = Counter(name for name, _ in pairs)
            self.repeated.append((made, [name for name in made if times[name] > 1]))
        return made

    def integer(self, text: str) -> int | _Unfit:
        digits = len(text.lstrip("-"))
        return int(text) if digits <= _MOST_DIGITS else self.refused(f"an integer of {digits} digits")

    def fraction(self, text: str) -> float | _Unfit:
        number = float(text)
        return number if math.isfinite(number) else self.refused("a number beyond 1e308")

    def refused(self, text: str) -> _Unfit:
        self.unfit = True
        return _Unfit(text)

    def faults(self, document: JsonObject) -> list[Fault]:
        if not (self.repeated or self.unfit or self.surrogates):
            return []
        repeated = {id(made): names for made, names in self.repeated}
        faults = []
        for path, value in _walk(document):
            faults += [Fault(spelled((*path, name)), "", _REPEATED) for name in repeated.get(id(value), ())]
            if isinstance(value, _Unfit):
                faults.append(Fault(spelled(path), str(value), "a number of 64 bits"))
            if any(isinstance(text, str) and _SURROGATE.search(text) for text in (*path[-1:], value)):
                faults.append(Fault(spelled(path), "half of a surrogate pair", "Unicode text"))
        return faults


def _loaded(text: bytes, met: _Met) -> JsonValue:
    if len(text) > _LARGEST_BYTES:
        raise Refused([Fault("", "", f"larger than {_LARGEST_BYTES} bytes")])
    try:
        characters = text.decode("utf-8-sig")
        met.surrogates = _SURROGATE_ESCAPE.search(characters) is not None
        document: JsonValue = json.loads(
            characters,
            object_pairs_hook=met.members,
            parse_int=met.integer,
            parse_float=met.fraction,
            parse_constant=met.refused,
        )
    except UnicodeDecodeError as error:
        raise Refused([Fault("", "", f"not UTF-8 at byte {error.start + 1}")]) from None
    except json.JSONDecodeError as error:
        fault = f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        raise Refused([Fault("", "", fault)]) from None
    except RecursionError:
        raise Refused([_TOO_DEEP]) from None
    if _too_deep(document):
        raise Refused([_TOO_DEEP])
    return document


_TOO_DEEP = Fault("", "", f"nested deeper than {_DEEPEST} levels")


def _inner(value: JsonValue) -> Iterable[tuple[str | int, JsonValue]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _too_deep(document: JsonValue) -> bool:
    level = [document]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for _, inner in _inner(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _walk(value: JsonValue, path: Path = ()) -> Iterator[tuple[Path, JsonValue]]:
    yield path, value
    for step, inner in _inner(value):
        yield from _walk(inner, (*path, step))
