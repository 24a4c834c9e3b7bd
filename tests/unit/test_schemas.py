"""The schemas themselves, and hostile values in every field that they know."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.chance import examples
from vrouter.data import data_text
from vrouter.errors import Refused
from vrouter.formats import format_checker
from vrouter.parse import SUPPORTED_TYPES, spelled
from vrouter.validate import parse_document, validate

EXAMPLES = {
    str(path.relative_to(root)): json.loads(path.read_text())
    for root in [Path(__file__).parents[1] / "examples"]
    for path in sorted(root.rglob("*.json"))
}
ALPHABET = re.compile(r"[A-Za-z0-9_.:/,@*~|\[\] -]*")
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HOSTILE = [
    *(
        "\n",
        "\r\n",
        '"',
        "'",
        ";",
        "$(id)",
        "`id`",
        "{{7*7}}",
        "../",
        "../../etc/passwd",
        "\x00",
        "\x1b[2J",
        "\t",
        "\\",
    ),
    *("a" * 65536, "😀", "\u200f", "\u202e", "\u2028", "é", "١٢", "#", "<b>", "&&", "%s", "${x}", "-rf", " "),
]
SECRETS = {"vmpassword", "router_password", "baremetalnotificationsecuritykey", "keystore_password", "privatekey"}

Place = tuple[str | int, ...]


class Spot(NamedTuple):
    """One field of one example: where it is and what its schema says."""

    example: str
    place: Place
    schema: dict[str, Any]

    def document(self, value: object) -> Any:
        """The example with this value there."""
        document = copy.deepcopy(EXAMPLES[self.example])
        target = document
        for step in self.place[:-1]:
            target = target[step]
        last = self.place[-1]
        if isinstance(last, int) and last == len(target):
            target.append(value)
        else:
            target[last] = value
        return document

    @property
    def value(self) -> object:
        found: Any = EXAMPLES[self.example]
        for step in self.place:
            inside = step in found if isinstance(found, dict) else isinstance(step, int) and step < len(found)
            if not inside:
                return None
            found = found[step]
        return found

    @property
    def types(self) -> set[str]:
        types = self.schema.get("type", "string")
        return {types} if isinstance(types, str) else set(types)

    @property
    def free(self) -> bool:
        return "printable text" in self.schema["x-expected"]


def loaded(name: str) -> Any:
    return json.loads(data_text("databags", f"{name}.schema.json"))


DEFINITIONS = loaded("definitions")["$defs"]
SCHEMAS = {type: loaded(type) for type in sorted(SUPPORTED_TYPES)}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    referred = DEFINITIONS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    return {**referred, **{key: value for key, value in schema.items() if key != "$ref"}}


def fields(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every member that a schema names, at any depth, and the items of every list."""
    named = {**schema.get("properties", {}), **schema.get("patternProperties", {})}
    if "items" in schema:
        named["[]"] = schema["items"]
    for name, member in named.items():
        yield f"{place}.{name}", member
        yield from fields(resolved(member), f"{place}.{name}")


def spots(example: str, schema: dict[str, Any], value: Any, place: Place = ()) -> Iterator[Spot]:
    """Every field of an example, those it lacks as well; of a list the items, and one more if it has none."""
    if isinstance(value, list):
        items = resolved(schema["items"])
        for at, item in enumerate(value or [None]):
            yield Spot(example, (*place, at), items)
            yield from spots(example, items, item, (*place, at))
    if isinstance(value, dict):
        named = {name: resolved(member) for name, member in schema.get("properties", {}).items()}
        for pattern, member in schema.get("patternProperties", {}).items():
            named |= {name: resolved(member) for name in (*value, "eth9ip6prelen") if re.search(pattern, name)}
        if "additionalProperties" in schema:
            named["unknown_word"] = resolved(schema["additionalProperties"])
        for name, member in named.items():
            if "const" not in member:
                yield Spot(example, (*place, name), member)
                yield from spots(example, member, value.get(name), (*place, name))


SPOTS = [spot for name, document in EXAMPLES.items() for spot in spots(name, SCHEMAS[document["type"]], document)]
KINDS = {(EXAMPLES[spot.example]["type"], *(s for s in spot.place if isinstance(s, str))): spot for spot in SPOTS}
TEXTS = [spot for spot in KINDS.values() if "string" in spot.types]
STRICT = [spot for spot in TEXTS if not spot.free]
FREE = [spot for spot in TEXTS if spot.free]
every_schema = pytest.mark.parametrize("type", sorted(SCHEMAS))


def named(spot: Spot) -> str:
    return f"{EXAMPLES[spot.example]['type']}.{spelled(spot.place)}"


def refused(document: Any) -> Refused | None:
    try:
        validate(document, document["type"])
    except Refused as error:
        return error
    return None


def check(spot: Spot, value: str) -> bool:
    """Whether the text is taken there; where not, the fault names the place and can be printed."""
    error = refused(spot.document(value))
    if error is None:
        return True
    faults = [fault for fault in error.faults if fault.path == spelled(spot.place)]
    assert faults, f"{spot.place}: {error}"
    for fault in faults:
        assert fault.value.isprintable() and len(fault.value) <= 80
        assert fault.expected and str(fault).isprintable()
    return False


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_an_example_is_valid(example: str) -> None:
    parsed = parse_document(json.dumps(EXAMPLES[example]).encode())
    validate(parsed.document, parsed.type)


