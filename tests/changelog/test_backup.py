"""Backup files: whole or not there, checked to the last byte before anything is taken from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.changelog.backup import Backup, backup_id, list_backups, prune, read_backup, write_backup
from scheduler.changelog.base import base_path
from scheduler.changelog.errors import Unreadable
from scheduler.changelog.fold import fold
from scheduler.changelog.store import Pointer, open_for_reading, read_meta
from scheduler.core.state import State, apply
from tests.changelog.stage import CLUSTER, contents, fill, told_until

NAME = "scheduler-backup-2026-11-21-10-00"
TOLD = Backup(CLUSTER, bytes(range(16)), 1_000, Pointer(1, 60, 3, 900, b"c" * 16, 2, 4_000, b"b" * 16))


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Backup]:
    """A backup of 60 entries, in a folder."""
    fill(tmp_path / "data", 60)
    folded = fold(tmp_path / "data")
    assert folded is not None
    backup = Backup(CLUSTER, bytes(16), 1_000, folded.pointer)
    db = open_for_reading(tmp_path / "data")
    backup = evolve(backup, lineage=read_meta(db).lineage)
    db.close()
    write_backup(tmp_path / "backups", NAME, backup, base_path(tmp_path / "data", folded.pointer.generation))
    return tmp_path / "backups", backup


def read(path: Path, scratch: Path) -> tuple[State, Backup]:
    state = State()
    scratch.mkdir(exist_ok=True)
    found = read_backup(path, scratch, lambda op: apply(state, op))
    assert list(scratch.iterdir()) == []
    return state, found


def test_what_is_in_it_is_the_state(made: tuple[Path, Backup], tmp_path: Path) -> None:
    folder, backup = made
    state, found = read(folder / NAME, tmp_path / "scratch")
    assert contents(state) == told_until(60)
    assert (found.cluster, found.lineage, found.base.covered) == (CLUSTER, backup.lineage, 60)
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    assert list_backups(folder) == [NAME]


def test_no_byte_can_be_altered_or_lost(made: tuple[Path, Backup], tmp_path: Path) -> None:
    folder, _ = made
    whole = (folder / NAME).read_bytes()
    begin = whole.index(b"\n") + 1
    for spoiled in (
        b"",
        whole[:begin],
        whole[:-1],
        whole[: len(whole) // 2],
        whole[: begin + 50] + bytes([whole[begin + 50] ^ 1]) + whole[begin + 51 :],
        whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        whole + b"more",
        b"some other file\n" + whole,
        b'{"what": "other"}\n',
    ):
        (folder / "spoiled").write_bytes(spoiled)
        with pytest.raises(Unreadable):
            read(folder / "spoiled", tmp_path / "scratch")
        for path in (tmp_path / "scratch").iterdir():
            path.unlink()


def test_no_bit_of_the_first_line_can_be_altered() -> None:
    line = TOLD.to_line()
    assert Backup.from_line(line, NAME) == TOLD
    assert json.loads(line)["offset"] == 60
    for at in range(len(line)):
        for spoiled in (line[:at], line[:at] + line[at + 1 :], *(_flipped(line, at, bit) for bit in range(8))):
            with pytest.raises(Unreadable):
                Backup.from_line(spoiled, NAME)


def _flipped(line: bytes, at: int, bit: int) -> bytes:
    return line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :]


def changed(line: bytes, **fields: object) -> bytes:
    told = json.loads(line) | fields
    return json.dumps({name: value for name, value in told.items() if name != "line_checksum"}).encode() + b"\n"


def test_a_later_format_is_refused_by_its_number() -> None:
    with pytest.raises(Unreadable, match="has format 3, this version reads up to 2"):
        Backup.from_line(changed(TOLD.to_line(), format=3), NAME)


def test_the_format_before_has_no_checksum_of_its_line(made: tuple[Path, Backup], tmp_path: Path) -> None:
    folder, backup = made
    line, _, rest = (folder / NAME).read_bytes().partition(b"\n")
    (folder / NAME).write_bytes(changed(line, format=1) + rest)
    state, found = read(folder / NAME, tmp_path / "scratch")
    assert contents(state) == told_until(60) and found == backup
    with pytest.raises(Unreadable, match="the checksum of its first line does not match"):
        Backup.from_line(changed(line), NAME)


@pytest.mark.parametrize("name", ["offset", "epoch", "timestamp_ms", "created_ms", "chunks", "size_bytes", "format"])
@pytest.mark.parametrize("value", [-1, 2**70, float("inf"), 1.5, "4", True, None, [1]])
def test_a_number_that_cannot_be_is_refused_by_its_name(name: str, value: object) -> None:
    """Format 1 does not see that a digit was altered; what it takes does no harm."""
    line = changed(TOLD.to_line(), format=1)
    with pytest.raises(Unreadable, match=f"no backup of Thesan's.*{name} is "):
        Backup.from_line(changed(line, **{name: value}), NAME)


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"4", b'"what"', b"[" * 60_000, b'{"what": "thesan backup", "format": 1}', b"\xff\xfe", b"{\n"],
)
def test_what_is_no_first_line_is_no_backup(line: bytes) -> None:
    with pytest.raises(Unreadable, match="is no backup of Thesan's"):
        Backup.from_line(line, NAME)


@pytest.mark.parametrize("name", ["lineage", "checksum", "base_checksum"])
@pytest.mark.parametrize("value", ["", "00", "00" * 17, "zz" * 16, 5])
def test_a_digest_that_cannot_be_is_refused(name: str, value: object) -> None:
    with pytest.raises(Unreadable, match="is no backup of Thesan's"):
        Backup.from_line(changed(TOLD.to_line(), format=1, **{name: value}), NAME)


def test_the_oldest_go(tmp_path: Path) -> None:
    names = [backup_id(minute * 60_000) for minute in range(5)]
    assert names[1] == "scheduler-backup-1970-01-01-00-01"
    for name in [*names, "notes.txt", "temp_scheduler-backup-1970-01-01-00-09"]:
        (tmp_path / name).touch()
    assert prune(tmp_path, 3) == names[:2]
    assert list_backups(tmp_path) == names[2:]
    assert (tmp_path / "notes.txt").exists()
    assert list_backups(tmp_path / "nowhere") == []


def test_what_could_not_be_written_leaves_no_name(made: tuple[Path, Backup], tmp_path: Path) -> None:
    folder, backup = made
    with pytest.raises(FileNotFoundError):
        write_backup(folder, "scheduler-backup-2026-11-21-11-00", backup, tmp_path / "no base")
    assert list_backups(folder) == [NAME]
    assert [path.name for path in folder.iterdir()] == [NAME]
