"""A backup as the beginning of a log, in a folder or in ZooKeeper, and a log looked at from outside."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.app.following import Following
from scheduler.changelog.backup import Backup, write_backup
from scheduler.changelog.base import base_path
from scheduler.changelog.datadir import LOCK_FILE
from scheduler.changelog.errors import DataDirRefused
from scheduler.changelog.look import look_into_zookeeper
from scheduler.changelog.restore import (
    EPOCH_GAP,
    OFFSET_GAP,
    Restored,
    read_for_restore,
    restore_into_folder,
    restore_into_zookeeper,
)
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.changelog.store import DB_FILE
from scheduler.contracts import Entry, TooOld, Unavailable
from scheduler.core import ops
from scheduler.core.records import Quota
from scheduler.stream.reader import Stream
from tests.changelog.stage import CLUSTER, contents, fill, look, told_until
from tests.changelog.zookeeper_stage import ROOT, Scheduler
from tests.zk.stage import Stage, on_stage

NAME = "scheduler-backup-2026-11-21-10-00"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Of an embedded changelog, up to entry 60."""
    fill(tmp_path / "old", 60, fold_at=60)
    found = look(tmp_path / "old")[1]
    told = Backup(CLUSTER, bytes.fromhex(found.lineage), 1_000, found.base)
    write_backup(tmp_path, NAME, told, base_path(tmp_path / "old", 1))
    return tmp_path / NAME


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond `size` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refused(folder: Path, restored: Restored, most_bytes: int) -> str:
    """What the recovery says on such a disk; empty: it went well."""
    with no_file_beyond(most_bytes):
        try:
            restore_into_folder(folder, restored)
        except Unavailable as error:
            return str(error)
    return ""


# --- in a folder -------------------------------------------------------------------------------------------------


def test_wherever_the_disk_refuses_nothing_was_recovered(backup: Path, tmp_path: Path) -> None:
    """A lineage without its base would be an empty cluster that the engine takes for its own: it ends all tasks."""
    restored = read_for_restore(backup, keep_lineage=True)
    refusals = 0
    for size in range(0, 100_000, 2_000):
        folder = tmp_path / f"disk-{size}"
        said = refused(folder, restored, size)
        if not said:
            break
        refusals += 1
        assert said.startswith(f"nothing was recovered into {folder}: ")
        assert [path.name for path in folder.iterdir()] == [LOCK_FILE]
    there, found = look(folder)
    assert there == contents(restored.state)
    assert (found.offset, found.lineage) == (restored.offset, restored.lineage.hex())
    assert refusals > 5
    restore_into_folder(tmp_path / "disk-0", restored)  # once there is room
    assert look(tmp_path / "disk-0")[0] == contents(restored.state)


def test_no_offset_is_ever_given_twice(backup: Path) -> None:
    """A cursor of a follower that was told of entries behind the backup is older than all that comes now."""
    first = read_for_restore(backup, keep_lineage=True)
    assert first.offset > first.backup.base.covered + 1_000_000
    while (second := read_for_restore(backup, keep_lineage=True)).offset == first.offset:
        pass  # both are of the same millisecond
    assert second.offset > first.offset
    late = evolve(first.backup, base=evolve(first.backup.base, covered=2**52))
    assert Restored(late, first.state, keep_lineage=True).offset == 2**52 + OFFSET_GAP


def test_a_follower_from_before_is_told_to_begin_anew(backup: Path, tmp_path: Path) -> None:
    restored = read_for_restore(backup, keep_lineage=True)
    restore_into_folder(tmp_path / "new", restored)

    async def read(cursor: int) -> None:
        stream = Stream()
        changelog = SqliteChangelog(tmp_path / "new", CLUSTER, fold=False)
        following = Following(stream, tmp_path / "new", changelog.lineage)
        try:
            following.loaded(changelog.load(following.applied).offset)
            await stream.read(cursor, 10, 0)
        finally:
            following.close("done")
            await changelog.close()

    for cursor in (0, 59, 60, 100_000):
        with pytest.raises(TooOld, match=f"then begin at {restored.offset}"):
            asyncio.run(read(cursor))
    asyncio.run(read(restored.offset))


@pytest.mark.parametrize("name", ["base-00000001", "base-00000007", "changelog.db-wal"])
def test_what_is_left_of_another_log_is_not_written_over(name: str, backup: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir(mode=0o700)
    (folder / name).write_bytes(b"all there is")
    with pytest.raises(DataDirRefused, match=f"has {name} of a changelog: recover into an empty folder"):
        restore_into_folder(folder, read_for_restore(backup, keep_lineage=True))
    assert (folder / name).read_bytes() == b"all there is"
    assert not (folder / DB_FILE).exists()


# --- in ZooKeeper ------------------------------------------------------------------------------------------------


async def backed_up(stage: Stage, folder: Path, until: int) -> Path:
    leader = await Scheduler.at(stage, data_dir=folder / "leader")
    await leader.lead()
    await leader.tell(until)
    base, file = await leader.changelog.snapshots().fold()
    backup = Backup(CLUSTER, bytes.fromhex(leader.changelog.lineage), 1_000, base)
    write_backup(folder, NAME, backup, file)
    return folder / NAME


async def tell_more(leader: Scheduler, entries: int) -> None:
    """Whatever the offset is, which the story goes by."""
    for _ in range(entries):
        offset, op = leader.changelog.offset + 1, ops.SaveQuota("www", Quota(1.0, 2, 3))
        leader.apply(op)
        await leader.changelog.append(
            Entry(offset, leader.changelog.held.number, offset.to_bytes(16, "big"), 1_732_200_000_000, (op,))
        )


@pytest.mark.parametrize("begin", [OFFSET_GAP + 60, OFFSET_GAP + 999])
def test_a_log_begins_with_a_backup(begin: int, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        path = await backed_up(stage, tmp_path, 60)
        stage.chroot += "-new"
        client = await stage.client()
        restored = read_for_restore(path, keep_lineage=False)
        restored.offset = begin
        await restore_into_zookeeper(client, ROOT, restored)
        with pytest.raises(DataDirRefused, match="there is a log at /thesan/east in ZooKeeper already"):
            await restore_into_zookeeper(client, ROOT, restored)

        new = await Scheduler.at(stage, data_dir=tmp_path / "new")
        assert (new.changelog.offset, new.changelog.lineage) == (begin, restored.lineage.hex())
        assert contents(new.state) == contents(restored.state)
        assert await new.lead() == 1 + EPOCH_GAP + 1
        await tell_more(new, 5)
        assert await new.changelog.snapshots().snapshot() == begin + 5
        # The machine that had the old history sets its checkpoint aside.
        old = await Scheduler.at(stage, data_dir=tmp_path / "old")
        assert old.changelog.offset == begin + 5

    on_stage(play)


def test_a_log_is_looked_at_and_not_begun(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        seen: list[Entry] = []
        with pytest.raises(DataDirRefused, match="there is no log at"):
            await look_into_zookeeper(client, ROOT, seen.append)
        leader = await Scheduler.at(stage, data_dir=tmp_path)
        await leader.lead()
        await leader.tell(20)
        await leader.changelog.snapshots().snapshot()
        await leader.tell(30)
        found = await look_into_zookeeper(client, ROOT, seen.append)
        assert (found.covered, found.offset) == (20, 30)
        assert [entry.offset for entry in seen] == list(range(21, 31))
        assert contents(found.state) == told_until(30)

    on_stage(play)
