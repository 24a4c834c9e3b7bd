"""docs/CONTRIBUTING.md is true: its two examples are carried out in a copy of what they touch, in the page's order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT

_STEP = re.compile(r"<!-- (file|change|run|in):? ?(\S*) -->\n```\w*\n(.*?)```\n", re.S)
_COPIED = ("vrouter", "databags", "templates", "pyproject.toml", "tests/cases", "tests/conftest.py", "tests/core.py",
           "tests/test_cases.py", "tests/__init__.py")  # fmt: skip


def test_the_worked_examples_work(tmp_path: Path) -> None:
    for name in _COPIED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    steps = _STEP.findall((ROOT / "docs" / "CONTRIBUTING.md").read_text())
    assert {kind for kind, _, _ in steps} == {"file", "change", "run", "in"}
    for kind, name, text in steps:
        path = tmp_path / name
        if kind == "file":
            assert not path.exists(), name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif kind == "change":
            _change(path, text)
        elif kind == "in":
            assert text in path.read_text(), name
        else:
            _run(tmp_path, text)
    _run(
        tmp_path, "pytest tests/test_cases.py\nruff check vrouter\nruff format --check vrouter\nlint-imports --no-logo"
    )


def _change(path: Path, text: str) -> None:
    """A diff without places: the lines with - become those with +."""
    old, new = ("".join(line[1:] + "\n" for line in text.splitlines() if line[0] == sign) for sign in "-+")
    before = path.read_text()
    assert before.count(old.rstrip("\n")) == 1, f"{path.name} has other lines now than those that are to be changed"
    path.write_text(before.replace(old.rstrip("\n"), new.rstrip("\n")))


def _run(directory: Path, script: str) -> None:
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(directory),
        "PATH": programs,
        "PYTEST_ADDOPTS": "-q -p no:cacheprovider",
    }
    done = subprocess.run(
        ["sh", "-e"], input=script, cwd=directory, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
