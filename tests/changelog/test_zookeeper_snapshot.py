"""Snapshots: made from the checkpoint, the log cut behind the one before, and read by whoever comes late."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.changelog.checkpoint import FOLDER
from scheduler.changelog.errors import Damaged
from scheduler.changelog.store import DB_FILE
from scheduler.changelog.zookeeper_keeper import SnapshotKeeper
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.changelog.zookeeper_reading import Truncated
from scheduler.changelog.zookeeper_snapshot import read_snapshot
from scheduler.contracts import Unavailable
from scheduler.failpoints import Failpoint, arm, disarm
from scheduler.zk.client import Client, Stat
from scheduler.zk.errors import Superseded, ZkError
from tests.changelog import zookeeper_stage
from tests.changelog.zookeeper_stage import ROOT, Scheduler
from tests.zk.stage import Stage, eventually, on_stage

LAYOUT = Layout(ROOT)


async def leading(stage: Stage, data_dir: Path | None, until: int) -> tuple[Scheduler, SnapshotKeeper]:
    leader = await Scheduler.at(stage, data_dir=data_dir)
    await leader.lead()
    await leader.tell(until)
    return leader, leader.changelog.snapshots()


async def log_of(client: Client) -> list[int]:
    folders = await client.children(LAYOUT.log)
    found = [await client.children(f"{LAYOUT.log}/{folder}") for folder in folders]
    return sorted(int(name) for names in found for name in names)


async def pointer_of(client: Client) -> dict[str, object]:
    data, _ = await client.get(LAYOUT.snapshot)
    told: dict[str, object] = json.loads(data)
    return told


def test_a_new_machine_starts_from_snapshot_and_log(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path / "leader", 60)
        assert await keeper.snapshot() == 60
        await leader.tell(75)
        for offset in range(1, 61):
            await leader.client.delete(f"{ROOT}/log/0/{offset}")

        new = await Scheduler.at(stage, data_dir=tmp_path / "new")
        assert new.changelog.offset == 60 and new.is_right
        assert await new.follow() == 15 and new.is_right
        await new.changelog.close()
        again = await Scheduler.at(stage, data_dir=tmp_path / "new")
        assert again.changelog.offset == 75 and again.is_right  # what arrived is its checkpoint now
        assert await again.lead() == 2
        await again.tell(80)
        assert again.is_right

    on_stage(play)


def test_one_without_a_disk_starts_from_it_too(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 40)
        await keeper.snapshot()
        await leader.tell(45)

        new = await Scheduler.at(stage)
        assert new.changelog.offset == 40 and new.is_right
        assert await new.follow() == 5 and new.is_right

    on_stage(play)


def test_the_log_is_cut_behind_the_snapshot_before(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 20)
        await keeper.snapshot()
        assert await log_of(leader.client) == list(range(1, 21))
        await leader.tell(50)
        await keeper.snapshot()
        assert await log_of(leader.client) == list(range(21, 51))
        assert keeper.cut_entries == 20
        assert len(await leader.client.children(LAYOUT.all_snapshots)) == 2
        await leader.tell(60)
        await keeper.snapshot()
        assert await log_of(leader.client) == list(range(51, 61))
        assert len(await leader.client.children(LAYOUT.all_snapshots)) == 2
        told = await pointer_of(leader.client)
        assert (told["generation"], told["covered"], told["cut"]) == (3, 60, 50)

    on_stage(play)


def test_whole_folders_of_the_log_go(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 2010)
        await keeper.snapshot()
        await leader.tell(2020)
        await keeper.snapshot()
        assert await leader.client.children(LAYOUT.log) == ["2"]
        assert await log_of(leader.client) == list(range(2011, 2021))

    on_stage(play)


STRANGERS = {
    "log/notes": b"",
    "log/007": b"",
    "log/0/notes": b"",
    "log/1/\u0662": b"",  # a digit, in Arabic
    "parts/notes": b'{"offset": Infinity}',
    "parts/\u00b2-x": b"[" * 100_000,
    "parts/9-x": b"[]",
    "snapshots/notes": b"",
}


def test_nodes_that_are_none_of_ours_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody looks into the log with ZooKeeper's own client, and leaves a note."""
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, folder_entries=10))

    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 25)
        await leader.client.create(LAYOUT.all_snapshots)
        for name, data in STRANGERS.items():
            await leader.client.create(f"{ROOT}/{name}", data)
        await keeper.snapshot()
        await leader.tell(35)
        await keeper.snapshot()
        assert sorted(await leader.client.children(LAYOUT.log)) == ["0", "007", "1", "2", "3", "notes"]
        assert await leader.client.children(f"{LAYOUT.log}/0") == ["notes"]
        assert sorted(await leader.client.children(f"{LAYOUT.log}/2")) == ["26", "27", "28", "29"]
        assert len(await leader.client.children(LAYOUT.all_parts)) == 3
        new = await Scheduler.at(stage)
        await new.lead()
        assert await new.changelog.sweep_parts() == 0
        assert new.changelog.offset == 35 and new.is_right

    on_stage(play)


