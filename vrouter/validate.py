"""A document against `databags/<type>.schema.json`: every fault at once, nothing changed (design 1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from vrouter.data import data_text
from vrouter.errors import Fault, Refused
from vrouter.formats import format_checker
from vrouter.model.json import JsonObject
from vrouter.model.values import PortRange
from vrouter.parse import (
    DEFINITIONS,
    KNOWN_TYPES,
    MOST_FAULTS,
    SCHEMA_SUFFIX,
    SUPPORTED_TYPES,
    ParsedDocument,
    Path,
    check_type,
    missing,
    parse_document,
    shown,
    spelled,
)

__all__ = ["KNOWN_TYPES", "SUPPORTED_TYPES", "ParsedDocument", "parse_document", "validate"]

_END = re.compile(r"(?<!\\)\$")
_TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "object": "an object",
    "string": "a string",
}

Schema = Mapping[str, Any]


def validate(document: JsonObject, type: str) -> None:
    """Hold a document against the schema of its type; raises Refused with its faults by place, MOST_FAULTS at most."""
    check_type(type)
    places: dict[Fault, Path] = {}
    for fault, path in (found for error in _validator(type).iter_errors(document) for found in _faults(error)):
        places[fault] = path
        if len(places) == MOST_FAULTS:
            break
    if places:
        raise Refused(sorted(places, key=lambda fault: [(isinstance(part, str), part) for part in places[fault]]))


def _faults(error: ValidationError) -> Iterator[tuple[Fault, Path]]:
    """What one error of jsonschema means to the sender, and where; of alternatives the one that fits best."""
    leaf: Any = best_match([error]) if error.context else error
    schema: Schema = leaf.schema
    path = tuple(leaf.absolute_path)
    match leaf.validator:
        case "required":
            absent = [name for name in leaf.validator_value if name not in leaf.instance]
        case "dependentRequired":
            needed = (names for name, names in leaf.validator_value.items() if name in leaf.instance)
            absent = [name for names in needed for name in names if name not in leaf.instance]
        case keyword:
            expected = schema.get("x-expected") or _expected(keyword, leaf.validator_value)
            yield Fault(spelled(path), _found(leaf.instance, schema), expected, schema.get("x-fix", "")), path
            return
    for name in absent:
        member = schema.get("properties", {}).get(name, {})
        place = (*path, name)
        yield missing(spelled(place), member.get("x-expected", "")), place


def _found(value: object, schema: Schema) -> str:
    """What was found there, unless it is a secret or may hold one."""
    inner = schema.get("properties", {}).values()
    secret = schema.get("writeOnly") or any(member.get("writeOnly") for member in inner)
    return "***" if secret and not isinstance(value, dict | list) else shown(value)


def _expected(keyword: str, wanted: Any) -> str:
    if keyword == "type":
        types = [wanted] if isinstance(wanted, str) else wanted
        return " or ".join(_TYPE_NAMES.get(type, type) for type in types)
    return json.dumps(wanted) if keyword == "const" else f"what {keyword} allows: {json.dumps(wanted)}"


@cache
def _validator(type: str) -> Validator:
    schema = _inlined(_loaded(type), _loaded(DEFINITIONS)["$defs"])
    validator: Validator = _Validator(schema, format_checker=format_checker())
    return validator


def _loaded(name: str) -> Any:
    return json.loads(data_text("databags", name + SCHEMA_SUFFIX))


def _inlined(node: Any, definitions: Schema) -> Any:
    """The schema with every reference replaced by what it refers to: following them takes longer than the rest."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    referred = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
    own = {key: value for key, value in node.items() if key != "$ref"}
    return {key: _inlined(value, definitions) for key, value in {**referred, **own}.items()}


def _pattern(_: Validator, pattern: str, instance: object, __: Schema) -> Iterator[ValidationError]:
    """`pattern` of ECMA 262, where `$` is the very end; in Python it also stands before a last newline."""
    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield ValidationError("does not match")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_END.sub(r"\\Z", pattern), re.ASCII)


def _same_length(_: Validator, names: list[str], instance: object, __: Schema) -> Iterator[ValidationError]:
    """`x-same-length`: the port ranges of the two members named are of one length (contract dataplane PF-4)."""
    ranges = [instance.get(name) for name in names] if isinstance(instance, dict) else []
    try:
        sizes = {PortRange.parse(text).size for text in ranges if isinstance(text, str)}
    except ValueError:
        return  # a fault of its own
    if len(sizes) > 1:
        words = {"x-expected": f"as many ports as {names[0]}"}
        yield ValidationError("differs", path=names[1:], instance=ranges[1], schema=words)


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _pattern, "x-same-length": _same_length},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
