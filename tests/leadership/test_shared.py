"""Taking part over a real ZooKeeper: who is elected, what it begins with, how the permission comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.changelog.errors import FormatTooNew
from scheduler.contracts import ChangelogError, Entry
from scheduler.core import ops
from scheduler.core.records import Quota
from scheduler.core.state import State, apply
from scheduler.leadership.shared import Ensemble, Shared
from scheduler.leadership.shared_term import SharedTerm
from scheduler.testing.zookeeper import expire_session, shared_server
from scheduler.zk.serverset import Endpoint
from tests.zk.stage import Stage, on_stage

SERVERSET = "/aurora/scheduler"


class Reading:
    """Implements `Reader`."""

    def __init__(self) -> None:
        self.state = State()
        self.passed_offsets: list[int] = []
        self.caught_up_at = -1

    def begin(self, lineage: str) -> Callable[[ops.Op], None]:
        self.state = State()
        return lambda op: apply(self.state, op)

    def passed(self, entry: Entry) -> None:
        self.passed_offsets.append(entry.offset)

    def caught_up(self, offset: int) -> None:
        self.caught_up_at = offset


class Part:
    """One scheduler's part, to be closed at the end of the test."""

    def __init__(self, stage: Stage, folder: Path, port: int, level: int = ops.FORMAT_LEVEL) -> None:
        self.reading = Reading()
        ensemble = Ensemble(stage.hosts, SERVERSET, "/log", 1_000, chroot=stage.chroot)
        self.shared = Shared(ensemble, folder / str(port), "test", self.reading, lambda: Endpoint("127.0.0.1", port))
        self.shared.changelog.level = level
        stage.cleanup(self.shared.close)

    async def elected(self) -> SharedTerm:
        term = await asyncio.wait_for(self.shared.elected(lambda: None), 20)
        await write(term, ops.EpochBegun(term.epoch, "me"))
        return term


async def write(term: SharedTerm, op: ops.Op) -> None:
    term.offset += 1
    await term.changelog.append(Entry(term.offset, term.epoch, bytes([term.offset] * 16), 1_000, (op,)))


async def base(stage: Stage) -> None:
    """The chroot itself must be there before a client uses it."""
    await (await stage.client(chroot="")).ensure(stage.chroot)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - another task makes it so
            await asyncio.sleep(0.01)


def test_a_standby_reads_what_the_leader_writes_and_is_next(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        one, two = Part(stage, tmp_path, 1), Part(stage, tmp_path, 2)
        first = await one.elected()
        await first.advertise()
        waiting = asyncio.create_task(two.elected())
        await until(lambda: two.reading.passed_offsets == [1] and two.shared.leader == Endpoint("127.0.0.1", 1))
        assert two.shared.follower is not None and two.shared.follower.lag_entries == 0

        await first.withdraw()
        await write(first, ops.SaveQuota("www", Quota(1, 2, 3)))  # what was decided may still be committed
        await first.leave()
        second = await waiting

        assert second.epoch == first.epoch + 1 and second.lineage == first.lineage
        assert second.state.quotas["www"] == Quota(1, 2, 3)
        assert list(second.steps.took_ms) == ["claim", "read"] and second.permission.is_valid

    on_stage(play)


def test_a_term_ends_when_its_session_does_and_its_permission_with_it(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        one = Part(stage, tmp_path, 1)
        term = await one.elected()
        told: list[bool] = []
        over = asyncio.create_task(term.over(told.append))
        client = one.shared._client
        expire_session(shared_server().address, client.session_id, client.session_password)

        with pytest.raises(ChangelogError, match="the session with ZooKeeper is over"):
            await over
        assert not term.permission.is_valid
        with pytest.raises(ChangelogError, match="over"):
            await term.permission.regained()

    on_stage(play)


def test_a_term_ends_when_its_candidate_is_removed_and_may_commit_what_it_decided(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        one = Part(stage, tmp_path, 1)
        term = await one.elected()
        over = asyncio.create_task(term.over(lambda may: None))
        other = await stage.client()
        (name,) = [name for name in await other.children(SERVERSET) if name.startswith("candidate_")]
        await other.delete(f"{SERVERSET}/{name}")

        assert "candidate was removed" in await over
        await write(term, ops.SaveQuota("www", Quota(1, 2, 3)))

    on_stage(play)


def test_an_epoch_has_the_format_level_that_everybody_reads(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        first, old, last = Part(stage, tmp_path, 1), Part(stage, tmp_path, 2, level=1), Part(stage, tmp_path, 3)
        alone = await first.elected()
        assert alone.format_level == ops.FORMAT_LEVEL
        waiting = asyncio.create_task(last.elected())
        await until(lambda: last.reading.passed_offsets == [1])
        behind = asyncio.create_task(old.elected())
        await until(lambda: old.reading.passed_offsets == [1])

        await alone.leave()
        beside_an_old_one = await waiting
        assert beside_an_old_one.format_level == 1

        behind.cancel()
        await old.shared.close()
        again = Part(stage, tmp_path, 4)
        waiting = asyncio.create_task(again.elected())
        await until(lambda: len(again.reading.passed_offsets) == 2)
        await beside_an_old_one.leave()
        await first.shared.close()
        assert (await waiting).format_level == ops.FORMAT_LEVEL, "the upgrade is finished"

    on_stage(play)


def test_who_cannot_read_an_entry_stops_and_leaves_the_election(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        new, old = Part(stage, tmp_path, 1), Part(stage, tmp_path, 2, level=1)
        term = await new.elected()
        waiting = asyncio.create_task(old.elected())
        await until(lambda: old.reading.passed_offsets == [1])

        await write(term, ops.SaveQuota("www", Quota(1, 2, 3)))

        with pytest.raises(FormatTooNew, match="its format level is 2, this version reads up to 1"):
            await waiting
        await old.shared.close()
        other = await stage.client()
        candidates = [name for name in await other.children(SERVERSET) if name.startswith("candidate_")]
        assert len(candidates) == 1

    on_stage(play)
