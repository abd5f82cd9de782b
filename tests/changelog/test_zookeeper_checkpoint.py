"""The checkpoint: a start reads what it can from the disk, and trusts it only as far as it continues into the log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.changelog import checkpoint_missing, zookeeper_catch_up, zookeeper_follower
from scheduler.changelog.checkpoint import FOLDER, SET_ASIDE, Checkpoint
from scheduler.changelog.checkpoint_missing import CheckpointIsBack
from scheduler.changelog.codec import decode
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import DataDirRefused, FormatTooNew
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.changelog.store import DB_FILE
from scheduler.changelog.zookeeper import LogIsGone, ZooKeeperChangelog
from scheduler.changelog.zookeeper_follower import Follower
from scheduler.changelog.zookeeper_layout import Head
from scheduler.changelog.zookeeper_reading import Truncated
from scheduler.contracts import ChangelogError, Unavailable
from scheduler.core import ops
from scheduler.core.records import Quota
from tests.changelog.stage import CLUSTER, fill, look, told_until
from tests.changelog.zookeeper_stage import LAYOUT, ROOT, Scheduler
from tests.zk.stage import Stage, eventually, on_stage


async def told(stage: Stage, until: int, data_dir: Path | None = None) -> Scheduler:
    leader = await Scheduler.at(stage, data_dir=data_dir)
    await leader.lead()
    await leader.tell(until)
    return leader


async def end(scheduler: Scheduler) -> None:
    await scheduler.changelog.close()


def spoil(data_dir: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(data_dir / FOLDER / DB_FILE) as db:
        db.execute(statement, values)
    db.close()


async def rebuilt(stage: Stage, data_dir: Path, expected: int) -> Scheduler:
    """A start that finds its checkpoint wanting, sets it aside and reads everything from ZooKeeper."""
    again = await Scheduler.at(stage, data_dir=data_dir)
    assert again.changelog.offset == 0
    assert (data_dir / SET_ASIDE / DB_FILE).exists()
    assert await again.follow() == expected
    assert again.is_right
    await end(again)
    third = await Scheduler.at(stage, data_dir=data_dir)
    assert third.changelog.offset == expected and third.is_right
    return third


def test_leader_and_standby_keep_one_and_start_from_it(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 50, tmp_path / "leader")
        standby = await Scheduler.at(stage, data_dir=tmp_path / "standby")
        await standby.follow()
        await end(leader)
        await end(standby)

        for name in ("leader", "standby"):
            again = await Scheduler.at(stage, data_dir=tmp_path / name)
            assert again.changelog.offset == 50  # before anything was read from ZooKeeper
            assert again.is_right
            assert await again.follow() == 0
            await end(again)

    on_stage(play)


def test_a_start_reads_only_what_came_since(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        standby = await Scheduler.at(stage, data_dir=tmp_path)
        leader = await told(stage, 30)
        await standby.follow()
        await end(standby)
        await leader.tell(45)
        for offset in range(1, 31):
            await leader.client.delete(f"{ROOT}/log/0/{offset}")

        again = await Scheduler.at(stage, data_dir=tmp_path)
        assert again.changelog.offset == 30
        assert await again.follow() == 15
        assert again.is_right
        assert await again.lead() == 2
        await again.tell(46)

    on_stage(play)


def test_it_is_folded_like_the_embedded_one(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 60, tmp_path)
        checkpoint = leader.changelog.checkpoint
        assert checkpoint is not None and checkpoint.folding is not None
        await checkpoint.folding.start()
        assert checkpoint.folding.pointer.covered == 60
        await leader.tell(70)
        await end(leader)

        again = await Scheduler.at(stage, data_dir=tmp_path)
        assert again.changelog.offset == 70
        assert again.is_right
        assert await again.lead() == 2
        await again.tell(71)

    on_stage(play)


def test_one_of_another_history_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play(stage: Stage) -> None:
        await end(await told(stage, 20, tmp_path))
        stage.chroot += "-other"
        await told(stage, 10)
        await rebuilt(stage, tmp_path, 10)
        assert "it is of the history" in caplog.text

    on_stage(play)


def test_one_that_went_another_way_is_set_aside_and_the_offset_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """ZooKeeper was set back to older data."""

    async def play(stage: Stage) -> None:
        leader = await told(stage, 20, tmp_path)
        await end(leader)
        head = (await leader.client.get(f"{ROOT}/head"))[0]
        before = await Scheduler.at(stage)
        await before.changelog.follow(before.apply, upto=12)
        for offset in range(13, 21):
            await leader.client.delete(f"{ROOT}/log/0/{offset}")
        lineage = Head.from_bytes(head).lineage
        await leader.client.set(f"{ROOT}/head", Head(13, before.changelog._here.checksum, lineage).to_bytes(), -1)

        shorter = await rebuilt(stage, tmp_path, 12)
        assert "it ends at offset 20, the log at offset 12" in caplog.text
        await end(shorter)

    on_stage(play)


@pytest.mark.parametrize("more", [0, 5])
def test_one_with_another_last_entry_is_set_aside(tmp_path: Path, more: int, caplog: pytest.LogCaptureFixture) -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 20, tmp_path)
        await end(leader)
        with sqlite3.connect(tmp_path / FOLDER / DB_FILE) as db:
            (frame,) = db.execute('SELECT entry FROM tail WHERE "offset" = 20').fetchone()
        db.close()
        spoil(tmp_path, 'UPDATE tail SET entry = ? WHERE "offset" = 20', frame[:-1] + bytes([frame[-1] ^ 1]))
        if more:
            new = await Scheduler.at(stage)
            await new.lead()
            await new.tell(20 + more)
        await rebuilt(stage, tmp_path, 20 + more)
        assert "at offset 20 the log has another entry" in caplog.text

    on_stage(play)


SPOILED = {
    "a torn row": ('UPDATE tail SET entry = substr(entry, 1, 50) WHERE "offset" = 17', "damaged at offset 17"),
    "a missing row": ('DELETE FROM tail WHERE "offset" = 9', "damaged at offset 9: this entry is missing"),
    "no owner": ("DELETE FROM meta", "does not say whose it is"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_torn_one_is_set_aside(what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    statement, says = SPOILED[what]

    async def play(stage: Stage) -> None:
        await end(await told(stage, 20, tmp_path))
        spoil(tmp_path, statement)
        await rebuilt(stage, tmp_path, 20)
        assert says in caplog.text

    on_stage(play)


def test_one_that_a_newer_version_wrote_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with it: the version that can read it goes on with it."""

    async def play(stage: Stage) -> None:
        leader = await told(stage, 20, tmp_path)
        entry = leader.decide()
        newer = evolve(entry, ops=(*entry.ops, ops.SaveQuota("www", Quota(2.0))))
        await leader.changelog.append(newer)
        await end(leader)

        with monkeypatch.context() as older:
            older.setattr("scheduler.changelog.load.decode", partial(decode, level=1))
            changelog = ZooKeeperChangelog(await stage.client(), LAYOUT, tmp_path, CLUSTER)
            await changelog.open()
            with pytest.raises(FormatTooNew, match="at offset 21: its format level is 2, this version reads up to 1"):
                Scheduler(leader.client, changelog)
            await changelog.close()
        assert not (tmp_path / SET_ASIDE).exists()
        again = await Scheduler.at(stage, data_dir=tmp_path)
        assert again.changelog.offset == 21

    on_stage(play)


