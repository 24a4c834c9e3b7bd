"""The cache directory: who owns a command file, where it goes, and what is kept of it."""

from __future__ import annotations

import gzip
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vrouter import intake as module
from vrouter.errors import Fault, IntakeError
from vrouter.intake import Claimed, Intake
from vrouter.model.settings import Settings

NAME = "forwarding_rules.json.3f2b0c64-7a5e-4d0c-9a51-0b6c7d3c9e11"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def intake(tmp_path: Path, cache: Path) -> Iterator[Intake]:
    made = Intake(Settings(cache_dir=str(cache), run_dir=str(tmp_path / "run")))
    with made.locked():
        yield made


def claimed(intake: Intake, cache: Path, name: str = NAME, content: bytes = b"{}") -> Claimed:
    (cache / name).write_bytes(content)
    found = intake.claim(name)
    assert found is not None
    return found


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_directories_are_for_root_alone(intake: Intake, cache: Path) -> None:
    for directory in (cache, cache / "claimed", cache / "processed", cache / "failed"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_claimed_file_is_there_once(intake: Intake, cache: Path) -> None:
    found = claimed(intake, cache, content=b"abc")
    assert found.read() == b"abc"
    assert not (cache / NAME).exists()
    assert intake.claim(NAME) is None
    assert [item.name for item in intake.left_over()] == [NAME]


def test_what_was_left_over_comes_oldest_first(intake: Intake, cache: Path) -> None:
    for place, name in enumerate(("c.json.1", "a.json.2", "b.json.3")):
        os.utime(claimed(intake, cache, name).path, (place, place))
    assert [item.name for item in intake.left_over()] == ["c.json.1", "a.json.2", "b.json.3"]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc/passwd", "a\0b", "processed/x.gz", "x" * 201])
def test_a_name_that_is_a_path_or_too_long_is_refused(intake: Intake, name: str) -> None:
    with pytest.raises(IntakeError):
        intake.claim(name)


@pytest.mark.parametrize("name", ["é" * 100, "$(reboot)", "a b;c", "-rf", ".hidden", "\udcff\udcfe", "x" * 200])
def test_any_other_name_is_taken_archived_and_refused(intake: Intake, cache: Path, name: str) -> None:
    intake.archive([claimed(intake, cache, name)])
    assert len(names(cache / "processed")) == 1
    intake.refuse(claimed(intake, cache, name), "ips", [Fault("a", "b", "c")])
    assert names(cache / "failed") == sorted([name, f"{name}.error"])
    assert names(cache / "claimed") == []


def test_a_link_or_a_directory_is_no_command(intake: Intake, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    (cache / "link.json.1").symlink_to(tmp_path / "secret")
    (cache / "directory.json.1").mkdir()
    for name in ("link.json.1", "directory.json.1", "processed", "missing.json.1"):
        assert intake.claim(name) is None
    assert (tmp_path / "secret").exists()


def test_an_archived_command_is_gzipped_and_known_by_its_name(intake: Intake, cache: Path) -> None:
    intake.archive([claimed(intake, cache, content=b"the text")])
    [path] = (cache / "processed").iterdir()
    assert path.name == f"{NAME}.gz" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert gzip.decompress(path.read_bytes()) == b"the text"
    assert intake.was_done(NAME) and not intake.was_done("other.json.1")
    assert names(cache / "claimed") == []


def test_a_bare_wire_name_is_archived_with_a_suffix(intake: Intake, cache: Path) -> None:
    for _ in range(2):
        intake.archive([claimed(intake, cache, "cmd_line.json")])
    found = names(cache / "processed")
    assert len(found) == 2
    assert all(name.startswith("cmd_line.json.") and len(name) == len("cmd_line.json..gz") + 36 for name in found)
    assert not intake.was_done("cmd_line.json")


def test_a_refused_command_says_why_until_it_is_done(intake: Intake, cache: Path) -> None:
    fault = Fault("rules[0].protocol", "'tpc'", "tcp or udp", "send tcp")
    (cache / NAME).write_text("x")
    os.chmod(cache / NAME, 0o644)
    intake.refuse(claimed(intake, cache), "forwardrules", [fault])
    failed = cache / "failed"
    assert names(failed) == [NAME, f"{NAME}.error"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in failed.iterdir()} == {0o600}
    report = json.loads((failed / f"{NAME}.error").read_text())
    assert report.pop("time").endswith("Z")
    assert report == {
        "file": NAME,
        "type": "forwardrules",
        "faults": [{"path": "rules[0].protocol", "value": "'tpc'", "expected": "tcp or udp", "fix": "send tcp"}],
    }
    assert intake.was_refused(NAME) == "rules[0].protocol: 'tpc' is not tcp or udp; send tcp"
    intake.archive([claimed(intake, cache)])
    assert names(failed) == [] and intake.was_refused(NAME) is None


def test_an_error_file_of_other_hands_is_no_reason(intake: Intake, cache: Path) -> None:
    for text in ("", "{}", "[]", '{"faults": [{"a": 1}]}', "\xff"):
        (cache / "failed" / f"{NAME}.error").write_bytes(text.encode("latin-1"))
        assert intake.was_refused(NAME) is None


def test_a_command_that_is_not_kept_leaves_nothing(intake: Intake, cache: Path) -> None:
    """Also where the process that claimed it has died."""
    (cache / NAME).write_text("x")
    assert intake.claim(NAME, keep=False) is not None
    (found,) = Intake(Settings(cache_dir=str(cache))).left_over()
    assert not found.keep
    intake.archive([found])
    intake.archive([intake.delete_later(claimed(intake, cache))])
    assert [names(cache / name) for name in ("claimed", "processed", "failed")] == [[], [], []]


def test_a_copy_has_a_name_of_its_own(intake: Intake, cache: Path) -> None:
    for name in ("my.json", "/root/my.json", "x" * 250):
        one, other = intake.copy_in(name, b"{}"), intake.copy_in(name, b"{}")
        assert one.name != other.name and one.read() == b"{}"
        intake.archive([one])
        intake.refuse(other, "", [])


def fill(directory: Path, count: int, size: int) -> None:
    for place in range(count):
        path = directory / f"old{place:05d}"
        with path.open("wb") as handle:
            handle.truncate(size)
        os.utime(path, (place, place))


def test_processed_holds_two_thousand_files(intake: Intake, cache: Path) -> None:
    fill(cache / "processed", 2010, 1)
    intake.archive([claimed(intake, cache)])
    found = names(cache / "processed")
    assert len(found) == 2000 and f"{NAME}.gz" in found
    assert "old00010" not in found and "old00011" in found


def test_failed_holds_five_hundred_files(intake: Intake, cache: Path) -> None:
    fill(cache / "failed", 510, 1)
    intake.refuse(claimed(intake, cache), "", [])
    found = names(cache / "failed")
    assert len(found) == 500 and f"{NAME}.error" in found and NAME in found


@pytest.mark.parametrize("directory", ["processed", "failed"])
def test_both_hold_64_mebibytes(intake: Intake, cache: Path, directory: str) -> None:
    fill(cache / directory, 10, 10 * 1024 * 1024)
    if directory == "processed":
        intake.archive([claimed(intake, cache)])
    else:
        intake.refuse(claimed(intake, cache), "", [])
    kept = sum(path.stat().st_size for path in (cache / directory).iterdir())
    assert 50 * 1024 * 1024 < kept <= 64 * 1024 * 1024
    assert "old00009" in names(cache / directory)


def test_a_file_is_read_up_to_its_limit(intake: Intake, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_COMMAND_BYTES", 10)
    assert len(claimed(intake, cache, content=b"x" * 100).read()) == 11


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    settings = Settings(cache_dir=str(tmp_path / "cache"), run_dir=str(tmp_path / "run"))
    inside: list[int] = []

    def write() -> None:
        with Intake(settings).locked():
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == []


def test_directories_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(cache_dir=str(tmp_path / "file" / "cache"), run_dir=str(tmp_path / "run"))
    with pytest.raises(IntakeError, match=r"cannot use .*file"), Intake(settings).locked():
        pass
