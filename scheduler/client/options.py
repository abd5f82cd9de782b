"""Options that many commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from scheduler.client.connection import DEFAULT_SERVER
from scheduler.client.quantities import DURATION_HINT, parse_duration_ms, parse_instances

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[int]):
    """A time such as `45s`; the value is in milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_duration_ms(value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


class Instances(click.ParamType[tuple[int, ...]]):
    """Instance ids such as `0-2,5`; the value is a tuple."""

    name = "instances"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return parse_instances(value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


def server_option(command: F) -> F:
    return click.option(
        "--server",
        envvar="THESAN_SERVER",
        default=DEFAULT_SERVER,
        show_default=True,
        metavar="URL",
        help="The scheduler to talk to; THESAN_SERVER sets it too.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--write-json", "as_json", is_flag=True, help="Write the result as JSON.")(command)


def message_option(command: F) -> F:
    return click.option("-m", "--message", default=None, help="Kept in the history, with who asked.")(command)


def timeout_option(command: F) -> F:
    return click.option(
        "--timeout",
        "timeout_ms",
        type=Duration(),
        default=None,
        metavar="TIME",
        help=f"Wait no longer than this ({DURATION_HINT}); the exit code is then 4.",
    )(command)


def instances_option(help_text: str) -> Callable[[F], F]:
    return click.option(
        "--instances", "instances", type=Instances(), default=(), metavar="LIST", help=f"{help_text}, such as 0-2,5."
    )


JOB_FILE = click.Path(path_type=Path, dir_okay=False)
