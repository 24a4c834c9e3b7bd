"""Both command lines as far as they need no machine: arguments, exit statuses, and that nothing prints a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vrouter import __main__ as vrouter
from vrouter import update_config

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("arguments", [[], ["a", "false", "b"], ["a", "b", "c", "d"]])
def test_update_config_takes_one_or_two_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert update_config.main(arguments) == 1
    assert capsys.readouterr().err.startswith("usage: update_config FILE [false]")


def test_update_config_names_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VROUTER_RUN_DIR", "nowhere")
    assert update_config.main(["x.json.1"]) == 1
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("update_config: VROUTER_RUN_DIR: run_dir is 'nowhere'")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["plan"], ["apply"], ["validate"], ["plan", "--x", "a"],
                                       ["explain", "tcp", "1.2.3.4"], ["explain", "tcp", "1.2.3.4", "1.2.3.4"],
                                       ["explain", "gre", "1.2.3.4", "1.2.3.4"],
                                       ["explain", "icmp", "1.2.3.4", "1.2.3.4", "--type", "x"]])  # fmt: skip
def test_wrong_usage_of_vrouter_exits_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(arguments) == 64
    assert "Usage: vrouter" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["plan", "--help"], ["explain", "--help"]])
def test_help_exits_0(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vrouter.main(arguments) == 0
    assert "vrouter" in capsys.readouterr().out


def test_validate_says_valid_or_every_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = EXAMPLES / "forwardrules.json", tmp_path / "bad.json"
    document = json.loads(good.read_text())
    document["rules"][0] |= {"protocol": "tpc", "source_port_range": "80-"}
    bad.write_text(json.dumps(document))
    assert vrouter.main(["validate", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: valid\n"
    assert vrouter.main(["validate", str(good), str(bad), str(tmp_path / "none.json")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{good}: valid" and lines[1] == f"{bad} refused:"
    assert lines[2].startswith("  rules[0].protocol: 'tpc' is not tcp or udp")
    assert lines[3].startswith("  rules[0].source_port_range: '80-' is not ")
    assert lines[4:] == [f"{tmp_path / 'none.json'} refused:", "  cannot read it: No such file or directory"]


def test_validate_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "later.json").write_text('{"type": "loadbalancer"}')
    assert vrouter.main(["validate", "--json", str(tmp_path / "later.json")]) == 1
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["refused"] and [fault["expected"] for fault in file["faults"]] == ["not supported yet: loadbalancer"]


def test_a_file_name_that_is_no_text_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a\udcff", "a\nb", "x" * 300):
        assert vrouter.main(["validate", str(tmp_path / name)]) == 1
        capsys.readouterr()


def test_a_setting_that_is_wrong_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VROUTER_CACHE_DIR", "x")
    for arguments in (["plan", "x"], ["apply", "x"], ["converge"], ["explain", "icmp", "1.2.3.4", "1.2.3.4"]):
        assert vrouter.main(arguments) == 1
        assert capsys.readouterr().err.startswith("vrouter: VROUTER_CACHE_DIR: ")
