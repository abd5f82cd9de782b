"""The lock of the data directory, and who only looks at it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from scheduler.changelog import datadir
from scheduler.changelog.datadir import LOCK_FILE, FileLock, lock
from scheduler.changelog.errors import DataDirRefused


def test_who_only_looks_whether_it_is_held_refuses_nobody_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(tmp_path).release()
    looking = os.open(tmp_path / LOCK_FILE, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(datadir.time, "sleep", lambda _: os.close(looking))
    held = lock(tmp_path)
    assert FileLock.is_held(tmp_path / LOCK_FILE)
    monkeypatch.setattr(datadir.time, "sleep", lambda _: None)
    with pytest.raises(DataDirRefused, match=f"in use by process {os.getpid()} "):
        lock(tmp_path)
    held.release()
    assert not FileLock.is_held(tmp_path / LOCK_FILE)