def test_what_nobody_foresaw_is_no_reason_to_stop_leading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 20)
        await keeper.fold()
        monkeypatch.setattr(leader.client, "children", lambda path: 1 / 0)
        running = asyncio.create_task(keeper.run())
        await eventually(lambda: keeper.failure is not None)
        assert not running.done()
        assert keeper.failure == "division by zero" and "ZeroDivisionError" in caplog.text
        running.cancel()

    on_stage(play)


def test_when_nothing_was_committed_since_nothing_is_made(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 20)
        assert await keeper.snapshot() == 20
        before = await pointer_of(leader.client)
        assert await keeper.snapshot() == 20
        assert await pointer_of(leader.client) == before

    on_stage(play)


def test_a_standby_that_meets_a_cut_log_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play(stage: Stage) -> None:
        standby = await Scheduler.at(stage, data_dir=tmp_path / "standby")
        leader, keeper = await leading(stage, tmp_path / "leader", 10)
        await standby.follow()
        for until in (20, 30, 40):
            await leader.tell(until)
            await keeper.snapshot()
        with pytest.raises(Truncated, match="offset 11: this entry was cut off"):
            await standby.follow()
        await standby.changelog.close()

        again = await Scheduler.at(stage, data_dir=tmp_path / "standby")
        assert again.changelog.offset == 40 and again.is_right
        assert await again.follow() == 0
        assert "it ends at offset 10, and the log now begins later" in caplog.text

    on_stage(play)


def test_a_reader_races_the_cutting(tmp_path: Path) -> None:
    """New machines start while snapshots are made and the log is cut: each gets the whole state."""

    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path / "leader", 50)
        begun = 0
        done = asyncio.Event()

        async def begin() -> None:
            nonlocal begun
            while not done.is_set():
                begun += 1
                new = await Scheduler.at(stage, data_dir=tmp_path / f"new-{begun}")
                try:
                    await new.follow()
                except Truncated:
                    await new.changelog.close()
                    new = await Scheduler.at(stage, data_dir=tmp_path / f"new-{begun}")
                    await new.follow()
                assert new.is_right and new.changelog.offset >= 50
                await new.changelog.close()

        reader = asyncio.create_task(begin())
        for until in range(60, 260, 10):
            await leader.tell(until)
            await keeper.snapshot()
        done.set()
        await reader
        assert begun >= 3
        assert (await log_of(leader.client))[0] == 241

    on_stage(play, within_s=120)


def test_parts_of_a_large_entry_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=300))

    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 20)
        large = set(await leader.client.children(LAYOUT.all_parts))
        assert large
        await keeper.snapshot()
        await leader.tell(30)
        await keeper.snapshot()
        left = set(await leader.client.children(LAYOUT.all_parts))
        assert not large & left
        new = await Scheduler.at(stage)
        await new.follow()
        assert new.is_right

    on_stage(play)


def test_an_entry_that_is_cut_off_while_its_parts_are_read_is_truncated_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=300, part_bytes=200))

    async def play(stage: Stage) -> None:
        late = await Scheduler.at(stage)
        leader, keeper = await leading(stage, tmp_path, 20)
        await keeper.snapshot()
        await leader.tell(30)
        read = late.client.get

        async def cut_and_read(path: str) -> tuple[bytes, Stat]:
            if not keeper.cut_entries:
                await keeper.snapshot()
                assert keeper.cut_entries == 20
            return await read(path)

        def get(path: str, watch: Callable[[], None] | None = None) -> asyncio.Future[tuple[bytes, Stat]]:
            return asyncio.ensure_future(cut_and_read(path)) if "/parts/" in path else read(path, watch)

        monkeypatch.setattr(late.client, "get", get)
        with pytest.raises(Truncated, match="this entry was cut off"):
            await late.follow()

    on_stage(play)


