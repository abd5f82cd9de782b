"""The archive over a real folder: what is in the way of a backup, and what is not."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from scheduler.app.archive import Archive
from scheduler.changelog.base import base_path
from scheduler.changelog.store import Pointer
from tests.changelog.stage import CLUSTER, contents, fill, look, told_until


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
