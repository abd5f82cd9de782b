"""The stream over a real changelog file: memory, the tail on the disk, and what is folded away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scheduler.app.following import Following
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.contracts import Event, TooOld
from scheduler.core.ops import Op
from scheduler.core.state import State, apply
from scheduler.stream.events import events_of
from scheduler.stream.reader import Stream
from tests.changelog.stage import CLUSTER, fill, story

END = 120
EVENTS = [event for offset in range(1, END + 1) for event in events_of(story(offset))]


async def read_all(stream: Stream, cursor: int) -> list[Event]:
    found: list[Event] = []
    while (batch := await stream.read(cursor, 7, 0)).upto > cursor:
        found += batch.events
        cursor = batch.upto
    return found


async def opened(data_dir: Path, stream: Stream) -> tuple[SqliteChangelog, Following, State]:
    changelog = SqliteChangelog(data_dir, CLUSTER, fold=False)
    following = Following(stream, data_dir, changelog.lineage)
    state = State()

    def take(op: Op) -> None:
        apply(state, op)
        following.applied(op)

    loaded = changelog.load(take, following.passed)
    following.loaded(loaded.offset)
    return changelog, following, state


def test_evicted_events_are_read_from_the_disk_and_are_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        stream = Stream(max_events=20)
        changelog, following, _state = await opened(tmp_path, stream)
        for offset in range(80, END + 1):
            await changelog.append(story(offset))
            following.committed(story(offset))
        assert await read_all(stream, 0) == EVENTS
        assert stream.tail_reads > 5
        for cursor in (1, 50, 79, 80, 100, END):
            assert await read_all(stream, cursor) == [event for event in EVENTS if event.cursor > cursor]
        following.close("done")
        await changelog.close()

    fill(tmp_path, 79)
    asyncio.run(main())


def test_what_is_folded_away_is_gone_and_the_rest_is_there_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        stream = Stream(max_events=20)
        changelog, following, _state = await opened(tmp_path, stream)
        assert await read_all(stream, 60) == [event for event in EVENTS if event.cursor > 60]
        with pytest.raises(TooOld) as told:
            await stream.read(59, 10, 0)
        begin = told.value.begin
        assert await read_all(stream, begin) == [event for event in EVENTS if event.cursor > begin]
        following.close("done")
        await changelog.close()

    fill(tmp_path, END, fold_at=60)
    asyncio.run(main())
