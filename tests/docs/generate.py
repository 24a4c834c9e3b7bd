"""Writes what the documentation takes from the code: `make docs`. A test fails where it is stale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.docs import databags, follow, reference
from tests.docs.pages import ROOT

ARCHITECTURE = ROOT / "docs" / "architecture.md"

_VALUE = re.compile(r"<!-- value: (\w+) -->\n```(\w*)\n.*?```\n", re.S)


def generated() -> dict[Path, str]:
    """Every page that is made, or holds values that are, with the text it should have."""
    return {
        ROOT / "docs" / "reference.md": reference.reference(),
        ROOT / "docs" / "databags.md": databags.reference(),
        ARCHITECTURE: filled(ARCHITECTURE.read_text(), follow.values()),
    }


def filled(text: str, values: Mapping[str, str]) -> str:
    """A page with the values in the blocks below their names; each value is shown. Raises KeyError."""
    shown = [found[1] for found in _VALUE.finditer(text)]
    missing = values.keys() - set(shown)
    assert not missing, f"no block for {sorted(missing)}"
    return _VALUE.sub(lambda found: f"<!-- value: {found[1]} -->\n```{found[2]}\n{values[found[1]]}\n```\n", text)


def write() -> None:
    """Write them all."""
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    write()
