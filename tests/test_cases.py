"""Golden cases of the whole pure core: command files in, all that the router holds out, compared both ways.

A case is a directory: `machine.json` (its devices), `commands/`, `bags/` where it starts from saved databags, and
`expected/`, which `pytest --update` writes. `cases/policy.nft` is the part of the packet policy that no command
changes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.core import Core, documents, machine, read_tree

ROOT = Path(__file__).parent / "cases"
POLICY = ROOT / "policy.nft"
CASES = sorted(path for path in ROOT.iterdir() if path.is_dir())
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def started(case: Path) -> Core:
    """The case before its commands."""
    saved = {path.stem: json.loads(path.read_text()) for path in (case / "bags").glob("*.json")}
    return Core(machine(json.loads((case / "machine.json").read_text())["devices"]), saved)


def done(case: Path) -> Core:
    """The case after its commands."""
    core = started(case)
    core.run(*documents(case / "commands"))
    return core


@each_case
def test_case(case: Path, pytestconfig: pytest.Config) -> None:
    core = done(case)
    expected = case / "expected"
    if pytestconfig.getoption("--update"):
        shutil.rmtree(expected, ignore_errors=True)
        for path, text in core.tree().items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_text(text)
        POLICY.write_text(core.policy())
    assert core.tree() == read_tree(expected)
    assert core.policy() == POLICY.read_text()


@each_case
def test_a_restart_changes_nothing(case: Path) -> None:
    """From the saved databags comes the same as from the commands."""
    core = done(case)
    again = Core(core.machine, core.saved())
    assert again.tree() == core.tree()
    assert again.resources == core.resources


@each_case
def test_the_last_command_again_changes_nothing(case: Path) -> None:
    core = done(case)
    for document in documents(case / "commands")[-1:]:
        assert not core.run(document)
        assert not any(core.merged(document).values())
