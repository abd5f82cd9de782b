"""Taking part over a real ZooKeeper: who is elected, what it begins with, how the permission comes and goes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from scheduler.changelog.errors import FormatTooNew
from scheduler.changelog.zookeeper_gone import LogIsGone
from scheduler.contracts import ChangelogError, Entry, Fenced, Unavailable
from scheduler.core import ops
from scheduler.core.records import JobKey, Quota, TaskConfig, content_hash
from scheduler.core.state import State, apply
from scheduler.leadership.shared import Ensemble, Shared, _reads
from scheduler.leadership.shared_term import SharedTerm
from scheduler.testing.zookeeper import expire_session, shared_server
from scheduler.zk.ops import delete
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

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        port: int,
        level: int = ops.FORMAT_LEVEL,
        credentials: str | None = None,
    ) -> None:
        self.reading = Reading()
        ensemble = Ensemble(stage.hosts, SERVERSET, "/log", 1_000, chroot=stage.chroot, credentials=credentials)
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


@pytest.mark.parametrize(
    ("told", "level"),
    [
        (b'{"reads": 2}', 2),
        (b"{}", 1),
        (b'{"reads": Infinity}', 1),
        pytest.param(b"[" * 100_000, 1, id="deep"),
        (b"\xff", 1),
    ],
)
def test_a_candidate_that_does_not_say_reads_the_first_level(told: bytes, level: int) -> None:
    assert _reads(told) == level


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


# --- somebody meddles in ZooKeeper: leadership may end by that, a scheduler may not, or says what it cannot mend ---


async def begins_anew(part: Part, term: SharedTerm) -> None:
    """What leading does at the end of a term."""
    await term.withdraw()
    await term.leave()
    await part.shared.close()


def test_a_serverset_that_is_removed_is_made_anew_and_somebody_leads(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        one, two = Part(stage, tmp_path, 1), Part(stage, tmp_path, 2)
        term = await one.elected()
        await term.advertise()
        over = asyncio.create_task(term.over(lambda may: None))
        waiting = asyncio.create_task(two.elected())
        other = await stage.client()
        await until(lambda: two.reading.passed_offsets == [1] and two.shared.leader == Endpoint("127.0.0.1", 1))
        nodes = [f"{SERVERSET}/{name}" for name in await other.children(SERVERSET)]
        assert len(nodes) == 3
        await other.multi([delete(path) for path in (*nodes, SERVERSET)])

        await asyncio.wait([over])
        why = over.exception() or over.result()
        assert str(why) in ("its candidate was removed", f"{stage.chroot}{SERVERSET} in ZooKeeper is not there")
        await begins_anew(one, term)
        assert (await waiting).epoch == 2

    on_stage(play)


def test_a_refusal_that_nobody_thought_of_ends_the_term_and_not_the_scheduler(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        part = Part(stage, tmp_path, 1)
        term = await part.elected()
        await term.advertise()

        async def refused() -> None:
            await (await stage.client()).get("/nowhere")

        term._keeping.append(asyncio.create_task(refused()))
        with pytest.raises(Unavailable, match=f"^{stage.chroot}/nowhere in ZooKeeper is not there$"):
            await term.over(lambda may: None)
        await begins_anew(part, term)

    on_stage(play)


def test_parts_that_are_removed_with_their_folder_are_no_matter(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        part = Part(stage, tmp_path, 1)
        await (await part.elected()).leave()
        await part.shared.close()
        await (await stage.client()).delete("/log/parts")

        part = Part(stage, tmp_path, 1)
        term = await part.elected()
        await term.advertise()
        over = asyncio.create_task(term.over(lambda may: None))
        config = TaskConfig(JobKey("www", "prod", "web"), contact_email="x" * 500_000)
        await write(term, ops.SaveConfig(content_hash(config), config))  # goes in parts
        assert not over.done()
        over.cancel()

    on_stage(play)


@pytest.mark.parametrize(
    ("garbage", "says"),
    [(b"", "holds something else"), (b'{"number": Infinity}', "holds something else"), (None, "is not there")],
)
def test_an_epoch_that_is_gone_is_said_with_what_to_do(tmp_path: Path, garbage: bytes | None, says: str) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        part, other = Part(stage, tmp_path, 1), await stage.client()
        term = await part.elected()
        await (other.delete("/log/epoch") if garbage is None else other.set("/log/epoch", garbage, -1))
        with pytest.raises(Fenced):
            await write(term, ops.SaveQuota("www", Quota(1, 2, 3)))
        await begins_anew(part, term)
        part = Part(stage, tmp_path, 1)
        with pytest.raises(LogIsGone, match=f"/log/epoch in ZooKeeper {says}") as told:
            await part.elected()
        await part.shared.close()

        found = re.search("put (.*) there: the number", str(told.value))
        assert found is not None
        await (other.create if garbage is None else partial(other.set, version=-1))("/log/epoch", found[1].encode())
        assert (await Part(stage, tmp_path, 1).elected()).epoch == 2

    on_stage(play)


def test_a_log_that_is_removed_under_a_standby_is_said(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        one, two = Part(stage, tmp_path, 1), Part(stage, tmp_path, 2)
        await one.elected()
        waiting = asyncio.create_task(two.elected())
        await until(lambda: two.reading.passed_offsets == [1])
        await (await stage.client()).delete("/log/head")
        with pytest.raises(LogIsGone, match="no log at /log in ZooKeeper, but this scheduler has read entry 1"):
            await waiting

    on_stage(play)


def test_who_has_no_credentials_where_others_have_says_which_flag_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(stage: Stage) -> None:
        await base(stage)
        owner, stranger = Part(stage, tmp_path, 1, credentials="thesan:secret"), Part(stage, tmp_path, 2)
        await owner.elected()
        waiting = asyncio.create_task(stranger.elected())
        await until(lambda: "not elected, tried again" in caplog.text or waiting.done())
        assert f"{SERVERSET}/candidate_" in caplog.text
        assert "may not be changed by us: check --zk-digest-credentials" in caplog.text
        assert not waiting.done()
        waiting.cancel()

    on_stage(play)
