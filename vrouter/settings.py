"""Reads the settings: `/etc/vrouter/vrouter.toml`, overridden by `VROUTER_<KEY>` in the environment (design 4a)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

from vrouter.errors import SettingsError
from vrouter.model.settings import Settings, Supervisor

DEFAULT_FILE = "/etc/vrouter/vrouter.toml"


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of this machine. Raises SettingsError naming the file or variable, the key and the value."""
    path = Path(environ.get("VROUTER_SETTINGS", DEFAULT_FILE))
    try:
        found = tomllib.loads(path.read_text()) if path.exists() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    unknown = sorted(found.keys() - {field.name for field in fields(Settings)})
    if unknown:
        raise SettingsError(f"{path}: unknown setting {unknown[0]!r}")
    settings = Settings()
    for field in fields(Settings):
        variable = f"VROUTER_{field.name.upper()}"
        if variable in environ:
            settings = _with(settings, variable, field.name, environ[variable])
        elif field.name in found:
            settings = _with(settings, str(path), field.name, found[field.name])
    return settings


def _with(settings: Settings, where: str, key: str, value: object) -> Settings:
    if key == "supervisor":
        if value not in get_args(Supervisor):
            raise SettingsError(f"{where}: {key} is {value!r}; one of {', '.join(get_args(Supervisor))}")
    elif key in ("watch", "repair"):
        if str(value).lower() not in ("true", "false"):
            raise SettingsError(f"{where}: {key} is {value!r}; true or false")
        value = str(value).lower() == "true"
    elif key in ("device_wait_s", "program_limit_s"):
        try:
            value = float(str(value))
            if not 0 <= value <= 3600:
                raise ValueError
        except ValueError:
            raise SettingsError(f"{where}: {key} is {value!r}, not a number of seconds up to 3600") from None
    elif not (isinstance(value, str) and value.startswith("/") and value.isprintable()):
        raise SettingsError(f"{where}: {key} is {value!r}, not an absolute path")
    return replace(settings, **{key: value})  # type: ignore[arg-type]  # the key was checked against the fields
