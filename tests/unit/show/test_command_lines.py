"""`status`, `show` and `completion` as far as they need no machine."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.unit.show.kit import example, facts, refused, view
from tests.unit.show.test_rows import rows
from vrouter import __main__ as vrouter
from vrouter.errors import VrouterError
from vrouter.show import cli
from vrouter.show.status import status
from vrouter.show.tables import TABLES


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], bool]]:
    """The questions that the command line asked; the example answers them."""
    seen: list[tuple[str, dict[str, Any], bool]] = []

    def look(verb: str, question: dict[str, Any], alone: bool = False) -> dict[str, Any]:
        seen.append((verb, question, alone))
        if verb == "status":
            return status(view(example()), facts(commands=(refused(),)))
        return {"what": question["what"], "rows": rows(question["what"], example()), "notes": []}

    monkeypatch.setattr(cli, "look", look)
    return seen


def test_the_tables_of_the_command_line_are_those_that_exist() -> None:
    assert list(cli.TABLES) == list(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_help_has_an_example_the_exit_codes_and_the_shape(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(["show", name, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Example: vrouter show {name}" in said and "Exit status:" in said and "--json" in said
    assert all(f"  {field.name} " in said for field in TABLES[name].fields)


@pytest.mark.parametrize("name", TABLES)
def test_each_table_as_text_and_as_json(name: str, asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(["show", name]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 1
    assert vrouter.main(["show", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["what"] == name


def test_status_exits_2_where_something_is_wrong(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(["status"]) == 2
    assert "something is wrong" in capsys.readouterr().out
    assert vrouter.main(["status", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["well"] is False


def test_rows_are_chosen(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(["show", "forwards", "--find", "web2", "--json"]) == 0
    assert [row["guest"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["web2"]
    assert vrouter.main(["show", "forwards", "--wrong"]) == 0
    assert capsys.readouterr().out == "none of 3 forwards\n"


def test_connections_are_asked_for_by_address(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["show", "connections", "--guest", "10.1.1.11", "--public", "192.0.2.10", "--limit", "5000"]
    assert vrouter.main(arguments) == 0
    assert asked == [("show", {"what": "connections", "addresses": ["10.1.1.11", "192.0.2.10"], "most": 5000}, True)]
    assert vrouter.main(["show", "connections", "--guest", "web1"]) == 64
    assert "not an IPv4 address" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["show", "nonsense"], ["show", "nat", "--watch", "0"], ["completion", "tcsh"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert vrouter.main(arguments) == 64


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(["completion", shell]) == 0
    assert "_VROUTER_COMPLETE" in capsys.readouterr().out


def test_tables_are_completed() -> None:
    names = subprocess.run(
        [sys.executable, "-m", "vrouter"], capture_output=True, text=True, check=True,
        env={"_VROUTER_COMPLETE": "bash_complete", "COMP_WORDS": "vrouter show co", "COMP_CWORD": "2",
             "PYTHONPATH": ":".join(sys.path)},
    ).stdout.split()  # fmt: skip
    assert names == ["plain,connections", "plain,counters"]


def test_help_imports_no_engine() -> None:
    script = (
        "import sys; from vrouter.__main__ import main; main(['--help'])\n"
        "print([name for name in ('pyroute2', 'jinja2', 'jsonschema', 'vrouter.pipeline') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_watch_goes_on_through_a_failure_and_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = iter([{"what": "nat", "rows": [], "notes": []}, VrouterError("the agent ends"), KeyboardInterrupt()])

    def look(*_: object, **__: object) -> object:
        found = next(looks)
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr(cli, "look", look)
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert vrouter.main(["show", "nat", "--watch"]) == 130
    first, text, second, failure = capsys.readouterr().out.splitlines()
    assert first.startswith("--- ") and second.startswith("--- ")
    assert (text, failure) == ("no translations", "vrouter: the agent ends")
