"""When a schedule is due, held against cronsim, another library: everywhere, and in the nights when clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from random import Random

import pytest
from cronsim import CronSim

from scheduler.core.cron.schedule import MONTHS, WEEKDAYS, Schedule, WrongSchedule, parse
from scheduler.cron_times import next_run, zone

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Sydney")
NIGHTS = {
    "Europe/Berlin": ((2026, 3, 29), (2026, 10, 25)),
    "America/New_York": ((2026, 3, 8), (2026, 11, 1)),
    "Australia/Sydney": ((2026, 4, 5), (2026, 10, 4)),
}
FIELDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, MONTHS), (0, 6, WEEKDAYS))


def ms(moment: datetime) -> int:
    return round(moment.timestamp()) * 1000


def runs(schedule: Schedule, after: datetime, where: tzinfo) -> Iterator[datetime]:
    at_ms = next_run(schedule, ms(after), where)
    while at_ms is not None:
        yield datetime.fromtimestamp(at_ms // 1000, UTC)
        at_ms = next_run(schedule, at_ms, where)


def theirs(schedule: Schedule, after: datetime, where: tzinfo) -> Iterator[datetime]:
    """For cronsim a field of days is free only if it is written `*`; for Aurora also if it allows all of them."""
    words = schedule.text.split()
    words[2] = "*" if len(schedule.days) == 31 else words[2]
    words[4] = "*" if len(schedule.weekdays) == 7 else words[4]
    return (moment.astimezone(UTC) for moment in CronSim(" ".join(words), after.astimezone(where)))


def part(random: Random, first: int, last: int, names: tuple[str, ...]) -> str:
    a, b = sorted((random.randint(first, last), random.randint(first, last)))
    low, high = (names[n - first] if names and random.random() < 0.3 else str(n) for n in (a, b))
    match random.randrange(6):
        case 0:
            return "*"
        case 1:
            return f"*/{random.randint(1, last)}"
        case 2:
            return f"{low}-{high}"
        case 3 if a < b > 1:  # cronsim takes 5-5/2 for 5-59/2
            return f"{low}-{high}/{random.randint(1, b - 1)}"
    return low


def made(random: Random) -> Schedule:
    """A random schedule of Aurora's grammar."""
    while True:
        words = []
        for first, last, names in FIELDS:
            count = random.choice((1, 1, 1, 2, 3))
            words.append(
                "*" if random.random() < 0.3 else ",".join(part(random, first, last, names) for _ in range(count))
            )
        if random.random() < 0.7:
            words[random.choice((2, 4))] = "*"
        try:
            return parse(" ".join(words))
        except WrongSchedule:
            continue  # both days restricted, or a thirtieth of February


@pytest.mark.timeout(240)
@pytest.mark.slow
def test_ten_thousand_random_schedules_agree() -> None:
    random = Random(20261121)
    for _ in range(10_000):
        schedule, where = made(random), zone(random.choice((*ZONES, "GMT")))
        after = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(10 * 365 * 86_400))
        if after.astimezone(where).fold:
            continue  # cronsim forgets which of the two it is; see below for ours
        expected = list(islice(theirs(schedule, after, where), 3))
        assert list(islice(runs(schedule, after, where), 3)) == expected, (schedule.text, after, where)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("night", [0, 1])
def test_nights_when_clocks_change_agree(name: str, night: int) -> None:
    random, where = Random(night), zone(name)
    begin = datetime(*NIGHTS[name][night], tzinfo=where).astimezone(UTC) - timedelta(hours=3)
    end = begin + timedelta(hours=10)
    assert begin.astimezone(where).utcoffset() != end.astimezone(where).utcoffset()

    def until(found: Iterator[datetime]) -> list[datetime]:
        kept = []
        for moment in found:
            if moment > end:
                break
            kept.append(moment)
        return kept

    met = 0
    for _ in range(80):
        words = made(random).text.split()
        words[1] = random.choice((words[1], "1-4", "2", "1,2,3", "*", "0-23/2"))
        schedule = parse(f"{words[0]} {words[1]} * * *")
        expected = until(theirs(schedule, begin, where))
        met += len(expected)
        assert until(runs(schedule, begin, where)) == expected, schedule.text
    assert met > 300


@pytest.mark.parametrize(("text", "night", "readings"), [
    # The hour from 2 to 3 is left out.
    ("30 2 * * *", (2026, 3, 29), ["03:00+02"]),
    ("0,30 2 * * *", (2026, 3, 29), ["03:00+02"]),
    ("0 3 * * *", (2026, 3, 29), ["03:00+02"]),
    ("*/30 * * * *", (2026, 3, 29), ["01:00+01", "01:30+01", "03:00+02", "03:30+02"]),
    ("30 * * * *", (2026, 3, 29), ["01:30+01", "03:30+02"]),
    # The hour from 2 to 3 comes twice.
    ("30 2 * * *", (2026, 10, 25), ["02:30+02"]),
    ("0,30 2 * * *", (2026, 10, 25), ["02:00+02", "02:30+02"]),
    ("*/30 * * * *", (2026, 10, 25),
     ["01:00+02", "01:30+02", "02:00+02", "02:30+02", "02:00+01", "02:30+01", "03:00+01", "03:30+01"]),
    ("15 * * * *", (2026, 10, 25), ["01:15+02", "02:15+02", "02:15+01", "03:15+01"]),
])  # fmt: skip
def test_what_becomes_of_such_a_night(text: str, night: tuple[int, int, int], readings: list[str]) -> None:
    """Written out, so that it can be read: between 00:50 and 03:45 in Berlin."""
    where = zone("Europe/Berlin")
    begin = datetime(*night, 0, 50, tzinfo=where)
    found = (moment.astimezone(where) for moment in runs(parse(text), begin, where))
    seen = []
    for moment in found:
        if moment.date() != begin.date() or (moment.hour, moment.minute) > (3, 45):
            break
        seen.append(moment.strftime("%H:%M%z")[:-2])
    assert seen == readings


@pytest.mark.parametrize("name", ZONES)
def test_a_run_is_always_later_than_what_it_follows(name: str) -> None:
    """From every minute of the hour that comes twice, both times."""
    random, where = Random(7), zone(name)
    for night in NIGHTS[name]:
        begin = datetime(*night, tzinfo=where).astimezone(UTC)
        for minute in range(0, 5 * 60, 7):
            after = begin + timedelta(minutes=minute, seconds=random.randrange(60))
            schedule = made(random)
            found = next_run(schedule, ms(after), where)
            assert found is not None
            assert found > ms(after)
            assert found % 60_000 == 0


def test_a_schedule_that_ends_with_the_calendar() -> None:
    assert next_run(parse("* * * * *"), ms(datetime(9999, 12, 31, 23, 59, tzinfo=UTC)), UTC) is None
    assert next_run(parse("* * * * *"), ms(datetime(9999, 12, 31, 23, 59, tzinfo=UTC)), zone("Europe/Berlin")) is None


def test_zones() -> None:
    assert zone("GMT") is UTC
    for wrong in ("Europe/Atlantis", "", "../../etc/passwd", "a\0b"):
        with pytest.raises(ValueError, match="no time zone is known by the name"):
            zone(wrong)
