"""The archive over a real folder: what is in the way of a backup, and what is not."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import pytest

from scheduler.app.archive import Archive
from scheduler.changelog.backup import backup_id, list_backups
from scheduler.changelog.base import base_path
from scheduler.changelog.store import Pointer
from tests.changelog.stage import CLUSTER, contents, fill, look, told_until

MONTH_S = 30 * 24 * 3600


class Folded:
    """A store that was folded just now: `Copies`."""

    def __init__(self, data_dir: Path) -> None:
        self.found = look(data_dir)[1]
        self._file = base_path(data_dir, self.found.base.generation)

    async def fold(self) -> tuple[Pointer, Path]:
        return self.found.base, self._file

    async def snapshot(self) -> int:
        raise NotImplementedError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Folded:
    data_dir = tmp_path_factory.mktemp("data")
    fill(data_dir, 60, fold_at=60)
    return Folded(data_dir)


@pytest.fixture
def archive(folder: Path, copies: Folded) -> Archive:
    """Of a leader whose log has 60 entries; a backup is due each hour, two are kept."""
    made = Archive(folder, CLUSTER, interval_ms=3_600_000, keep=2)
    made.open(copies, copies.found.lineage)
    return made


def touched_ns(folder: Path) -> int:
    return folder.stat().st_mtime_ns


def test_it_is_staged_where_the_folder_is_full_or_read_only(
    archive: Archive, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unpacked goes to the system's temporary folder, as with `thesan recover`."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    async def main() -> None:
        await archive.back_up()
        (name,) = await archive.backups()
        touched = touched_ns(folder)
        await archive.stage(name)
        assert touched_ns(folder) == touched, "nothing was made in the folder, nor removed"
        assert contents(archive.staged()[1]) == told_until(60)

    asyncio.run(main())
    assert list(temporary.iterdir()) == []


def name_of(seconds_ago: float) -> str:
    return backup_id(int((time.time() - seconds_ago) * 1000))


async def looked(archive: Archive) -> bool:
    """Was one made?"""
    before = archive.made
    archive.look()
    assert archive._looking is not None
    await archive._looking
    return archive.made > before


@pytest.mark.parametrize(
    ("seconds_ago", "touched_ago", "is_due"),
    [
        (4_000, 4_000, True),
        (1_800, 1_800, False),
        (4_000, -MONTH_S, True),  # copied by a machine whose clock is ahead
        (1_800, 4_000, False),  # copied with the times of something else
        (-MONTH_S, -MONTH_S, False),  # made under a wrong clock: as if there were none, an hour after the start
    ],
)
def test_one_is_due_so_long_after_the_newest_one_was_made(
    archive: Archive, folder: Path, seconds_ago: float, touched_ago: float, is_due: bool
) -> None:
    path = folder / name_of(seconds_ago)
    path.touch()
    os.utime(path, (time.time() - touched_ago,) * 2)
    assert asyncio.run(looked(archive)) is is_due


def test_one_from_days_to_come_waits_for_nobody(archive: Archive, folder: Path) -> None:
    (folder / name_of(-MONTH_S)).touch()
    (folder / name_of(4_000)).touch()
    assert asyncio.run(looked(archive))
    assert not asyncio.run(looked(archive))


def test_what_a_killed_server_left_is_swept_with_the_next_one(archive: Archive, folder: Path) -> None:
    (folder / "temp_scheduler-backup-2026-11-21-10-00").write_bytes(b"half of it")
    (folder / ".staging-x1").mkdir()
    (folder / ".staging-x1" / "base-00000001").touch()
    (folder / "notes.txt").touch()
    asyncio.run(archive.back_up())
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", *list_backups(folder)]


def test_a_folder_with_the_name_of_a_backup_is_none(archive: Archive, folder: Path) -> None:
    for name in ("scheduler-backup-2020-01-01-00-00", "scheduler-backup-2020-01-02-00-00", "temp_scheduler-backup-x"):
        (folder / name).mkdir()
    older = [f"scheduler-backup-2020-01-0{day}-00-00" for day in (3, 4)]
    for name in older:
        (folder / name).touch()

    async def main() -> list[str]:
        await archive.back_up()
        return await archive.backups()

    kept, made = asyncio.run(main())
    assert (kept, archive.made, archive.failed) == (older[1], 1, 0)
    assert made > kept


def test_what_cannot_be_pruned_does_not_unmake_a_backup(
    archive: Archive, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "temp_scheduler-backup-x").mkdir()  # unlink refuses a folder, whoever asks
    asyncio.run(archive.back_up())
    assert (len(list_backups(folder)), archive.made) == (1, 1)
    assert f"what is not needed any more stays in {folder}: " in caplog.text


def test_the_one_that_was_made_is_kept_beside_those_of_a_clock_that_was_ahead(archive: Archive, folder: Path) -> None:
    ahead = [name_of(-MONTH_S), name_of(-2 * MONTH_S)]
    for name in ahead:
        (folder / name).touch()
    asyncio.run(archive.back_up())
    assert [name for name in list_backups(folder) if name not in ahead]
