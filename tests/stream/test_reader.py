"""Reading by cursor: from memory, from the log, not at all; and waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scheduler.contracts import AheadOfLog, Entry, Event, NotFollowing, TooOld
from scheduler.core import ops
from scheduler.stream.events import events_of
from scheduler.stream.reader import Stream
from scheduler.stream.ring import Ring

END = 60


def entry(offset: int) -> Entry:
    """Every third has no events; the others have one to four."""
    tasks = tuple(f"task-{offset}-{number}" for number in range(offset % 5 + 1))
    told: tuple[ops.Op, ...] = (ops.RemoveTasks(tasks),) if offset % 3 else ()
    return Entry(offset, 1, bytes(16), offset * 1000, told)


LOG = [entry(offset) for offset in range(1, END + 1)]
EVENTS = [event for one in LOG for event in events_of(one)]


class Tail:
    """The log behind the ring, from `covered` on."""

    def __init__(self, covered: int = 0, log: Sequence[Entry] = ()) -> None:
        self.covered = covered
        self.log = log or LOG
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, after: int, upto: int, events: int) -> list[Entry] | None:
        self.asked.append((after, upto))
        await asyncio.sleep(0)
        return None if after < self.covered else list(self.log[after : min(upto, after + 4)])


def stream(*, max_events: int = 1000, tail: Tail | None = None, begin: int = 0) -> Stream:
    made = Stream(max_events=max_events)
    made.begin_epoch("lineage", begin, tail)
    for one in LOG[begin:]:
        made.committed(one)
    made.open()
    return made


def run(use: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await use()

    asyncio.run(main())


async def read_all(source: Stream, cursor: int = 0, limit: int = 5) -> list[Event]:
    found: list[Event] = []
    while True:
        batch = await source.read(cursor, limit, 0)
        assert batch.after == cursor
        if batch.upto == cursor:
            assert not batch.events
            return found
        assert all(cursor < event.cursor <= batch.upto for event in batch.events)
        found += batch.events
        cursor = batch.upto


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
@pytest.mark.parametrize("max_events", [1, 10, 1000])
def test_everything_in_order_and_nothing_twice(limit: int, max_events: int) -> None:
    async def use() -> None:
        tail = Tail()
        source = stream(max_events=max_events, tail=tail)
        assert await read_all(source, limit=limit) == EVENTS
        assert bool(tail.asked) is (max_events < 1000)
        for cursor in range(END + 1):
            assert await read_all(source, cursor, limit) == [event for event in EVENTS if event.cursor > cursor]

    run(use)


def test_a_cursor_older_than_what_is_kept_says_where_to_begin() -> None:
    async def use() -> None:
        source = stream(max_events=10, tail=Tail(covered=20))
        with pytest.raises(TooOld, match="cursor 19 is older than what is kept") as told:
            await source.read(19, 100, 0)
        assert await read_all(source, told.value.begin) == [e for e in EVENTS if e.cursor > told.value.begin]
        assert await read_all(source, 20) == [event for event in EVENTS if event.cursor > 20]
        alone = stream(max_events=10)
        with pytest.raises(TooOld):
            await alone.read(0, 100, 0)

    run(use)


def test_a_cursor_of_another_history_and_a_server_that_does_not_lead() -> None:
    async def use() -> None:
        source = stream()
        with pytest.raises(AheadOfLog, match="ends at 60"):
            await source.read(61, 1, 0)
        source.close("no leader")
        with pytest.raises(NotFollowing, match="no leader"):
            await source.read(1, 1, 0)
        with pytest.raises(NotFollowing, match="starting"):
            await Stream().read(0, 1, 0)

    run(use)


def test_waiting_ends_with_an_event_not_with_an_entry_that_has_none() -> None:
    async def use() -> None:
        source = stream()
        waiting = asyncio.create_task(source.read(None, 10, 30_000))
        await asyncio.sleep(0)
        assert source.waiting == 1
        source.committed(Entry(END + 1, 1, bytes(16), 0, ()))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        source.committed(Entry(END + 2, 1, bytes(16), 0, (ops.RemoveTasks(("x",)),)))
        found = await waiting
        assert (found.after, found.upto, [event.task_id for event in found.events]) == (END, END + 2, ["x"])
        assert source.waiting == 0

    run(use)


def test_waiting_ends_with_its_time_and_says_how_far_it_saw() -> None:
    async def use() -> None:
        source = stream()
        waiting = asyncio.create_task(source.read(None, 10, 50))
        await asyncio.sleep(0)
        source.committed(Entry(END + 1, 1, bytes(16), 0, ()))
        found = await waiting
        assert (found.after, found.upto, found.events) == (END, END + 1, ())
        waiting = asyncio.create_task(source.read(None, 10, 30_000))
        await asyncio.sleep(0)
        source.close("stopping")
        with pytest.raises(NotFollowing):
            await waiting

    run(use)


def untellable(offset: int) -> Entry:
    """An entry of which no events can be made, as if by a mistake of ours."""
    return Entry(offset, 1, bytes(16), 0, (ops.MoveTask("task", cast(Any, None), 0),))


def test_an_entry_that_cannot_be_told_is_a_gap_that_readers_hear_of_and_not_the_end() -> None:
    async def use() -> None:
        bad, last = untellable(END + 1), entry(END + 2)
        source = stream(tail=Tail(log=[*LOG, bad]))
        waiting = asyncio.create_task(source.read(None, 10, 30_000))
        await asyncio.sleep(0)
        with pytest.raises(AttributeError):
            source.committed(bad)
        with pytest.raises(TooOld, match=f"then begin at {END + 1}"):
            await waiting
        source.committed(last)
        assert await read_all(source, END + 1) == list(events_of(last))
        # What came before the gap is on the disk, and the gap is told there too.
        assert (await source.read(40, 1, 0)).events[: len(events_of(LOG[40]))] == events_of(LOG[40])
        with pytest.raises(TooOld, match=f"then begin at {END + 1}"):
            await source.read(END, 10, 0)

    run(use)


def test_an_event_that_cannot_be_made_when_it_is_read_is_the_same_gap() -> None:
    async def use() -> None:
        source = stream()
        fault = cast(Any, SimpleNamespace(message="of an event without a status"))
        source.committed(Entry(END + 1, 1, bytes(16), 0, (ops.MoveTask("task", fault, 0),)))
        source.committed(entry(END + 2))
        with pytest.raises(TooOld, match=f"then begin at {END + 1}"):
            await source.read(END, 10, 0)
        assert await read_all(source, END + 1) == list(events_of(entry(END + 2)))

    run(use)


def test_a_ring_holds_its_bounds_and_takes_entries_in_order_only() -> None:
    ring = Ring(0, max_events=10, max_bytes=10**9)
    for one in LOG:
        ring.add(one)
        assert ring.events <= 10
    assert ring.read(ring.begin, 1000).events == tuple(e for e in EVENTS if e.cursor > ring.begin)
    with pytest.raises(ValueError, match="cannot follow"):
        ring.add(entry(END + 2))
    small = Ring(0, max_bytes=1000)
    for one in LOG:
        small.add(one)
        left = {event.cursor for event in small.read(small.begin, 1000).events}
        assert small.bytes <= 1000 or len(left) == 1, "the newest stays, whatever its size"


def test_a_long_ring_forgets_what_it_evicted() -> None:
    ring = Ring(0, max_events=10)
    for offset in range(1, 5001):
        ring.add(Entry(offset, 1, bytes(16), 0, (ops.RemoveTasks((str(offset),)),)))
    assert (ring.begin, ring.events, len(ring._rows) < 2500) == (4990, 10, True)
    assert [event.cursor for event in ring.read(4995, 3).events] == [4996, 4997, 4998]


def restored(offset: int) -> Entry:
    """A backup takes the place of everything, in the middle of a group of decisions."""
    tasks = ops.RemoveTasks(("before",)), ops.Restored("a backup"), ops.RemoveTasks(("behind",))
    return Entry(offset, 1, bytes(16), offset * 1000, tasks)


@pytest.mark.parametrize("evicted", [False, True])
def test_no_event_leads_over_a_restore(evicted: bool) -> None:
    """What went with the restore is told by no event, so whoever was there before reads the state anew."""

    async def use() -> None:
        log = [*LOG[:20], restored(21), *LOG[21:30]]
        source = Stream(max_events=3 if evicted else 1000)
        source.begin_epoch("lineage", 0, Tail(log=log))
        for one in log:
            source.committed(one)
        source.open()
        for cursor in (0, 20):
            with pytest.raises(TooOld, match=f"cursor {cursor} is older than the restore of a backup") as told:
                await source.read(cursor, 1, 0)
            assert told.value.begin == 21
        assert await read_all(source, 21) == [event for event in EVENTS if 21 < event.cursor <= 30]

    run(use)


def test_who_waits_is_told_of_a_restore() -> None:
    async def use() -> None:
        source = stream()
        waiting = asyncio.create_task(source.read(None, 10, 30_000))
        await asyncio.sleep(0)
        source.committed(restored(END + 1))
        with pytest.raises(TooOld, match="then begin at 61"):
            await waiting
        assert (await source.read(None, 10, 0)).upto == END + 1

    run(use)


def test_a_restore_while_the_log_is_read_back_ends_the_reading() -> None:
    class Slow(Tail):
        async def __call__(self, after: int, upto: int, events: int) -> list[Entry] | None:
            found = await super().__call__(after, upto, events)
            if after == 4:
                source.committed(restored(END + 1))
            return found

    source = stream(max_events=1, tail=Slow())

    async def use() -> None:
        with pytest.raises(TooOld, match="then begin at 61"):
            await source.read(0, 100, 0)

    run(use)
