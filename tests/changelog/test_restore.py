"""A backup as the beginning of a log in ZooKeeper, and a log there looked at from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.changelog.backup import Backup, write_backup
from scheduler.changelog.errors import DataDirRefused
from scheduler.changelog.look import look_into_zookeeper
from scheduler.changelog.restore import EPOCH_GAP, read_for_restore, restore_into_zookeeper
from scheduler.contracts import Entry
from tests.changelog.stage import CLUSTER, contents, told_until
from tests.changelog.zookeeper_stage import ROOT, Scheduler
from tests.zk.stage import Stage, on_stage

NAME = "scheduler-backup-2026-11-21-10-00"


async def backed_up(stage: Stage, folder: Path, until: int) -> Path:
    leader = await Scheduler.at(stage, data_dir=folder / "leader")
    await leader.lead()
    await leader.tell(until)
    base, file = await leader.changelog.snapshots().fold()
    backup = Backup(CLUSTER, bytes.fromhex(leader.changelog.lineage), 1_000, base)
    write_backup(folder, NAME, backup, file)
    return folder / NAME


@pytest.mark.parametrize("until", [60, 999])
def test_a_log_begins_with_a_backup(until: int, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        path = await backed_up(stage, tmp_path, until)
        stage.chroot += "-new"
        client = await stage.client()
        restored = read_for_restore(path, keep_lineage=False)
        await restore_into_zookeeper(client, ROOT, restored)
        with pytest.raises(DataDirRefused, match="there is a log at /thesan/east in ZooKeeper already"):
            await restore_into_zookeeper(client, ROOT, restored)

        new = await Scheduler.at(stage, data_dir=tmp_path / "new")
        assert (new.changelog.offset, new.changelog.lineage) == (until, restored.lineage.hex())
        assert contents(new.state) == contents(restored.state)
        assert await new.lead() == 1 + EPOCH_GAP + 1
        await new.tell(until + 5)
        assert await new.changelog.snapshots().snapshot() == until + 5
        # The machine that had the old history sets its checkpoint aside.
        old = await Scheduler.at(stage, data_dir=tmp_path / "old")
        assert old.changelog.offset == until + 5

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
