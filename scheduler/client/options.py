"""Options that many commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from scheduler.client.access import keep, server_of
from scheduler.client.places import DEFAULT_SERVER, DEFAULT_SERVERSET_PATH
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


_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_BESIDE_SERVER: Final = (
    ("--cluster", "THESAN_CLUSTER", str, "Instead of --server: the leader of this cluster of clusters.json."),
    ("--zk", "THESAN_ZK", str, "Instead of --server: the leader as ZooKeeper has it; HOST:PORT,HOST:PORT[/CHROOT]."),
    (
        "--serverset-path",
        "THESAN_SERVERSET_PATH",
        str,
        f"Where it stands there; {DEFAULT_SERVERSET_PATH} if not given.",
    ),
    ("--login", "THESAN_LOGIN", str, "The user; by default whom ~/.netrc has for the host."),
    ("--password-file", "THESAN_PASSWORD_FILE", _FILE, "The first line is the password; or set THESAN_PASSWORD."),
    ("--ca-file", "THESAN_CA_FILE", _FILE, "PEM: who must have signed the server's certificate."),
    ("--client-certificate", "THESAN_CLIENT_CERTIFICATE", _FILE, "PEM: the user's own certificate."),
    ("--client-key", "THESAN_CLIENT_KEY", _FILE, "PEM: its key, if it is in a file of its own."),
)


def server_option(command: F) -> F:
    """`--server`, and beside it how to get in. The value is an `access.Server`."""
    for name, variable, value, help_text in reversed(_BESIDE_SERVER):
        command = click.option(
            name, envvar=variable, type=value, expose_value=False, is_eager=True, callback=keep, help=help_text
        )(command)
    return click.option(
        "--server",
        envvar="THESAN_SERVER",
        default=DEFAULT_SERVER,
        show_default=True,
        metavar="URL",
        callback=server_of,
        help="The scheduler to talk to, or several with commas between; THESAN_SERVER sets it too.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--write-json", "as_json", is_flag=True, help="Write the result as JSON.")(command)


def update_arguments(command: F) -> F:
    """Which update is meant: `jobkey`, and `update_id` unless there is only one it can be."""
    return click.argument("jobkey")(click.argument("update_id", metavar="[ID]", required=False)(command))


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