def test_a_file_of_garbage_is_set_aside(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await end(await told(stage, 20, tmp_path))
        for beside in ("-wal", "-shm"):
            (tmp_path / FOLDER / (DB_FILE + beside)).unlink(missing_ok=True)
        (tmp_path / FOLDER / DB_FILE).write_bytes(b"garbage" * 1000)
        await rebuilt(stage, tmp_path, 20)

    on_stage(play)


def test_an_empty_zookeeper_is_not_taken_for_an_empty_cluster(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        await end(await told(stage, 20, tmp_path))
        stage.chroot += "-elsewhere"

        with pytest.raises(LogIsGone, match=r"no log at /thesan/east in ZooKeeper, but .* has read entry 20"):
            await Scheduler.at(stage, data_dir=tmp_path)
        client = await stage.client()
        assert await client.exists(f"{ROOT}/head") is None

    on_stage(play)


def test_an_embedded_changelog_beside_it_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 7)

    async def play(stage: Stage) -> None:
        await end(await told(stage, 20, tmp_path))

    on_stage(play)
    assert look(tmp_path)[0] == told_until(7)


def test_a_data_directory_has_one_scheduler(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 3, tmp_path)
        with pytest.raises(DataDirRefused, match="in use by process"):
            await Scheduler.at(stage, data_dir=tmp_path)
        with pytest.raises(DataDirRefused, match="in use by process"):
            SqliteChangelog(tmp_path, CLUSTER)
        await end(leader)

    on_stage(play)


def limit_pages(checkpoint: Checkpoint, most: int) -> None:
    """The file may not grow beyond so many pages: to SQLite that is a full disk."""
    assert checkpoint._db is not None
    checkpoint._db.execute(f"PRAGMA max_page_count = {most}")


async def told_beyond_a_full_disk(stage: Stage, data_dir: Path) -> tuple[Scheduler, Checkpoint]:
    leader = await told(stage, 20, data_dir)
    checkpoint = leader.changelog.checkpoint
    assert checkpoint is not None
    limit_pages(checkpoint, 5)
    await leader.tell(200)
    await eventually(lambda: checkpoint.failure is not None)
    assert checkpoint.is_behind and checkpoint.offset < 200
    return leader, checkpoint


def test_a_full_disk_makes_the_next_start_longer_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(stage: Stage) -> None:
        leader, _ = await told_beyond_a_full_disk(stage, tmp_path)
        await leader.tell(210)
        await end(leader)
        assert caplog.text.count("the checkpoint is not written") == 1

        again = await Scheduler.at(stage, data_dir=tmp_path)
        assert again.changelog.offset < 200
        assert again.is_right
        await again.follow()
        assert again.changelog.offset == 210 and again.is_right

    on_stage(play)


def test_it_catches_up_when_space_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_catch_up, "TRY_AGAIN_AFTER_S", 0.01)
    refusals = []
    catch_up = Checkpoint.catch_up

    async def counted(checkpoint: Checkpoint, frames: Sequence[tuple[int, bytes]]) -> None:
        try:
            await catch_up(checkpoint, frames)
        except ChangelogError as refused:
            refusals.append(refused)
            raise

    monkeypatch.setattr(Checkpoint, "catch_up", counted)

    async def play(stage: Stage) -> None:
        leader, checkpoint = await told_beyond_a_full_disk(stage, tmp_path)
        await eventually(lambda: len(refusals) > 1)  # it tried, and the disk still refused
        assert checkpoint.is_behind
        limit_pages(checkpoint, 100_000)
        await leader.tell(230)  # while it catches up
        await eventually(lambda: not checkpoint.is_behind)
        await leader.tell(240)
        assert checkpoint.failure is None
        assert (await checkpoint.fold())[0].covered == 240
        await leader.tell(250)
        await end(leader)

        again = await Scheduler.at(stage, data_dir=tmp_path)
        assert again.changelog.offset == 250  # before anything was read from ZooKeeper
        assert again.is_right

    on_stage(play)


