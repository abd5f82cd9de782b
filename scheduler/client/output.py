"""Writing results: JSON for programs, tables and lines for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from scheduler.client.errors import CommandError
from scheduler.visible import visible


def print_json(value: Any) -> None:
    """One JSON value, indented, keys sorted: stable to compare."""
    _write(json.dumps(value, indent=2, sort_keys=True))


def echo(*parts: str | tuple[str, str], err: bool = False) -> None:
    """One line for people; a part may come with its colour. What others wrote into it is shown and not obeyed."""
    shown = [visible(part) if isinstance(part, str) else click.style(visible(part[0]), fg=part[1]) for part in parts]
    _write("".join(shown), err=err)


def _write(line: str, *, err: bool = False) -> None:
    """Raises CommandError where nothing can be written; BrokenPipeError, of which click makes a quiet end."""
    try:
        click.echo(line, err=err)
    except BrokenPipeError:
        raise
    except OSError as failure:
        where = "stderr" if err else "stdout"
        raise CommandError(f"cannot write to {where}: {(failure.strerror or str(failure)).lower()}") from None


class Complaints:
    """Trouble that comes and goes: a sentence on stderr whenever it is another one; empty: there is none now."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, sentence: str) -> None:
        if sentence and sentence != self._last:
            echo(sentence, err=True)
        self._last = sentence


def forget_unwritten() -> None:
    """Let go of what stdout has not taken. The interpreter would try it once more at its end, and exit with 120."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns two spaces apart, never cut off, so that scripts can split them; an empty cell is a dash."""
    lines = [[visible(cell) or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    _write(click.style(_line(header, widths), bold=True))
    for line in lines:
        _write(_line(line, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def count_of(number: int, thing: str) -> str:
    """`1 instance`, `3 instances`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
