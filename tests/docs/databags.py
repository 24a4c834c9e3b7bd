"""docs/databags.md: command files and databags, from the schemas, the features and the examples of the tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.core import Core, documents, machine
from vrouter.data import data_text
from vrouter.features import BAGS, COMMANDS
from vrouter.parse import SCHEMA_SUFFIX

Schema = Mapping[str, Any]

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "tests" / "examples"
_CASES = _ROOT / "tests" / "cases"
_SHOWN_OF = {"dhcpconfig": "aliases", "guestnetwork": "tiers"}  # cases in which a bag occurs that `isolated` has not
_TYPES = {"array": "list", "boolean": "true or false", "integer": "integer", "object": "object", "string": "text"}
_LONGEST = 60  # lines of an example

_HEAD = """\
# Command files and databags

Made by `make docs` from `databags/*.schema.json` and the examples in `tests/examples/`.

A *command file* is JSON that an orchestrator or an operator sends; its `type` decides what it is. A *databag* is what
the router remembers: `/etc/cloudstack/<bag>.json`, replaced whole and durably. Commands change databags, and everything
that the router does comes from them. Unknown fields pass, and are kept where the whole document is. A field that is not
required may be absent. `[]` behind a name stands for each element of a list.

Hold a file against its schema without a router: `vrouter validate FILE`.
"""

_BAGS = """\
## The databags

Each has a member `id` with its own name, keys sorted, two blanks of indentation. What is written here comes from the
examples of the tests, cut where it is long.
"""


def reference() -> str:
    """The page."""
    return "\n".join([_HEAD, *_contents(), "", *_commands(), _BAGS, *_bags()]).rstrip() + "\n"


def _contents() -> Iterator[str]:
    yield "| command | what | databags it reads or changes |"
    yield "|---|---|---|"
    for type in sorted(COMMANDS):
        bags = "all" if set(COMMANDS[type].bags) == set(BAGS) else ", ".join(f"`{b}`" for b in COMMANDS[type].bags)
        yield f"| [`{type}`](#{type}) | {_said(_loaded(type)).split('. ')[0].rstrip('.')} | {bags} |"


def _commands() -> Iterator[str]:
    definitions = _loaded("definitions")["$defs"]
    for type in sorted(COMMANDS):
        schema = _loaded(type)
        yield f"## {type}\n"
        yield f"{_said(schema)}\n"
        yield "| field | type | required | meaning |"
        yield "|---|---|---|---|"
        yield from _fields(schema, definitions, "")
        yield ""
        yield from (f"{note}\n" for note in _notes(schema))
        example = _EXAMPLES / f"{type}.json"
        if example.exists():
            yield f"Example, `tests/examples/{example.name}`:\n"
            yield _json(json.loads(example.read_text()))


def _fields(schema: Schema, definitions: Schema, above: str) -> Iterator[str]:
    """A row for each member, with those of what it holds below it."""
    for name, member in schema.get("properties", {}).items():
        yield from _field(f"{above}{name}", member, definitions, name in schema.get("required", ()))
    for pattern, member in schema.get("patternProperties", {}).items():
        yield from _field(f"{above}/{pattern}/", member, definitions, False)


def _field(path: str, member: Schema, definitions: Schema, required: bool) -> Iterator[str]:
    found = _resolved(member, definitions)
    says = _said(found)
    if "default" in found:
        says += f" Default: `{json.dumps(found['default'])}`."
    if found.get("writeOnly"):
        says += " Secret: never printed."
    cells = (f"`{path}`", _type(found), "yes" if required else "", says.strip())
    yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield from _fields(found, definitions, f"{path}.")
    if "items" in found:
        inner = _resolved(found["items"], definitions)
        if inner.get("properties"):
            yield from _fields(inner, definitions, f"{path}[].")
        elif "description" in inner:
            yield from _field(f"{path}[]", inner, definitions, False)


def _type(found: Schema) -> str:
    """In words: what a fault says is expected is the best of them."""
    if "const" in found:
        return f"`{json.dumps(found['const'])}`"
    types = found.get("type", ())
    basic = " or ".join(_TYPES.get(each, each) for each in ([types] if isinstance(types, str) else types))
    expected = str(found.get("x-expected", "")) or (
        " or ".join(f"`{json.dumps(each)}`" for each in found["enum"]) if "enum" in found else ""
    )
    return expected if expected and basic in ("", "object", "list", "true or false") else _both(basic, expected)


def _both(basic: str, expected: str) -> str:
    if not expected or expected.startswith(basic):
        return expected or basic
    return f"{basic}: {expected}"


def _notes(schema: Schema) -> Iterator[str]:
    """What no row can say."""
    if "else" in schema:
        absent, needed = schema["if"]["required"][0], schema["else"]["required"][0]
        yield f"`{needed}` is required where `{absent}` is absent."
    items = [member["items"] for member in schema["properties"].values() if "items" in member]
    for item in items:
        if "x-same-length" in item:
            first, second = item["x-same-length"]
            yield f"`{first}` and `{second}` have equally many ports."


def _bags() -> Iterator[str]:
    for name in BAGS:
        writers = [f"`{type}`" for type in sorted(COMMANDS) if name in COMMANDS[type].bags and type != "restore"]
        case = _SHOWN_OF.get(name, "isolated")
        core = Core(machine(json.loads((_CASES / case / "machine.json").read_text())["devices"]))
        core.run(*documents(_CASES / case / "commands"))
        saved = core.saved()[name]
        yield f"### {name}.json\n"
        yield f"{_doc(name)} Read or changed by {', '.join(writers)}.\n"
        yield _json(saved)


def _doc(name: str) -> str:
    """What its feature says in its first line, without the commands, which are told by the code."""
    module = __import__(BAGS[name].desired.__module__, fromlist=["BAG"])
    first = " ".join(str(module.__doc__).split("\n\n")[0].split())
    _, _, says = first.partition(": ")
    says = says.partition(" (contract")[0].partition(". Command")[0].rstrip(".")
    return says[:1].upper() + says[1:] + "."


def _json(value: object) -> str:
    lines = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False).splitlines()
    if len(lines) > _LONGEST:
        lines = [*lines[:_LONGEST], "..."]
    return "\n".join(["```json", *lines, "```\n"])


def _resolved(member: Schema, definitions: Schema) -> dict[str, Any]:
    """A member with what it refers to; its own words go before those."""
    referred = definitions[member["$ref"].rpartition("/")[2]] if "$ref" in member else {}
    return {**referred, **{key: value for key, value in member.items() if key != "$ref"}}


def _loaded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data_text("databags", name + SCHEMA_SUFFIX))
    return found


def _said(schema: Schema) -> str:
    """Its description, without the places of a contract that a reader has not at hand."""
    return re.sub(r" \(contract[^)]*\)", "", str(schema.get("description", "")))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
