"""Forgotten tasks leave nothing behind, whatever they did to their folders."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scheduler.engines.local.folder import EngineFolder

_CAPABILITIES = (ctypes.c_uint32 * 2)(0x20080522, 0)
"""capget(2) and capset(2) in their third version, of the calling thread."""
_WHATEVER_THE_MODE = 0b1110
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER."""


def as_anybody(work: Callable[[], None]) -> None:
    """Do it on a thread for which the modes of files count, as they do not for root."""

    def do() -> None:
        sets = (ctypes.c_uint32 * 6)()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capget(_CAPABILITIES, sets) == 0
        sets[0] &= ~_WHATEVER_THE_MODE
        assert libc.capset(_CAPABILITIES, sets) == 0
        work()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(do).result()


@pytest.fixture
def folder(tmp_path: Path) -> EngineFolder:
    made = EngineFolder(tmp_path / "engine")
    made.make()
    return made


def task(folder: EngineFolder, name: str = "t-1") -> Path:
    """As package managers leave them: folders nobody may write to, and one nobody may look into."""
    path = folder.tasks / name
    cache = path / "sandbox/go/mod"
    (cache / "x").mkdir(parents=True)
    (cache / "x/file").write_text("x")
    (path / "sandbox/hidden/y").mkdir(parents=True)
    for each, mode in ((cache / "x", 0o500), (cache, 0o500), (path / "sandbox/hidden", 0), (path, 0o500)):
        each.chmod(mode)
    return path


def test_folders_nobody_may_write_to_are_removed(folder: EngineFolder, tmp_path: Path) -> None:
    path = task(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("x")
    (path / "sandbox/link").symlink_to(elsewhere)
    elsewhere.chmod(0o500)

    as_anybody(lambda: folder.throw_away(path))
    assert folder.task_names() == []
    as_anybody(folder.empty_trash)

    assert list(folder.trash.iterdir()) == []
    assert (elsewhere / "file").read_text() == "x"
    assert elsewhere.stat().st_mode & 0o777 == 0o500


def test_what_cannot_be_removed_is_told_and_holds_up_nothing(
    folder: EngineFolder, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("t-1", "t-2"):
        folder.throw_away(task(folder, name))
    folder.trash.chmod(0o500)

    as_anybody(folder.empty_trash)

    assert [list(path.iterdir()) for path in folder.trash.iterdir()] == [[], []]
    assert "2 of the folders thrown away cannot be removed: [Errno 13] Permission denied: " in caplog.text
    folder.trash.chmod(0o700)
    as_anybody(folder.empty_trash)
    assert list(folder.trash.iterdir()) == []
