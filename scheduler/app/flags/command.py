"""The click command made of the table: an option a row, a section a group, environment and file beneath the flags."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from scheduler.app.flags.aurora import translate
from scheduler.app.flags.environment import strangers, variable
from scheduler.app.flags.groups import GROUPS, ROWS
from scheduler.app.flags.reading import read_file, refuse_unsafe, settings_of, warnings_of
from scheduler.app.flags.rows import Flag, Row, Unused, spelled
from scheduler.settings import Settings, WrongSetting

EPILOG = """Flags may be written as Aurora writes them: -http_port=8081, -enable_preemptor, -no_enable_preemptor. Each
may also be given in the environment (THESAN_HTTP_PORT=8081) or in the file of --config (http_port = 8081). A flag wins
over the environment, the environment over the file. Flags of Aurora's that do nothing here are accepted with a warning
that says why: docs/flags.md lists all."""

Run = Callable[[Settings, Sequence[str]], None]


class FlagCommand(click.Command):
    """A command whose flags are those of the table."""

    def __init__(self, run: Run, *, name: str, help: str) -> None:
        self._run = run
        options: list[click.Parameter] = [_config_option(), *(_option(row) for group in GROUPS for row in group.rows)]
        super().__init__(name, params=options, callback=self._called, help=help, epilog=EPILOG)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, translate(args, ROWS))
        except WrongSetting as wrong:
            raise click.UsageError(str(wrong), ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A section for each group, and only what is served."""
        options = {param.name: param for param in self.params}
        for group in GROUPS:
            names = [row.name for row in group.rows if isinstance(row, Flag)]
            _section(group.title, [options[name] for name in names], ctx, formatter)
        helping = self.get_help_option(ctx)
        assert helping is not None
        _section("The command line", [options["config"], helping], ctx, formatter)

    def _called(self, config: Path | None, **values: Any) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        try:
            self._run(settings_of(given, ROWS), [*strangers(os.environ, ROWS), *warnings_of(given, ROWS)])
        except WrongSetting as wrong:
            raise click.UsageError(str(wrong)) from None


def _section(
    title: str, options: Sequence[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def _config_option() -> click.Option:
    def take(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
        if path is not None:
            ctx.default_map = read_file(path, ROWS)
        return path

    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path, dir_okay=False),
        envvar=variable("config"),
        is_eager=True,
        callback=take,
        metavar="FILE",
        help="A TOML file of flags: http_port = 8081.",
    )


def _option(row: Row) -> click.Option:
    """Its default is None: what was not given takes the default of the field."""
    unused = isinstance(row, Unused)

    def check(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if isinstance(row, Unused) and value is not None:
            refuse_unsafe(row, param, ctx, str(value))
        return value

    return click.Option(
        [spelled(row.name), row.name],
        type=row.kind,
        envvar=[variable(name) for name in (row.name, *row.aliases)],
        callback=check,
        metavar=row.kind.name.upper() if row.kind.name.isalpha() else row.kind.name,
        help=None if isinstance(row, Unused) else f"{row.help}  [default: {row.default_text}; {row.why}]",
        hidden=unused,
    )


def read(arguments: Sequence[str]) -> tuple[Settings, list[str]]:
    """The settings and the warnings of a command line, without a server. Raises click.ClickException."""
    found: list[tuple[Settings, Sequence[str]]] = []
    command = FlagCommand(lambda settings, warnings: found.append((settings, warnings)), name="serve", help="")
    command.main(list(arguments), prog_name="thesan serve", standalone_mode=False)
    settings, warnings = found[0]
    return settings, list(warnings)
