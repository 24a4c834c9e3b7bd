"""The last commands and those that wait, from the directories and from memory."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

from vrouter.errors import Fault
from vrouter.intake import Claimed, Intake
from vrouter.model.settings import Settings
from vrouter.outcome import Outcome
from vrouter.records import Recent, last_commands, waiting


def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=str(tmp_path / "cache"), run_dir=str(tmp_path / "run"))


def claimed(at: Settings, name: str, document: object) -> Claimed:
    path = Path(at.cache_dir) / "claimed" / name
    path.write_text(json.dumps(document))
    return Claimed(name, path)


def test_nothing_where_nothing_is(tmp_path: Path) -> None:
    assert last_commands(settings(tmp_path), (), 5) == () and waiting(settings(tmp_path)) == ()


def test_done_and_refused_the_newest_first(tmp_path: Path) -> None:
    at = settings(tmp_path)
    intake = Intake(at)
    with intake.locked():
        intake.archive([claimed(at, "a.json.1", {"type": "ips", "ip_address": []})])
        os.utime(tmp_path / "cache" / "processed" / "a.json.1.gz", (time.time() - 100,) * 2)
        intake.refuse(claimed(at, "b.json.2", {}), "cmdline", [Fault("x", "", "must be present")])
    newest, oldest = last_commands(at, (), 5)
    assert (newest.file, newest.type, newest.refused, newest.faults) == (
        "b.json.2",
        "cmdline",
        True,
        ("x: must be present",),
    )
    assert (oldest.file, oldest.type, oldest.refused) == ("a.json.1", "ips", False)
    assert [one.file for one in last_commands(at, (), 1)] == ["b.json.2"]


def test_memory_knows_more_of_the_same_command_and_of_deleted_ones(tmp_path: Path) -> None:
    at, recent = settings(tmp_path), Recent()
    intake = Intake(at)
    recent.add(Outcome("gone.json.1", "ips", elapsed_s=0.002))
    recent.add(Outcome("bare.json", "ips", elapsed_s=0.004))
    with intake.locked():
        intake.archive([claimed(at, "bare.json", {"type": "ips"})])
    found = {one.file: one.took_ms for one in last_commands(at, recent.last(), 5)}
    assert found == {"bare.json": 4.0, "gone.json.1": 2.0}


def test_a_damaged_archive_is_still_a_command(tmp_path: Path) -> None:
    done = tmp_path / "cache" / "processed"
    done.mkdir(parents=True)
    (done / "x.json.1.gz").write_bytes(b"no gzip")
    (done / "y.json.1.gz").write_bytes(gzip.compress(b'{"type": "ips"' + b" " * 400_000 + b"}"))
    assert {one.file: one.type for one in last_commands(settings(tmp_path), (), 5)} == {
        "x.json.1": "",
        "y.json.1": "ips",
    }


def test_what_waits_the_oldest_first(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "claimed").mkdir(parents=True)
    for name, age in (("a.json.1", 5), ("claimed/b.json", 50), ("note.txt", 500), (".c.json", 500)):
        (cache / name).write_text("{}")
        os.utime(cache / name, (time.time() - age,) * 2)
    found = waiting(settings(tmp_path))
    assert [(one.file, one.claimed, round(one.age_s)) for one in found] == [
        ("b.json", True, 50),
        ("a.json.1", False, 5),
    ]
