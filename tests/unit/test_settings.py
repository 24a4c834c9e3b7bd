"""Settings of the machine: file, environment, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vrouter.errors import SettingsError
from vrouter.model.settings import Settings
from vrouter.settings import load_settings


def test_the_defaults_are_the_documented_places(tmp_path: Path) -> None:
    found = load_settings({"VROUTER_SETTINGS": str(tmp_path / "none.toml")})
    assert found == Settings()
    assert (found.cache_dir, found.bag_dir, found.run_dir) == ("/var/cache/cloud", "/etc/cloudstack", "/run/vrouter")


def test_a_variable_stands_above_the_file(tmp_path: Path) -> None:
    file = tmp_path / "vrouter.toml"
    file.write_text('cache_dir = "/a"\nbag_dir = "/b"\ndevice_wait_s = 3\nsupervisor = "process"\n')
    found = load_settings({"VROUTER_SETTINGS": str(file), "VROUTER_BAG_DIR": "/c", "VROUTER_DEVICE_WAIT_S": "0.5"})
    assert found == Settings(cache_dir="/a", bag_dir="/c", device_wait_s=0.5, supervisor="process")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cache_dir = 'relative'", "cache_dir is 'relative', not an absolute path"),
        ("cache_dir = 5", "cache_dir is 5, not an absolute path"),
        ('cache_dir = "/a\\nb"', "not an absolute path"),
        ("supervisor = 'init'", "supervisor is 'init'; one of systemd, process"),
        ("supervisor = ['x']", "supervisor is "),
        ("device_wait_s = 'soon'", "device_wait_s is 'soon', not a number of seconds"),
        ("device_wait_s = -1", "not a number of seconds"),
        ("device_wait_s = inf", "not a number of seconds"),
        ("device_wait_s = nan", "not a number of seconds"),
        ("device_wait_s = true", "not a number of seconds"),
        ("cache = '/a'", "unknown setting 'cache'"),
        ("cache_dir", "cannot read"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "vrouter.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings({"VROUTER_SETTINGS": str(file)})
    assert said in str(error.value) and str(file) in str(error.value)


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="VROUTER_RUN_DIR: run_dir is 'run', not an absolute path"):
        load_settings({"VROUTER_SETTINGS": "/nowhere", "VROUTER_RUN_DIR": "run"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    for path in (tmp_path, tmp_path / "bytes.toml"):
        with pytest.raises(SettingsError, match=f"cannot read {path}"):
            load_settings({"VROUTER_SETTINGS": str(path)})
