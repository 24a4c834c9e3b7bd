"""A directory to make a lab from: command files, or a copy of a router's databags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vrouter.features import BAGS
from vrouter.lab.claims import Claims, of_bags, of_commands
from vrouter.lab.derive import Derived, derive
from vrouter.lab.errors import LabError
from vrouter.model.json import JsonObject
from vrouter.parse import shown

SUFFIX = ".json"


@dataclass(frozen=True)
class Source:
    """files: content by name, in the order of their names. bags: whether they are databags. unread: by the name of the
    file, why its content is no JSON object."""

    directory: Path
    files: Mapping[str, bytes]
    bags: bool
    unread: Mapping[str, str]
    documents: Mapping[str, JsonObject]

    def derived(self) -> Derived:
        """The topology that it implies."""
        return derive(self._claims(), self.directory.name or "root")

    def _claims(self) -> Claims:
        if self.bags:
            return of_bags({name.removesuffix(SUFFIX): document for name, document in self.documents.items()})
        return of_commands(list(self.documents.items()))


def read(directory: str) -> Source:
    """Every `*.json` right in the directory, sorted by name.

    Databags are told by their names, and by having no `type`. Raises LabError where there is no such file, where one
    cannot be read, and where both kinds are mixed.
    """
    root = Path(directory).absolute()
    try:
        paths = sorted(path for path in root.iterdir() if path.suffix == SUFFIX and not path.name.startswith("."))
        files = {path.name: path.read_bytes() for path in paths if not path.is_dir()}
    except OSError as error:
        raise LabError(f"cannot read {error.filename or root}: {error.strerror}") from error
    if not files:
        raise LabError(f"{root} holds no file *{SUFFIX}; give a directory of command files, or of databags")
    documents: dict[str, JsonObject] = {}
    unread: dict[str, str] = {}
    for name, content in files.items():
        try:
            documents[name] = _object(content)
        except ValueError as error:
            unread[name] = str(error)
    commands = [name for name, document in documents.items() if "type" in document]
    bags = [name for name in documents if name not in commands and name.removesuffix(SUFFIX) in BAGS]
    if commands and bags:
        raise LabError(f"{root} holds a command file, {commands[0]}, and a databag, {bags[0]}; give one kind")
    return Source(root, files, bool(bags), unread, documents)


def _object(content: bytes) -> JsonObject:
    """Raises ValueError that says where it is no JSON object."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{shown(found)} is not a JSON object")
    return found