def test_no_request_is_above_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With parts of 512 bytes a small state needs many: all of them are put together again."""
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, part_bytes=512))

    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 300)
        await keeper.snapshot()
        told = await pointer_of(leader.client)
        folder = LAYOUT.snapshot_parts(str(told["folder"]))
        parts = await leader.client.children(folder)
        assert len(parts) == told["parts"] and len(parts) > 4
        assert all([len((await leader.client.get(f"{folder}/{part}"))[0]) <= 512 for part in parts])
        new = await Scheduler.at(stage)
        assert new.changelog.offset == 300 and new.is_right

    on_stage(play)


DAMAGE = {
    "a part is missing": ("delete", "a part of the snapshot is missing"),
    "a part is garbage": (b"garbage", "the packed state cannot be unpacked"),
    "a part is empty": (b"", "the packed state has 0 bytes"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_snapshot_is_named_and_not_taken(what: str, tmp_path: Path) -> None:
    change, says = DAMAGE[what]

    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path / "leader", 30)
        await keeper.snapshot()
        folder = LAYOUT.snapshot_parts(str((await pointer_of(leader.client))["folder"]))
        if isinstance(change, bytes):
            await leader.client.set(f"{folder}/0", change, -1)
        else:
            await leader.client.delete(f"{folder}/0")
        with pytest.raises(Damaged, match=f"offset 30: {says}"):
            await Scheduler.at(stage, data_dir=tmp_path / "new")

    on_stage(play)


def test_an_altered_pointer_is_damage(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 30)
        await keeper.snapshot()
        told = await pointer_of(leader.client)
        for change in ({"base_checksum": "00" * 16}, {"lineage": "00" * 16}, {"covered": 31}, {"size_bytes": 3}):
            await leader.client.set(LAYOUT.snapshot, json.dumps(told | change).encode(), -1)
            with pytest.raises(Damaged):
                await Scheduler.at(stage)
        await leader.client.set(LAYOUT.snapshot, b"{}", -1)
        with pytest.raises(Damaged, match="pointer to the snapshot in ZooKeeper cannot be read"):
            await Scheduler.at(stage)

    on_stage(play)


def test_a_leader_that_is_none_any_more_publishes_and_cuts_nothing(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        old, keeper = await leading(stage, tmp_path / "old", 20)
        await keeper.snapshot()
        await old.tell(30)
        new = await Scheduler.at(stage, data_dir=tmp_path / "new")
        await new.lead()
        before = await pointer_of(new.client), await log_of(new.client)
        with pytest.raises(Unavailable, match="epoch 1 is over"):
            await keeper.snapshot()
        with pytest.raises(Superseded):
            await asyncio.wait_for(keeper.run(), 10)
        assert (await pointer_of(new.client), await log_of(new.client)) == before
        new_keeper = new.changelog.snapshots()
        await new_keeper.snapshot()
        found = await read_snapshot(new.client, LAYOUT)
        assert found is not None
        assert set(await new.client.children(LAYOUT.all_snapshots)) == {found[0].folder, found[0].previous}

    on_stage(play)


@pytest.mark.parametrize(
    "name", ["snapshot-part", "before-snapshot-pointer", "after-snapshot-pointer", "before-truncate", "truncating"]
)
def test_what_a_leader_leaves_half_done_the_next_one_finishes(name: str, tmp_path: Path) -> None:
    def fail() -> None:
        raise ZkError("the leader died here")

    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path / "leader", 250)
        await keeper.snapshot()
        await leader.tell(500)
        arm(Failpoint(name, fail))
        try:
            with pytest.raises(Unavailable, match="died here"):
                await keeper.snapshot()
        finally:
            disarm()
        reader = await Scheduler.at(stage, data_dir=tmp_path / "reader")
        await reader.follow()
        assert reader.changelog.offset == 500 and reader.is_right

        new = await Scheduler.at(stage, data_dir=tmp_path / "new")
        await new.lead()
        await new.tell(501)
        new_keeper = new.changelog.snapshots()
        await new_keeper.snapshot()
        told = await pointer_of(new.client)
        assert told["covered"] == 501
        assert set(await new.client.children(LAYOUT.all_snapshots)) == {told["folder"], told["previous"]}
        assert (await log_of(new.client))[0] == int(str(told["cut"])) + 1

    on_stage(play)


def test_while_leading_each_fold_becomes_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.changelog.folding.FOLD_AFTER_ENTRIES", 40)

    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path, 1)
        task = asyncio.create_task(keeper.run())
        stage.cleanup(lambda: _ended(task))
        await leader.tell(60)
        await eventually(lambda: keeper.last is not None, 20)
        assert keeper.last is not None and keeper.last.base.covered >= 40
        await leader.tell(120)
        first = keeper.last.base.generation
        await eventually(lambda: keeper.last is not None and keeper.last.base.generation > first, 20)
        await eventually(lambda: keeper.cut_entries >= 40, 20)
        assert keeper.failure is None

    on_stage(play, within_s=60)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_without_a_checkpoint_none_is_made_and_it_is_said(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        _, keeper = await leading(stage, None, 5)
        with pytest.raises(Unavailable, match="made from the checkpoint, and there is none"):
            await keeper.snapshot()
        leader, keeper = await leading(stage, tmp_path, 20)
        checkpoint = leader.changelog.checkpoint
        assert checkpoint is not None and checkpoint._db is not None
        checkpoint._db.execute("PRAGMA max_page_count = 5")
        await leader.tell(300)
        await eventually(lambda: checkpoint.is_behind and checkpoint.failure)
        with pytest.raises(Unavailable, match="the checkpoint is behind: nothing was written: the disk is full"):
            await keeper.snapshot()

    on_stage(play)


def test_a_crash_while_it_arrives_leaves_nothing_that_counts(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader, keeper = await leading(stage, tmp_path / "leader", 30)
        await keeper.snapshot()
        folder = tmp_path / "new" / FOLDER
        folder.mkdir(parents=True, mode=0o700)
        folder.parent.chmod(0o700)
        (folder / "base-00000001").write_bytes(b"half of it")  # no changelog.db points to it
        new = await Scheduler.at(stage, data_dir=tmp_path / "new")
        assert new.changelog.offset == 30 and new.is_right
        await new.changelog.close()
        with sqlite3.connect(folder / DB_FILE) as db:
            assert db.execute("SELECT generation, covered FROM meta").fetchone() == (1, 30)
        db.close()
        await leader.tell(31)

    on_stage(play)
