"""One port forward followed through the modules: the value after each step, as docs/architecture.md shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tests.core import Core, documents, machine
from tests.docs.pages import ROOT
from vrouter.connections import ending
from vrouter.features import BAGS
from vrouter.handlers import HANDLERS
from vrouter.host import nft_text
from vrouter.model.values import PortRange
from vrouter.plan import Plan, diff
from vrouter.validate import parse_document

FILE = ROOT / "docs" / "examples" / "forward.json"
_CASE = ROOT / "tests" / "cases" / "isolated"


def values() -> dict[str, str]:
    """The text of each step by its name."""
    core = Core(machine(json.loads((_CASE / "machine.json").read_text())["devices"]))
    core.run(*documents(_CASE / "commands"))
    content = FILE.read_bytes()
    parsed = parse_document(content)
    changes = core.merged(parsed.document)
    key, entry = next(iter(changes["forwardingrules"].items()))
    assert entry is not None
    intents = core.asked("forwardingrules", entry)
    handlers = [h for h in HANDLERS if any(isinstance(intent, h.takes) for intent in intents)]
    before = dict(core.resources)
    touched = core.change(changes)
    plan = diff(before, core.resources, touched)
    back = Plan(tuple(diff(core.resources, before, touched).changes))
    saved = BAGS["forwardingrules"].dump({key: entry})
    return {
        "command": content.decode().rstrip(),
        "parsed": _python(parsed),
        "changes": _python({name: dict(change) for name, change in changes.items()}),
        "intents": _listed(intents),
        "handler": "\n".join(f"{_python(h.name)}, {_python(h.scope(intents[0]))}" for h in handlers),
        "resources": _listed(core.resources[key] for key in touched if key in core.resources),
        "plan": json.dumps(plan.changes_tree(), indent=2),
        "transaction": nft_text.transaction(plan, core.resources).rstrip(),
        "rule": _rules_with("@forward_port"),
        "bag": json.dumps(saved, indent=2, sort_keys=True),
        "back": nft_text.transaction(back, before).rstrip(),
        "ends": _listed(ending(back, before).gone),
    }


def _rules_with(text: str) -> str:
    """The rules of the policy that name a set or map."""
    lines = Core(machine({})).policy().splitlines()
    return "\n".join(line for line in lines if line.startswith("add rule") and text in line)


def _listed(values: Iterable[object]) -> str:
    return "\n".join(_python(value) for value in values)


def _python(value: Any, depth: int = 0) -> str:
    """A value as one would write it, members that are as they are by default left out, broken where it is long."""
    if isinstance(value, IPv4Address | IPv4Network | PortRange):
        return f"{type(value).__name__}({_python(str(value))})"
    if is_dataclass(value) and not isinstance(value, type):
        told = [
            f"{f.name}={_python(getattr(value, f.name), depth + 1)}"
            for f in fields(value)
            if f.init and (f.default is MISSING or getattr(value, f.name) != f.default)
        ]
        return _broken(f"{type(value).__name__}(", told, ")", depth)
    if isinstance(value, tuple):
        return _broken("(", [_python(item, depth + 1) for item in value], ",)" if len(value) == 1 else ")", depth)
    if isinstance(value, dict):
        return _broken("{", [f"{_python(k)}: {_python(v, depth + 1)}" for k, v in value.items()], "}", depth)
    if isinstance(value, list):
        return _broken("[", [_python(item, depth + 1) for item in value], "]", depth)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _broken(opens: str, items: list[str], closes: str, depth: int) -> str:
    line = f"{opens}{', '.join(items)}{closes}"
    if len(line) + 4 * depth <= 100 and "\n" not in line:
        return line
    pad = "    " * (depth + 1)
    return "\n".join([opens, *(f"{pad}{item}," for item in items), "    " * depth + closes.lstrip(",")])
