"""The archive over a real folder: what is in the way of a backup, and what is not."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import pytest

from scheduler.app.archive import Archive
from scheduler.changelog.backup import backup_id
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


@pytest.fixture
def archive(folder: Path, tmp_path: Path) -> Archive:
    """Of a leader whose log has 60 entries; a backup is due each hour, two are kept."""
    fill(tmp_path / "data", 60, fold_at=60)
    copies = Folded(tmp_path / "data")
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
