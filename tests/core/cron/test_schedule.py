"""The grammar of cron schedules: what it allows, what it refuses, and with which words."""

from __future__ import annotations

import pytest

from scheduler.core.cron.schedule import WrongSchedule, parse

ALL = tuple(range(60))
DAYS = tuple(range(1, 32))
MONTHS = tuple(range(1, 13))
WEEK = tuple(range(7))


@pytest.mark.parametrize(("text", "fields"), [
    ("* * * * *", (ALL, ALL[:24], DAYS, MONTHS, WEEK)),
    ("0 0 1 1 *", ((0,), (0,), (1,), (1,), WEEK)),
    ("*/20 2-4 * * *", ((0, 20, 40), (2, 3, 4), DAYS, MONTHS, WEEK)),
    ("10-30/5 * * * *", ((10, 15, 20, 25, 30), ALL[:24], DAYS, MONTHS, WEEK)),
    ("5,1,5,2-3 * * * *", ((1, 2, 3, 5), ALL[:24], DAYS, MONTHS, WEEK)),
    ("0 0 * JAN,mar-May *", ((0,), (0,), DAYS, (1, 3, 4, 5), WEEK)),
    ("0 0 * * SUN,mon-FRI/2", ((0,), (0,), DAYS, MONTHS, (0, 1, 3, 5))),
    ("0 0 * * 0", ((0,), (0,), DAYS, MONTHS, (0,))),
    ("0 0 1-31 * 1", ((0,), (0,), DAYS, MONTHS, (1,))),
    ("0 0 */1 * 1", ((0,), (0,), DAYS, MONTHS, (1,))),
    ("0 0 29 2 *", ((0,), (0,), (29,), (2,), WEEK)),
    ("0 0 31 2,3 *", ((0,), (0,), (31,), (2, 3), WEEK)),
    ("  0\t0  1 1 * ", ((0,), (0,), (1,), (1,), WEEK)),
    ("*/100 * * * *", ((0,), ALL[:24], DAYS, MONTHS, WEEK)),
])  # fmt: skip
def test_what_is_a_schedule(text: str, fields: tuple[tuple[int, ...], ...]) -> None:
    found = parse(text)
    assert (found.minutes, found.hours, found.days, found.months, found.weekdays) == fields


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "'' has 0 fields; a cron schedule has five"),
    ("* * * *", "has 4 fields"),
    ("0 * * * * *", "has 6 fields"),
    ("@daily", "has 1 fields"),
    ("60 * * * *", "the minute of a cron schedule cannot be '60': '60' is not between 0 and 59"),
    ("* 24 * * *", "the hour of a cron schedule cannot be '24'"),
    ("* * 0 * *", "the day of month of a cron schedule cannot be '0'"),
    ("* * 32 * *", "'32' is not between 1 and 31"),
    ("* * * 13 *", "'13' is not between 1 and 12 or JAN, FEB,"),
    ("* * * * 7", "the day of week of a cron schedule cannot be '7': '7' is not between 0 and 6 or SUN, MON"),
    ("* * * MON *", "'MON' is not between 1 and 12"),
    ("JAN * * * *", "'JAN' is not between 0 and 59"),
    ("*/0 * * * *", "the step of '*/0' must be above 0"),
    ("1-9/0 * * * *", "the step of '1-9/0' must be above 0"),
    ("1-9/9 * * * *", "the step of '1-9/9' must be below the end of its range"),
    ("5/2 * * * *", "'5/2' has a step, which only * and a range may have"),
    ("9-1 * * * *", "the range '9-1' ends before it begins"),
    ("* * L * *", "'L' is not between 1 and 31"),
    ("* * 15W * *", "'15W' is not between 1 and 31"),
    ("* * * * 5#2", "'5#2' is none of * n a-b */s a-b/s"),
    ("1, * * * *", "'' is none of * n a-b */s a-b/s"),
    ("-1 * * * *", "'-1' is none of"),
    ("\u0663 * * * *", "'\u0663' is none of"),
    ("? * * * *", "'?' is none of"),
    ("0 0 1 * 1", "restricts both the day of month (1) and the day of week (1)"),
    ("0 0 */2 * MON", "restricts both the day of month (*/2) and the day of week (MON)"),
    ("0 0 30 2 *", "never runs: no such month has a day 30"),
    ("0 0 31 4,6,9,11 *", "never runs"),
    ("*," * 600 + "* * * * *", "may have at most 1000 characters, this one has 1209"),
    ("1" * 500 + " * * * *", "is not between 0 and 59"),
])  # fmt: skip
def test_what_is_none(text: str, sentence: str) -> None:
    with pytest.raises(WrongSchedule) as wrong:
        parse(text)
    assert sentence in str(wrong.value)
