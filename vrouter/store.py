"""Databags on disk: read with care, replaced whole and durably."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from vrouter.contracts import Bag
from vrouter.durable import replace_file, sync_directory
from vrouter.errors import BagError
from vrouter.model.bag import Entry
from vrouter.model.json import JsonObject


class Store:
    """The directory of the databags."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def load(self, bag: Bag[Any]) -> dict[str, Entry]:
        """A bag's entries; none where the file is not there.

        Raises BagError for a file that cannot be read: it is never an empty bag (contract commands 7.2, D1).
        """
        path = self._path(bag)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise BagError(f"cannot read databag {path}: {error.strerror}") from error
        try:
            found = json.loads(text)
            if not isinstance(found, dict):
                raise ValueError("it is not an object")
            return dict(bag.load(found))
        except (ValueError, RecursionError) as error:
            raise BagError(
                f"databag {path} is unreadable: {error}; restore it, or remove it to start it anew"
            ) from error

    def save(self, bag: Bag[Any], entries: Mapping[str, Entry]) -> None:
        """Replace a bag's file: it holds the old text or the new one, whatever fails. Raises BagError.

        Keys sorted, two blanks of indentation, no newline at the end, as the reference does (contract commands 2.5).
        """
        path = self._path(bag)
        text = _text(bag.dump(entries))
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(path, text)
            sync_directory(self._directory)
        except OSError as error:
            raise BagError(f"cannot write databag {path}: {error.strerror}") from error

    def _path(self, bag: Bag[Any]) -> Path:
        return self._directory / f"{bag.name}.json"


def _text(value: JsonObject) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    except TypeError:  # a text of a foreign bag that is no Unicode, such as half of a surrogate pair
        return json.dumps(value, indent=2, sort_keys=True).encode()
