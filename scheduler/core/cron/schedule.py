"""Aurora's cron schedules: five fields as text, and as the numbers they allow. When a run is due: `policy.next_run`.

Fields: minute, hour, day of month, month, day of week (0 is Sunday). Each is a comma list of `*`, `n`, `a-b`, `*/s` and
`a-b/s`. Months and weekdays have names too. Only one of the two days may be restricted.
Source: Aurora's documentation, "Cron jobs"; `docs/compatibility.md`, "Cron".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from attrs import frozen

MAX_LENGTH: Final = 1000
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_FIELDS: Final[tuple[tuple[str, int, int, tuple[str, ...]], ...]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 6, WEEKDAYS),
)
_PART: Final = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,3}))?", re.ASCII)
_DAYS_IN_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class WrongSchedule(ValueError):
    """A text that is no schedule. The sentence names the field, what stands there and what is allowed."""


@frozen(cache_hash=True)
class Schedule:
    """The numbers each field allows, ascending; weekdays from Sunday, 0.

    `is_fixed`: neither minute nor hour begins with `*`. Such a schedule names times of the day, each of which happens
    once a day, also in the nights when clocks are changed; others go by the time that passes.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    is_fixed: bool


@lru_cache(maxsize=10_000)
def parse(text: str) -> Schedule:
    """Raises WrongSchedule, also for a schedule that would never run."""
    if len(text) > MAX_LENGTH:
        raise WrongSchedule(f"a cron schedule may have at most {MAX_LENGTH} characters, this one has {len(text)}")
    words = text.split()
    if len(words) != len(_FIELDS):
        raise WrongSchedule(
            f"{text!r} has {len(words)} fields; a cron schedule has five: minute hour day-of-month month day-of-week"
        )
    numbers = [_numbers(word, *field) for word, field in zip(words, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = numbers
    if len(days) < 31 and len(weekdays) < 7:
        raise WrongSchedule(
            f"{text!r} restricts both the day of month ({words[2]}) and the day of week ({words[4]}); "
            "one of them must be *"
        )
    if all(days[0] > _DAYS_IN_MONTH[month - 1] for month in months):
        raise WrongSchedule(f"{text!r} never runs: no such month has a day {days[0]}")
    is_fixed = not words[0].startswith("*") and not words[1].startswith("*")
    return Schedule(text, minutes, hours, days, months, weekdays, is_fixed)


def _numbers(word: str, field: str, first: int, last: int, names: tuple[str, ...]) -> tuple[int, ...]:
    """What one field allows."""
    found: set[int] = set()
    for part in word.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _wrong(word, field, f"{part!r} is none of * n a-b */s a-b/s")
        star, low, high, step = match.groups()
        every = 1 if step is None else int(step)
        if every == 0:
            raise _wrong(word, field, f"the step of {part!r} must be above 0")
        if star:
            found.update(range(first, last + 1, every))
            continue
        begin = _number(low, word, field, first, last, names)
        if high is None:
            if step is not None:
                raise _wrong(word, field, f"{part!r} has a step, which only * and a range may have")
            found.add(begin)
            continue
        end = _number(high, word, field, first, last, names)
        if begin > end:
            raise _wrong(word, field, f"the range {part!r} ends before it begins")
        if step is not None and every >= end:
            raise _wrong(word, field, f"the step of {part!r} must be below the end of its range")
        found.update(range(begin, end + 1, every))
    return tuple(sorted(found))


def _number(text: str, word: str, field: str, first: int, last: int, names: tuple[str, ...]) -> int:
    named = text.upper()
    if named in names:
        return first + names.index(named)
    number = int(text) if text.isdigit() and len(text) <= 3 else -1
    if not first <= number <= last:
        also = f" or {', '.join(names)}" if names else ""
        raise _wrong(word, field, f"{text!r} is not between {first} and {last}{also}")
    return number


def _wrong(word: str, field: str, why: str) -> WrongSchedule:
    return WrongSchedule(f"the {field} of a cron schedule cannot be {word!r}: {why}")
