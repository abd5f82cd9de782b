"""A line of the log is one that the scheduler wrote."""

from __future__ import annotations

import logging
import re
import sys

from scheduler.telemetry.lines import Lines

FORGED = "2026-11-21 17:00:00,000 ERROR   all is lost"
BEGIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ")


def written(message: str, *args: object, failure: BaseException | None = None) -> list[str]:
    exc_info = None if failure is None else (type(failure), failure, failure.__traceback__)
    record = logging.LogRecord("thesan", logging.INFO, __file__, 1, message, args, exc_info)
    return Lines().format(record).split("\n")


def test_what_a_caller_wrote_begins_no_line() -> None:
    (line,) = written("%s: %s", "www/prod/web/u1", f"paused: a\n{FORGED}\x1b[2J")
    assert BEGIN.match(line)
    assert line.endswith(f"INFO    www/prod/web/u1: paused: a\\n{FORGED}\\x1b[2J")


def test_a_traceback_is_set_in_whatever_its_exception_says() -> None:
    try:
        raise ValueError(f"no\n{FORGED}\x07")
    except ValueError:
        failure = sys.exc_info()[1]
    head, *rest = written("%s raised", "start", failure=failure)
    assert head.endswith("INFO    start raised")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == f"    {FORGED}\\x07"
    assert all(line.startswith("    ") for line in rest)
