"""When a cron schedule is due: APScheduler's CronTrigger, and what becomes of the nights when clocks are changed.

The core gets `next_run` as an argument (`policy.next_run`), because a time zone is a file that is read and because
APScheduler must not be known to what decides. The function is pure all the same: same arguments, same answer.

The trigger gets named fields with the very numbers that are allowed, never a crontab's text: its own dialect differs
from Aurora's (0 is Monday there), and it computes in a time without zones. What an hour that is left out or comes twice
means is decided here, as Debian's cron does: a time of the day happens once a day (one that is left out happens when
the clock has been put forward, one that comes twice happens the first time), and a schedule whose minute or hour
begins with `*` goes by the time that passes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.cron import CronTrigger

from scheduler.core.cron.schedule import Schedule

_MINUTE: Final = timedelta(minutes=1)
_NEAR: Final = timedelta(hours=3)
"""Longer than any clock is put back at once."""
_ALWAYS_KNOWN: Final = ("GMT", "UTC")
"""These need no database of time zones."""


def zone(name: str) -> tzinfo:
    """A time zone by its name in the tz database. Raises ValueError with a sentence."""
    if name in _ALWAYS_KNOWN:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is known by the name {name!r}") from None


def next_run(schedule: Schedule, after_ms: int, where: tzinfo) -> int | None:
    """The first run after `after_ms`, in milliseconds since 1970 UTC; None: there is none any more."""
    after = datetime.fromtimestamp(after_ms // 1000, UTC)
    try:
        found = _next_fixed(schedule, after, where) if schedule.is_fixed else _next_passing(schedule, after, where)
    except OverflowError:  # the calendar ends with the year 9999
        return None
    return None if found is None else round(found.timestamp()) * 1000


def _next_fixed(schedule: Schedule, after: datetime, where: tzinfo) -> datetime | None:
    reading = _reading(after, where)
    while (wanted := _matching(schedule, reading)) is not None:
        instant = wanted.replace(tzinfo=where, fold=0).astimezone(UTC)
        if _reading(instant, where) != wanted:  # left out: when the clock has been put forward
            instant = _end_of_gap(wanted, where)
        if instant > after:
            return instant
        reading = wanted
    return None


def _next_passing(schedule: Schedule, after: datetime, where: tzinfo) -> datetime | None:
    if after.astimezone(where).utcoffset() != (after + _NEAR).astimezone(where).utcoffset():
        instant = after.replace(second=0)
        for _ in range(_NEAR // _MINUTE):
            instant += _MINUTE
            if _matches(schedule, _reading(instant, where)):
                return instant
        after = instant
    # From here on no reading of the clock that lies behind comes again, so the earliest one comes first.
    reading = _reading(after, where)
    while (wanted := _matching(schedule, reading)) is not None:
        for fold in (0, 1):  # a reading that comes twice may have come once already
            instant = wanted.replace(tzinfo=where, fold=fold).astimezone(UTC)
            if instant > after and _reading(instant, where) == wanted:
                return instant
        reading = wanted
    return None


def _reading(instant: datetime, where: tzinfo) -> datetime:
    """What the clock shows there, without a zone."""
    return instant.astimezone(where).replace(tzinfo=None, fold=0)


def _end_of_gap(wanted: datetime, where: tzinfo) -> datetime:
    """The first instant after the readings that were left out around `wanted`."""
    while True:
        wanted += _MINUTE
        instant = wanted.replace(tzinfo=where, fold=0).astimezone(UTC)
        if _reading(instant, where) == wanted:
            return instant


def _matches(schedule: Schedule, reading: datetime) -> bool:
    return (
        reading.minute in schedule.minutes
        and reading.hour in schedule.hours
        and reading.day in schedule.days
        and reading.month in schedule.months
        and reading.isoweekday() % 7 in schedule.weekdays
    )


def _matching(schedule: Schedule, reading: datetime) -> datetime | None:
    """The next reading of a clock after this one that the schedule allows."""
    found: datetime | None = _trigger(schedule).get_next_fire_time(
        None, reading.replace(tzinfo=UTC) + timedelta(seconds=1)
    )
    return None if found is None else found.replace(tzinfo=None)


@lru_cache(maxsize=10_000)
def _trigger(schedule: Schedule) -> CronTrigger:
    def field(numbers: tuple[int, ...]) -> str:
        return ",".join(map(str, numbers))

    return CronTrigger(
        month=field(schedule.months),
        day=field(schedule.days),
        day_of_week=field(tuple((day - 1) % 7 for day in schedule.weekdays)),  # its Monday is 0
        hour=field(schedule.hours),
        minute=field(schedule.minutes),
        second="0",
        timezone=UTC,
    )
