"""Databags on disk: replaced whole, never mistaken for empty."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from vrouter.contracts import Bag
from vrouter.errors import BagError
from vrouter.features import BAGS
from vrouter.model.bag import Entry
from vrouter.store import Store

RULES: Bag[Any] = BAGS["firewallrules"]


def entries(*ids: int) -> dict[str, Entry]:
    return dict(RULES.load({str(id): {"id": id, "purpose": "é"} for id in ids}))


def test_a_missing_file_is_an_empty_bag(tmp_path: Path) -> None:
    for bag in BAGS.values():
        assert Store(str(tmp_path / "nowhere")).load(bag) == {}


def test_a_saved_bag_is_read_back(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "new" / "bags"))
    store.save(RULES, entries(2, 10))
    assert store.load(RULES) == entries(2, 10)
    path = tmp_path / "new" / "bags" / "firewallrules.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text = path.read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
    assert json.loads(text)["id"] == "firewallrules"
    assert os.listdir(path.parent) == ["firewallrules.json"]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"1": 5}', b"\xff", b"\0" * 20, b"[" * 100_000, b'{"1": {}} x']
)
def test_an_unreadable_bag_is_an_error_that_names_it(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "firewallrules.json"
    path.write_bytes(text)
    with pytest.raises(BagError, match=str(path)):
        Store(str(tmp_path)).load(RULES)
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ips", {"eth0": {}}), ("ips", {"eth0": [{}]}), ("ips", {"eth0": [5]}), ("ips", {"eth0": [{"public_ip": 5}]}),
        ("cmdline", {"config": []}), ("guestnetwork", {"eth3": {}}), ("guestnetwork", {"eth3": [1]}),
        ("dhcpentry", {"10.1.1.1": []}), ("forwardingrules", {"192.0.2.1": {}}),
        ("forwardingrules", {"192.0.2.1": [1]}),
        ("dhcpconfig", {"10.1.1.1": {"router_ip_address": "x"}}), ("dhcpconfig", {"10.1.1.1": 7}),
    ],
)  # fmt: skip
def test_a_bag_of_another_shape_is_unreadable(tmp_path: Path, name: str, wrong: object) -> None:
    (tmp_path / f"{name}.json").write_text(json.dumps(wrong))
    with pytest.raises(BagError, match=f"{name}.json is unreadable"):
        Store(str(tmp_path)).load(BAGS[name])


def test_a_directory_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "firewallrules.json").mkdir()
    with pytest.raises(BagError, match=r"cannot read databag .*firewallrules\.json"):
        Store(str(tmp_path)).load(RULES)
    with pytest.raises(BagError, match=r"cannot write databag .*firewallrules\.json"):
        Store(str(tmp_path)).save(RULES, entries(1))
    assert os.listdir(tmp_path) == ["firewallrules.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_write_keeps_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    store = Store(str(tmp_path))
    store.save(RULES, entries(1))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(BagError, match=r"firewallrules\.json: No space left on device"):
        store.save(RULES, entries(1, 2))
    monkeypatch.undo()
    assert store.load(RULES) == entries(1)
    assert os.listdir(tmp_path) == ["firewallrules.json"]


def test_a_file_left_half_written_is_not_read(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.save(RULES, entries(1))
    (tmp_path / ".firewallrules.json.new").write_text("{")
    assert store.load(RULES) == entries(1)
    store.save(RULES, entries(2))
    assert store.load(RULES) == entries(2)


def test_text_that_is_no_unicode_comes_back(tmp_path: Path) -> None:
    """Half a surrogate pair, which no command brings, may stand in a bag of the reference."""
    (tmp_path / "firewallrules.json").write_text('{"1": {"id": 1, "purpose": "\\udcff \\ud800"}}')
    store = Store(str(tmp_path))
    held = store.load(RULES)
    store.save(RULES, held)
    assert store.load(RULES) == held
