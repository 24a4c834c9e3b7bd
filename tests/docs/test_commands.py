"""Every command's help: an example, which is run, the exit statuses, and the shape of its JSON."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent import kit
from tests.docs.commands import Described, commands
from tests.docs.pages import ROOT
from tests.docs.stage import ISOLATED, Stage
from tests.system.commands import forward
from tests.system.kit import Router, eventually

_ALL = commands()
_NOT_DATA = ("agent", "completion", "confirm", "demo", "exec")
_NOT_RUN = ("vrouter lab down --all", "vrouter lab demo")  # it ends the labs of others; tests/lab runs it
each = pytest.mark.parametrize("described", _ALL, ids=lambda described: described.name)
each_command = pytest.mark.parametrize(
    "described", [found for found in _ALL if not found.group], ids=lambda described: described.name
)


@each
def test_help_tells_the_exit_status(described: Described) -> None:
    assert "Exit status: 0" in described.help or described.path[-1] == "exec"
    assert "Exit status: " in described.help


@each
def test_help_has_an_example_that_runs_it(described: Described) -> None:
    examples = described.examples()
    assert examples, described.help
    words = list(described.path)
    assert any(shlex.split(example)[: len(words)] == words for example in examples)


@each_command
def test_a_command_that_prints_data_prints_json_and_tells_its_shape(described: Described) -> None:
    flags = [name for option in described.options() for name in option.opts]
    data = described.path[-1] not in _NOT_DATA
    assert ("--json" in flags) is data
    assert bool(re.search(r"JSON: \S", described.help)) is data


@pytest.mark.parametrize("columns", [80, 200])
def test_help_fits_a_terminal(columns: int) -> None:
    """But for what tables say of their rows, which is one line a member."""
    for described in _ALL:
        if described.path[1:2] != ("show",):
            assert max(map(len, described.help.splitlines())) <= columns, described.name


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A machine with what the examples name: command files, a lab `mine` whose router has 42 states and a snapshot."""
    directory = tmp_path_factory.mktemp("help")
    shutil.copytree(ROOT / ISOLATED, directory / "commands")
    with Stage(directory) as stage:
        for example in ("vrouter lab up isolated --name mine", "vrouter lab up --from ./commands --name try"):
            status, output = stage.run(example, inside=False)
            assert status == 0, output
        mine, router = Router(stage.lab("mine")), Router(stage.lab("try"))
        mine.send(*(json.loads(path.read_text()) for path in sorted((ROOT / ISOLATED).glob("*.json"))))
        router.send(*(forward("192.0.2.10", port, "10.1.1.12", 80) for port in range(5000, 5032)))
        stage.run("cp forward.json forwarding_rules.json; mkdir -p /etc/bash_completion.d", inside=True)
        yield stage


def test_examples_of_the_routers_commands(stage: Stage) -> None:
    """They do what they say: 0, or 2 where the command says more than done."""
    for described in _ALL:
        for example in described.examples():
            if described.path[1:2] == ("lab",) or example == "vrouter agent":
                continue
            if described.path[-1] == "confirm":
                stage.run("vrouter apply --confirm 60 open.json", inside=True)
            status, output = stage.run(example, inside=True)
            good = (0, 2) if described.path[-1] in ("plan", "explain", "status", "trace") else (0,)
            assert status in good, f"{example}: {status}\n{output}"
            assert output.strip() or ">" in example or "--svg" in example, example


def test_json_is_json(stage: Stage) -> None:
    for described in _ALL:
        flags = [name for option in described.options() for name in option.opts]
        if "--json" in flags and described.path[1:2] != ("lab",):
            example = described.examples()[0]
            _, output = stage.run(f"{example} --json 2>/dev/null".replace(" --svg router.svg", ""), inside=True)
            assert isinstance(json.loads(output), dict), example
            stage.run("vrouter confirm", inside=True)


def test_the_example_of_the_agent(stage: Stage) -> None:
    router = Router(stage.lab("try"))
    kit.stop(router)
    with router.lab.popen("router", ("vrouter", "agent")) as process:
        assert eventually(lambda: router.run("test", "-S", "/run/vrouter/agent.sock").returncode == 0)
        process.terminate()
        assert process.wait(15) == 0
    assert kit.start(router).returncode == 0


def test_examples_of_the_lab(stage: Stage, tmp_path: Path) -> None:
    """Those of `up` made the labs of this module; `down` comes last."""
    found = [example for described in _ALL if described.path[1:2] == ("lab",) for example in described.examples()]
    told = [example for example in found if example not in _NOT_RUN and " up " not in example]
    assert len(told) == 5
    for example in sorted(told, key=lambda example: ("snapshot" not in example, " down " in example)):
        status, output = stage.run(example, inside=False)
        assert status == 0, f"{example}: {status}\n{output}"
    assert stage.run("vrouter lab list --json", inside=False)[0] == 0
