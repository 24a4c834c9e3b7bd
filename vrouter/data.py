"""The texts that come with the code: the schemas in `databags/` and the words in `templates/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def data_text(kind: str, name: str) -> str:
    """The text of one file. kind: `databags` or `templates`. Raises FileNotFoundError when it is not there."""
    return _directory(kind).joinpath(*name.split("/")).read_text(encoding="utf-8")


def data_names(kind: str) -> tuple[str, ...]:
    """The names of the files right in that directory, sorted."""
    return tuple(sorted(entry.name for entry in _directory(kind).iterdir() if entry.is_file()))


@cache
def _directory(kind: str) -> Traversable:
    """In a wheel the directory lies in the package, in a checkout beside it (design 4a)."""
    packaged = files("vrouter") / kind
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / kind