@every_schema
def test_a_schema_is_one_and_describes_every_field(type: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[type])
    assert SCHEMAS[type]["title"] == type and SCHEMAS[type]["properties"]["type"]["const"] == type
    for place, member in fields(SCHEMAS[type]):
        whole = resolved(member)
        assert place.endswith("[]") or whole.get("description"), place
        assert "const" in whole or ("type" in whole and whole.get("x-expected")), place
        if "string" in whole.get("type", ()):
            assert {"pattern", "format", "enum"} & set(whole), place


def test_formats_are_known_and_references_add_only_words() -> None:
    text = json.dumps([*SCHEMAS.values(), DEFINITIONS])
    assert set(re.findall(r'"format": "([^"]*)"', text)) <= set(format_checker().checkers)
    assert "$ref" not in json.dumps(DEFINITIONS)
    for schema in SCHEMAS.values():
        for place, member in fields(schema):
            assert "$ref" not in member or set(member) <= {"$ref", "description", "default", "writeOnly"}, place


def test_defaults_and_secrets() -> None:
    for schema in SCHEMAS.values():
        for place, member in fields(schema):
            whole = resolved(member)
            if "default" in whole:
                assert not list(Draft202012Validator(whole).iter_errors(whole["default"])), place
            secret = place.rpartition(".")[2] in SECRETS or "ecret" in place
            assert bool(whole.get("writeOnly")) == secret, place


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_plain_jsonschema_agrees(example: str) -> None:
    """The references are inlined for speed; followed through a registry they say the same."""
    document = EXAMPLES[example]
    common: Resource[Any] = Resource.from_contents(loaded("definitions"))
    registry: Registry[Any] = Registry().with_resource("definitions.schema.json", common)
    plain = Draft202012Validator(SCHEMAS[document["type"]], registry=registry, format_checker=format_checker())
    assert plain.is_valid(document)
    for spot in (spot for spot in SPOTS if spot.example == example and spot.place[0] != "delete_from_processed_cache"):
        for value in ("10.1.1.1", "8000:8001", "a;b", 5, True, None):
            broken = spot.document(value)
            if "source_port_range" not in spot.place and "destination_port_range" not in spot.place:
                assert plain.is_valid(broken) == (refused(broken) is None), (spot.place, value)


@pytest.mark.parametrize("spot", STRICT, ids=named)
def test_hostile_text_is_refused_in_every_known_field(spot: Spot) -> None:
    own = spot.value if isinstance(spot.value, str) else ""
    for hostile in HOSTILE:
        for value in (hostile, own + hostile, hostile + own):
            if check(spot, value):
                assert ALPHABET.fullmatch(value) and len(value) <= 1024 and "../" not in value, value


@pytest.mark.parametrize("spot", FREE, ids=named)
def test_free_text_is_printable_and_bounded(spot: Spot) -> None:
    for hostile in HOSTILE:
        if check(spot, hostile):
            assert not UNPRINTABLE.search(hostile), hostile
    assert not check(spot, "a" * 2097153)


@examples(400)
@given(st.sampled_from(STRICT), st.text(min_size=1), st.integers(0, 64))
def test_no_text_outside_the_alphabet_is_taken(spot: Spot, text: str, at: int) -> None:
    own = spot.value if isinstance(spot.value, str) else ""
    for value in (text, own[:at] + text + own[at:]):
        if check(spot, value):
            assert ALPHABET.fullmatch(value) and not value.endswith("\n")


@examples(200)
@given(st.sampled_from(FREE), st.text(min_size=1))
def test_no_unprintable_text_is_taken(spot: Spot, text: str) -> None:
    if check(spot, text):
        assert not UNPRINTABLE.search(text)


@pytest.mark.parametrize("spot", KINDS.values(), ids=named)
def test_a_value_of_another_type_is_refused(spot: Spot) -> None:
    values: dict[str, object] = {
        "null": None,
        "number": 1.5,
        "integer": 7,
        "boolean": True,
        "string": "?",
        "array": [],
        "object": {},
    }
    values |= {"number ": 2.0, "number  ": 1e300, "array ": [[]], "object ": {"a": {"b": 1}}}
    for type, value in values.items():
        if type.strip() not in spot.types:
            error = refused(spot.document(value))
            assert error and spelled(spot.place) in [fault.path for fault in error.faults], (type, error)


@pytest.mark.parametrize("spot", [spot for spot in KINDS.values() if spot.schema.get("writeOnly")], ids=named)
def test_a_secret_is_never_shown(spot: Spot) -> None:
    for value in ("hunter2\n", ["hunter2"], {"hunter2": 1}, "\u202ehunter2"):
        error = refused(spot.document(value))
        assert error and "hunter2" not in str(error)
    inside = {"type": "cmdline", "cmd_line": "vmpassword=hunter2"}
    assert str(refused(inside)) == "cmd_line: *** is not an object of strings"


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_unknown_fields_pass(example: str) -> None:
    odd: Any = {"new\n": [None, {"x": 1.5}]}
    document = copy.deepcopy(EXAMPLES[example]) | {"future": odd}
    for value in document.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value[0] |= {"future": odd}
    assert refused(document) is None
