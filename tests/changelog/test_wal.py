"""A write-ahead log damaged in the middle is not taken for one that ends there."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scheduler.changelog.datadir import LOCK_FILE, FileLock
from scheduler.changelog.errors import Damaged, DataDirRefused
from scheduler.changelog.look import look_into_folder
from scheduler.changelog.store import DB_FILE
from scheduler.changelog.wal import find_break
from tests.changelog.stage import look, program, told_until

WAL = f"{DB_FILE}-wal"
FRAME = 4096 + 24


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server killed after 40 commits."""
    folder = tmp_path_factory.mktemp("killed")
    process = program(folder, 100, failpoint="after-append:40")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return folder


@pytest.fixture
def copy(killed: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(killed, folder)
    return folder


def frames(wal: Path) -> list[bytes]:
    data = wal.read_bytes()[32:]
    return [data[at : at + FRAME] for at in range(0, len(data), FRAME)]


def is_commit(frame: bytes) -> bool:
    return frame[4:8] != bytes(4)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_a_whole_log_is_whole(copy: Path) -> None:
    assert len(frames(copy / WAL)) > 40
    assert find_break(copy / WAL) is None

    there, found = look(copy)

    assert found.offset == 40
    assert there == told_until(40)


@pytest.mark.parametrize("cut", [1, 100, FRAME])
def test_a_torn_end_is_no_damage(copy: Path, cut: int) -> None:
    """The last transaction was never acknowledged: it was being written."""
    wal = copy / WAL
    wal.write_bytes(wal.read_bytes()[:-cut])

    assert find_break(wal) is None
    there, found = look(copy)
    assert found.offset == 39
    assert there == told_until(39)


def test_a_last_transaction_with_a_hole_is_no_damage(copy: Path) -> None:
    """Its pages reach the disk in any order: the commit mark may be there and a page before it not."""
    wal = copy / WAL
    flip(wal, len(wal.read_bytes()) - FRAME + 500)

    assert find_break(wal) is None
    assert look(copy)[1].offset == 39


def test_every_byte_in_the_middle_counts(copy: Path, killed: Path) -> None:
    """Where SQLite would have stopped reading without a word."""
    wal = copy / WAL
    all_frames = frames(wal)
    for at in (32 + 24 + 7, 32 + 3, 32 + 17, 32 + FRAME * (len(all_frames) // 2) + 2000):
        shutil.copy(killed / WAL, wal)
        flip(wal, at)
        broken = find_break(wal)
        assert broken is not None
        assert broken.frame == (at - 32) // FRAME + 1
        commits = sum(is_commit(frame) for frame in all_frames[broken.frame - 1 :])
        assert broken.lost_commits == commits > 10


@pytest.mark.parametrize("at", [0, 9, 17, 25])
def test_a_damaged_header_is_damage(copy: Path, at: int) -> None:
    flip(copy / WAL, at)

    broken = find_break(copy / WAL)

    assert broken is not None
    assert broken.lost_commits >= 40


def test_the_server_does_not_start_on_it_and_names_the_offset(copy: Path) -> None:
    wal = copy / WAL
    flip(wal, 32 + FRAME * (len(frames(wal)) // 2) + 2000)
    evidence = wal.read_bytes()
    # What SQLite alone would make of it: a shorter log, and no complaint.
    alone = copy.parent / "alone"
    shutil.copytree(copy, alone)
    db = sqlite3.connect(alone / DB_FILE)
    (last,) = db.execute('SELECT max("offset") FROM tail').fetchone()
    db.close()
    assert 5 < last < 35

    for _ in range(2):
        with pytest.raises(Damaged, match=r"changelog.db-wal is broken in its frame \d+, and \d+ commits") as caught:
            look(copy)
        assert caught.value.offset == last + 1
        assert wal.read_bytes() == evidence


def test_looking_at_it_without_a_server_says_the_same(copy: Path) -> None:
    def verify(*, durable: bool = True) -> int:
        return look_into_folder(copy, lambda _: None, durable=durable).offset

    assert verify() == 40
    wal = copy / WAL
    flip(wal, 32 + FRAME * (len(frames(wal)) // 2) + 2000)
    evidence = wal.read_bytes()
    with pytest.raises(Damaged, match=r"changelog.db-wal is broken in its frame \d+, and \d+ commits") as caught:
        verify()
    assert wal.read_bytes() == evidence
    last = verify(durable=False)  # a checkpoint may lose its newest rows, and reads them from ZooKeeper again
    assert caught.value.offset == last + 1
    lock = FileLock(copy / LOCK_FILE)
    assert verify() == last  # what a server is writing just now looks the same
    lock.release()


def test_what_no_server_would_start_on_is_not_sound(tmp_path: Path) -> None:
    def verify() -> None:
        look_into_folder(tmp_path, lambda _: None)

    with closing(sqlite3.connect(tmp_path / DB_FILE)) as db:
        with pytest.raises(DataDirRefused, match="there is no changelog in"):
            verify()
        db.execute("CREATE TABLE theirs (a)")
        with pytest.raises(DataDirRefused, match="some other program"):
            verify()
    (tmp_path / DB_FILE).write_bytes(b"nothing like a database" * 400)
    with pytest.raises(Damaged, match="SQLite cannot read it"):
        verify()


def test_what_is_left_of_an_earlier_log_does_not_count(tmp_path: Path) -> None:
    """After a checkpoint SQLite writes over the old log from its start; what stands behind is in the database."""
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL").fetchone()
    db.execute("CREATE TABLE t (a)")
    for i in range(50):
        db.execute("INSERT INTO t VALUES (?)", (i,))
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    for i in range(5):
        db.execute("INSERT INTO t VALUES (?)", (i,))

    wal = tmp_path / "x.db-wal"
    assert len(frames(wal)) > 50
    assert find_break(wal) is None
    shutil.copy(wal, tmp_path / "copy")
    db.close()
    flip(tmp_path / "copy", 32 + FRAME * 2 + 100)
    broken = find_break(tmp_path / "copy")
    assert broken is not None
    assert (broken.frame, broken.lost_commits) == (3, 3)


def test_no_log_and_an_empty_one_are_whole(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "zeros").write_bytes(bytes(32 + 3 * FRAME))

    assert [find_break(tmp_path / name) for name in ("none", "empty", "zeros")] == [None, None, None]