def test_a_standby_that_was_behind_for_too_long_begins_with_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zookeeper_catch_up, "TRY_AGAIN_AFTER_S", 0.01)
    monkeypatch.setattr(zookeeper_follower, "LOOK_AGAIN_S", 0.01)

    async def play(stage: Stage) -> None:
        standby = await Scheduler.at(stage, data_dir=tmp_path / "standby")
        checkpoint = standby.changelog.checkpoint
        assert checkpoint is not None
        limit_pages(checkpoint, 5)
        leader = await told(stage, 200, tmp_path / "leader")
        await standby.follow()
        await eventually(lambda: checkpoint.failure is not None)
        snapshots = leader.changelog.snapshots()
        await snapshots.snapshot()
        await leader.tell(210)
        await snapshots.snapshot()
        assert snapshots.cut_entries >= 200

        with pytest.raises(Truncated):
            await Follower(standby.client, standby.changelog, standby.apply).run()
        assert standby.is_right and checkpoint.is_behind
        await end(standby)
        again = await Scheduler.at(stage, data_dir=tmp_path / "standby")
        assert again.changelog.offset == 210 and again.is_right

    on_stage(play)


def test_behind_an_entry_that_was_not_written_nothing_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        checkpoint = Checkpoint(tmp_path, CLUSTER)
        checkpoint.load(bytes(16), lambda op: None, Configs())
        for offset in (1, 1, 2, 3):  # the second is refused, and the others were handed in before that was known
            checkpoint.add([(offset, b"entry")])
        await eventually(lambda: checkpoint.is_behind)
        checkpoint.add([(4, b"entry")])
        await checkpoint.close()

    asyncio.run(main())
    with sqlite3.connect(tmp_path / FOLDER / DB_FILE) as db:
        assert db.execute('SELECT "offset" FROM tail').fetchall() == [(1,)]
    db.close()


def block(data_dir: Path) -> None:
    """SQLite cannot open a folder, and says so as it says that it cannot make a file."""
    (data_dir / FOLDER).mkdir(mode=0o700)
    (data_dir / FOLDER / DB_FILE).mkdir()


def unblock(data_dir: Path) -> None:
    (data_dir / FOLDER / DB_FILE).rmdir()


def test_a_disk_that_takes_none_is_done_without_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint_missing, "LOOK_EVERY_S", 0.0)

    async def play(stage: Stage) -> None:
        block(tmp_path)
        with pytest.raises(Unavailable, match="whether there was one cannot be seen"):
            await Scheduler.at(stage, data_dir=tmp_path)
        leader = await told(stage, 20)

        standby = await Scheduler.at(stage, data_dir=tmp_path)
        assert standby.changelog.checkpoint is None
        assert standby.changelog.missing is not None
        assert "unable to open database file" in standby.changelog.missing.why
        assert "there is no checkpoint" in caplog.text
        assert await standby.follow() == 20 and standby.is_right
        unblock(tmp_path)
        with pytest.raises(CheckpointIsBack):
            await standby.follow()
        await end(standby)

        again = await Scheduler.at(stage, data_dir=tmp_path)
        assert again.changelog.missing is None
        await again.follow()
        await leader.tell(22)
        await again.follow()
        await end(again)
        third = await Scheduler.at(stage, data_dir=tmp_path)
        assert third.changelog.offset == 22 and third.is_right

    on_stage(play)


def test_a_leader_without_one_leads_on_when_the_disk_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_missing, "LOOK_EVERY_S", 0.0)

    async def play(stage: Stage) -> None:
        await told(stage, 5)
        block(tmp_path)
        leader = await Scheduler.at(stage, data_dir=tmp_path)
        await leader.lead()
        unblock(tmp_path)
        await leader.tell(7)
        with pytest.raises(Unavailable, match="there is none"):
            await leader.changelog.snapshots().fold()

    on_stage(play)
