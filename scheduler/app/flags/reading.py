"""From what was given to `Settings`. Order of precedence: flag, environment, file, default."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from scheduler.app.flags.aurora import unknown
from scheduler.app.flags.rows import POLICY, Flag, Row, Unused, spelled
from scheduler.core.policy import Policy
from scheduler.settings import Settings, WrongSetting


def read_file(path: Path, rows: Mapping[str, Row]) -> dict[str, Any]:
    """Flags by name, from a TOML file: `http_port = 8081`. Raises WrongSetting, naming the file and what is wrong."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise WrongSetting(f"--config {path} cannot be read: {wrong.strerror or wrong}") from None
    except ValueError as wrong:
        raise WrongSetting(f"--config {path} is no TOML: {wrong}") from None
    values: dict[str, Any] = {}
    for key, value in found.items():
        name = key.replace("-", "_")
        if name not in rows:
            raise WrongSetting(unknown(f"{key!r} in {path} is no flag of this server", name, rows))
        if isinstance(value, dict):
            raise WrongSetting(f"{key!r} in {path} is a table; it must be a value, as in: {key} = ...")
        if rows[name].name in values:
            raise WrongSetting(f"{key!r} in {path} says again what {rows[name].name!r} says")
        values[rows[name].name] = value
    return values


def settings_of(given: Mapping[str, Any], rows: Mapping[str, Row]) -> Settings:
    """The settings under these flags, by name. Raises WrongSetting on what does not go together."""
    plain: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    for name, value in given.items():
        row = rows[name]
        if isinstance(row, Flag):
            into = policy if row.to.startswith(POLICY) else plain
            into[row.to.removeprefix(POLICY)] = value
    return Settings(**plain, policy=attrs.evolve(Policy(), **policy))


def warnings_of(given: Mapping[str, Any], rows: Mapping[str, Row]) -> list[str]:
    """A sentence for each flag that was given and does nothing."""
    used = [rows[name] for name in given]
    return [f"{spelled(row.name)} is accepted and does nothing: {row.why}" for row in used if isinstance(row, Unused)]


def refuse_unsafe(row: Unused, param: click.Parameter, ctx: click.Context, value: str) -> None:
    """A flag that does nothing is refused where nothing is less than was asked for."""
    if row.only and value.upper() not in map(str.upper, row.only):
        allowed = " or ".join(row.only)
        raise click.BadParameter(f"{value!r} is not served: {row.why}; it must be {allowed}", ctx=ctx, param=param)
