"""What can go wrong for a user of the command, each with the code the command exits with.

The codes are a promise to scripts: 0 done, 1 the command failed or the update did not arrive, 2 wrong usage or a wrong
job file, 3 server unreachable, 4 timed out, 5 not allowed, 130 interrupted.
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from typing import IO, Any, ClassVar

import click

from scheduler.visible import visible


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMEOUT = 4
    NOT_ALLOWED = 5
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """Ends the command with one sentence on stderr and an exit code; never a traceback."""

    exit_code: ClassVar[int] = Exit.FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        with suppress(OSError):  # the exit code is the promise, with or without words
            for line in f"thesan: {self.format_message()}".split("\n"):
                click.echo(visible(line), file=file, err=file is None)


class Refused(CommandError):
    """The server answered, and not with OK. `code` is the name of the response code."""

    def __init__(self, code: str, message: str, result: Any = None) -> None:
        super().__init__(visible(message))
        self.code = code
        self.result = result


class UnknownMethod(CommandError):
    """The server does not have the call: an older one, or an Aurora."""


class Transient(Refused):
    """The server is not ready and promises that nothing happened (ERROR_TRANSIENT)."""

    exit_code = Exit.UNREACHABLE


class NotAllowed(CommandError):
    exit_code = Exit.NOT_ALLOWED


class Unreachable(CommandError):
    """No answer. `sent` says whether the server may have got, and carried out, the call; `lasting`, that asking again
    would meet the same.
    """

    exit_code = Exit.UNREACHABLE

    def __init__(self, message: str, *, sent: bool, lasting: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.lasting = lasting


class TimedOut(CommandError):
    exit_code = Exit.TIMEOUT


class Interrupted(CommandError):
    """Ctrl-C. What was waited for goes on."""

    exit_code = Exit.INTERRUPTED


class Usage(CommandError):
    """The command line, or a file it names, is wrong."""

    exit_code = Exit.USAGE
