"""The embedded changelog keeps what it acknowledged, and takes nothing it cannot vouch for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.changelog.codec import Unencodable, encode
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged, DataDirRefused, ForeignLineage, FormatTooNew
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.changelog.store import DB_FILE
from scheduler.changelog.writer import explain
from scheduler.contracts import Entry, Fenced, OutcomeUnknown, Unavailable
from scheduler.core import ops
from scheduler.core.records import TaskEvent, TaskStatus
from tests.changelog.stage import (
    CLUSTER,
    fill,
    loaded,
    look,
    program,
    story,
    tell,
    told_until,
)


def with_changelog(data_dir: Path, use: Callable[[SqliteChangelog], Awaitable[None]]) -> None:
    async def main() -> None:
        changelog = SqliteChangelog(data_dir, CLUSTER, fold=False)
        try:
            _state = loaded(changelog)  # what is in use must stay alive
            await use(changelog)
        finally:
            await changelog.close()

    asyncio.run(main())


def spoil(data_dir: Path, statement: str, *values: object) -> None:
    """Change the file behind the changelog's back."""
    with sqlite3.connect(data_dir / DB_FILE, isolation_level=None) as db:
        assert db.execute(statement, values).rowcount == 1
    db.close()


def row(data_dir: Path, offset: int) -> bytes:
    db = sqlite3.connect(data_dir / DB_FILE)
    (found,) = db.execute('SELECT entry FROM tail WHERE "offset" = ?', (offset,)).fetchone()
    db.close()
    return bytes(found)


# --- what was acknowledged is there --------------------------------------------------------------------------------


def test_an_empty_log_is_empty(tmp_path: Path) -> None:
    there, found = look(tmp_path)

    assert (found.offset, found.epoch, found.tail_entries, found.base_ops) == (0, 0, 0, 0)
    assert len(found.lineage) == 32
    assert there == told_until(0)


def test_what_was_appended_is_loaded(tmp_path: Path) -> None:
    fill(tmp_path, 60)

    there, found = look(tmp_path)

    assert there == told_until(60)
    assert (found.offset, found.epoch, found.timestamp_ms) == (60, 1, story(60).timestamp_ms)
    assert (found.tail_entries, found.tail_ops) == (60, sum(len(story(i).ops) for i in range(1, 61)))


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    first = look(tmp_path)[1]
    fill(tmp_path, 45)

    there, found = look(tmp_path)

    assert there == told_until(45)
    assert found.lineage == first.lineage


def test_a_killed_server_has_lost_nothing_it_acknowledged(tmp_path: Path) -> None:
    process = program(tmp_path, 100_000)
    assert process.stdout is not None
    acknowledged = 0
    while acknowledged < 200:
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    # Not communicate(): it does not see what readline has read ahead.
    acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    process.communicate()

    there, found = look(tmp_path)

    # The last commit may have been durable before anybody was told.
    assert acknowledged <= found.offset <= acknowledged + 1
    assert there == told_until(found.offset)


@pytest.mark.parametrize(("failpoint", "durable"), [("before-append", 4), ("after-append", 5)])
def test_killed_around_a_commit_it_is_there_wholly_or_not_at_all(tmp_path: Path, failpoint: str, durable: int) -> None:
    process = program(tmp_path, 10, failpoint=f"{failpoint}:5")

    out, _ = process.communicate()

    assert process.returncode == -signal.SIGKILL
    assert out.split() == ["1", "2", "3", "4"]
    there, found = look(tmp_path)
    assert found.offset == durable
    assert there == told_until(durable)


def test_a_cancelled_append_is_not_called_back(tmp_path: Path) -> None:
    async def use(changelog: SqliteChangelog) -> None:
        task = asyncio.ensure_future(changelog.append(story(1)))
        await asyncio.sleep(0)
        task.cancel()
        while changelog.offset == 0:  # noqa: ASYNC110 - the writer's thread is what is waited for
            await asyncio.sleep(0.001)
        await changelog.append(story(2))

    with_changelog(tmp_path, use)

    assert look(tmp_path)[0] == told_until(2)


# --- what is not taken ---------------------------------------------------------------------------------------------


def test_only_the_next_entry_is_taken(tmp_path: Path) -> None:
    async def use(changelog: SqliteChangelog) -> None:
        await tell(changelog, 3)
        for wrong in (3, 5):
            with pytest.raises(ValueError, match=f"entry {wrong} cannot follow entry 3"):
                await changelog.append(evolve(story(4), offset=wrong))
        with pytest.raises(Fenced, match="epoch 0 is over: the log is in epoch 1"):
            await changelog.append(evolve(story(4), epoch=0))
        with pytest.raises(Unencodable):
            await changelog.append(evolve(story(4), ops=(ops.RemoveTasks(("\ud800",)),)))
        await tell(changelog, 6)

    with_changelog(tmp_path, use)

    assert look(tmp_path)[0] == told_until(6)


def test_one_append_at_a_time(tmp_path: Path) -> None:
    async def use(changelog: SqliteChangelog) -> None:
        first = asyncio.ensure_future(changelog.append(story(1)))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="while another one is in flight"):
            await changelog.append(story(2))
        await first

    with_changelog(tmp_path, use)


def test_nothing_is_taken_before_loading_or_after_closing(tmp_path: Path) -> None:
    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER)
        with pytest.raises(Unavailable, match="not loaded yet"):
            await changelog.append(story(1))
        await changelog.close()
        with pytest.raises(Unavailable, match="closed"):
            await changelog.append(story(1))

    asyncio.run(main())


def test_a_configuration_the_state_has_dropped_can_still_be_written(tmp_path: Path) -> None:
    """A task comes and goes in one commit: when it is encoded, the state knows its configuration no more."""

    async def use(changelog: SqliteChangelog) -> None:
        await tell(changelog, 2)
        task = story(2).ops[1]
        gone = ops.RemoveTasks(("task-2", "again"))
        assert isinstance(task, ops.SaveTask)
        again = ops.SaveTask(evolve(task.task, task_id="again"))
        await changelog.append(evolve(story(3), ops=(again, gone)))

    with_changelog(tmp_path, use)

    assert look(tmp_path)[1].offset == 3


# --- the disk ------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_unavailable_and_space_returns(tmp_path: Path) -> None:
    async def use(changelog: SqliteChangelog) -> None:
        changelog._db.execute("PRAGMA max_page_count = 12")
        with pytest.raises(Unavailable, match="nothing was written: the disk is full"):
            await tell(changelog, 500)
        refused_at = changelog.offset
        with pytest.raises(Unavailable, match="the disk is full"):
            await changelog.append(story(refused_at + 1))
        changelog._db.execute("PRAGMA max_page_count = 100000")
        await tell(changelog, refused_at + 5)

    with_changelog(tmp_path, use)

    there, found = look(tmp_path)
    assert found.offset > 20
    assert there == told_until(found.offset)


def test_a_disk_that_refuses_writes_is_unavailable_and_recovers(tmp_path: Path) -> None:
    """The system's own refusal: the write-ahead log may not grow beyond 100,000 bytes."""
    process = program(tmp_path, 1000, "--file-limit", "100000")

    out, err = process.communicate()

    assert process.returncode == 0, err
    refused = [line for line in out.splitlines() if line.startswith("Unavailable")]
    assert len(refused) == 1
    assert "nothing was written: the disk refuses to be written" in refused[0]
    assert look(tmp_path)[0] == told_until(1000)


def test_a_read_only_disk_is_unavailable(tmp_path: Path) -> None:
    async def use(changelog: SqliteChangelog) -> None:
        changelog._db.execute("PRAGMA query_only = ON")
        with pytest.raises(Unavailable, match="the disk is read-only"):
            await changelog.append(story(1))
        changelog._db.execute("PRAGMA query_only = OFF")
        await changelog.append(story(1))

    with_changelog(tmp_path, use)


def test_after_a_failed_fsync_nothing_more_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"

    async def use(changelog: SqliteChangelog) -> None:
        await tell(changelog, 2)
        with monkeypatch.context() as patch:
            patch.setattr(changelog._writer, "_attempt", lambda job: error)
            with pytest.raises(OutcomeUnknown, match="SQLITE_IOERR_FSYNC"):
                await changelog.append(story(3))
        with pytest.raises(Unavailable, match="restart to see what is durable"):
            await changelog.append(story(3))

    with_changelog(tmp_path, use)


def test_after_a_failed_fsync_of_a_chore_nothing_more_is_taken(tmp_path: Path) -> None:
    async def use(changelog: SqliteChangelog) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"

        def chore(_: sqlite3.Connection) -> bool:
            raise error

        await tell(changelog, 2)
        changelog._writer.add_chore(chore)
        with pytest.raises(Unavailable, match="restart to see what is durable"):
            await tell(changelog, 100_000)  # the chore comes where nothing else waits

    with_changelog(tmp_path, use)

    there, found = look(tmp_path)
    assert there == told_until(found.offset)


def test_an_error_nobody_foresaw_may_have_written() -> None:
    assert isinstance(explain(sqlite3.OperationalError("what is this")), OutcomeUnknown)


# --- damage --------------------------------------------------------------------------------------------------------


def refused(data_dir: Path, kind: type[Exception], says: str) -> Damaged:
    with pytest.raises(kind, match=says) as caught:
        look(data_dir)
    assert isinstance(caught.value, Damaged)
    assert "restore a backup" in str(caught.value)
    return caught.value


def test_a_torn_row_stops_the_load_and_is_named(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    spoil(tmp_path, 'UPDATE tail SET entry = substr(entry, 1, length(entry) - 7) WHERE "offset" = 17')

    assert refused(tmp_path, Damaged, "damaged at offset 17: its body has").offset == 17
    # And it stays as it was: nothing was repaired, nothing cut off.
    assert refused(tmp_path, Damaged, "damaged at offset 17").offset == 17


def test_an_altered_row_is_named(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    data = bytearray(row(tmp_path, 12))
    data[-40] ^= 1
    spoil(tmp_path, 'UPDATE tail SET entry = ? WHERE "offset" = 12', bytes(data))

    assert refused(tmp_path, Damaged, "offset 12: its checksum does not match").offset == 12


def test_swapped_rows_are_named(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    eight, nine = row(tmp_path, 8), row(tmp_path, 9)
    spoil(tmp_path, 'UPDATE tail SET entry = ? WHERE "offset" = 8', nine)
    spoil(tmp_path, 'UPDATE tail SET entry = ? WHERE "offset" = 9', eight)

    assert refused(tmp_path, Damaged, "offset 8: it says of itself that it is number 9").offset == 8


@pytest.mark.parametrize("missing", [1, 13])
def test_a_gap_is_named(tmp_path: Path, missing: int) -> None:
    fill(tmp_path, 30)
    spoil(tmp_path, 'DELETE FROM tail WHERE "offset" = ?', missing)

    assert refused(tmp_path, Damaged, f"offset {missing}: this entry is missing").offset == missing


def test_an_entry_of_another_history_is_named(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    fill(mine, 10)
    fill(theirs, 10)
    spoil(mine, 'UPDATE tail SET entry = ? WHERE "offset" = 6', row(theirs, 6))

    assert refused(mine, ForeignLineage, "offset 6: it belongs to the history").offset == 6


def test_an_entry_of_the_same_history_that_never_was_is_named(tmp_path: Path) -> None:
    """A fork: the same lineage and offset, another past."""
    fill(tmp_path, 10)
    lineage = bytes.fromhex(look(tmp_path)[1].lineage)
    fork, _ = encode(evolve(story(6), ops=()), lineage=lineage, previous=bytes(16), configs=Configs())
    spoil(tmp_path, 'UPDATE tail SET entry = ? WHERE "offset" = 6', fork)

    assert refused(tmp_path, Damaged, "offset 6: it does not follow the one before it").offset == 6


def test_an_op_that_does_not_fit_is_damage(tmp_path: Path) -> None:
    fill(tmp_path, 4)

    async def use(changelog: SqliteChangelog) -> None:
        lost = ops.MoveTask("nobody", TaskEvent(1, TaskStatus.RUNNING), 0)
        await changelog.append(evolve(story(5), ops=(lost,)))

    with_changelog(tmp_path, use)

    assert refused(tmp_path, Damaged, "offset 5: MoveTask does not fit the state before it").offset == 5


def test_a_file_full_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / DB_FILE).write_bytes(b"nothing like a database" * 400)

    refused(tmp_path, Damaged, "not a sound SQLite file")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_log_whose_database_was_lost_does_not_begin_anew(tmp_path: Path, is_there: bool) -> None:
    """It would be an empty cluster, and its base would be swept away."""
    fill(tmp_path, 30, fold_at=20)
    (tmp_path / DB_FILE).unlink()
    if is_there:
        (tmp_path / DB_FILE).touch()

    for _ in range(2):
        refused(tmp_path, Damaged, "changelog.db is missing or empty, and base-00000001 is there")
    assert (tmp_path / "base-00000001").exists()


def test_a_start_killed_before_there_was_anything_is_begun_again(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / DB_FILE)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchone()
    assert look(tmp_path)[1].offset == 0
    (tmp_path / "base-00000001").write_bytes(b"of another log")
    with contextlib.closing(sqlite3.connect(tmp_path / DB_FILE, isolation_level=None)) as db:
        for table in ("meta", "tail"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA application_id = 0")

    refused(tmp_path, Damaged, "base-00000001 is there")


def test_a_log_that_does_not_say_whose_it_is_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    spoil(tmp_path, "DELETE FROM meta")

    refused(tmp_path, Damaged, "does not say whose it is")


def test_a_page_overwritten_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 200)
    with (tmp_path / DB_FILE).open("r+b") as file:
        file.seek(5 * 4096)
        file.write(bytes(4096))

    refused(tmp_path, Damaged, "changelog is damaged")


def test_tables_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with sqlite3.connect(tmp_path / DB_FILE) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()

    with pytest.raises(FormatTooNew, match="its tables are version 2, this version reads up to 1"):
        look(tmp_path)


# --- whose folder --------------------------------------------------------------------------------------------------


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DB_FILE) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()

    with pytest.raises(DataDirRefused, match="some other program"):
        look(tmp_path)


def test_a_changelog_of_another_cluster_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 3)

    with pytest.raises(DataDirRefused, match="of the cluster 'local', not of 'other'"):
        SqliteChangelog(tmp_path, "other")

    look(tmp_path)  # the refusal let go of the lock


def test_an_empty_log_is_left_by_a_refused_start_and_belongs_to_whoever_comes(tmp_path: Path) -> None:
    asyncio.run(SqliteChangelog(tmp_path, "local").close())
    asyncio.run(SqliteChangelog(tmp_path, "other").close())

    with contextlib.closing(sqlite3.connect(tmp_path / DB_FILE)) as db:
        assert db.execute("SELECT cluster FROM meta").fetchall() == [("other",)]


def test_a_second_server_is_told_who_has_the_folder(tmp_path: Path) -> None:
    process = program(tmp_path, 100_000)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        with pytest.raises(DataDirRefused) as caught:
            SqliteChangelog(tmp_path, CLUSTER)
    finally:
        process.kill()
        process.communicate()

    said = str(caught.value)
    assert f"is in use by process {process.pid} (" in said
    assert "-m tests.changelog.stage" in said
    look(tmp_path)  # the dead hold no lock


def test_two_in_one_process_are_two(tmp_path: Path) -> None:
    def use_twice() -> None:
        SqliteChangelog(tmp_path, CLUSTER)

    async def use(_: SqliteChangelog) -> None:
        with pytest.raises(DataDirRefused, match="in use by process"):
            use_twice()

    with_changelog(tmp_path, use)


def test_the_folder_is_nobody_elses_business(tmp_path: Path) -> None:
    made = tmp_path / "a" / "b"
    fill(made, 1)
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    fill(empty, 1)

    assert made.stat().st_mode & 0o777 == 0o700
    assert empty.stat().st_mode & 0o777 == 0o700

    made.chmod(0o750)
    with pytest.raises(DataDirRefused, match=r"mode 750.*chmod 700"):
        fill(made, 2)
    assert made.stat().st_mode & 0o777 == 0o750


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirRefused, match="is not a directory"):
        fill(tmp_path / "file", 1)


# --- how long it takes ---------------------------------------------------------------------------------------------


def test_a_hundred_thousand_small_records_are_read_back_in_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    per_entry = 100

    async def use(changelog: SqliteChangelog) -> None:
        await tell(changelog, 10)
        move = TaskEvent(1, TaskStatus.RUNNING, None, "scheduler-1.example.com")
        for offset in range(11, 1011):
            told = tuple(ops.MoveTask(f"task-{i % 9 + 2}", move, i, 0, i > 8) for i in range(per_entry))
            await changelog.append(Entry(offset, 1, bytes(16), 1, told))

    with_changelog(tmp_path, use)
    begun = time.process_time()
    found = look(tmp_path)[1]
    took = time.process_time() - begun

    with capsys.disabled():
        print(f"\n  {found.tail_ops} records loaded and applied in {took:.2f} s of CPU", end=" ")
    assert found.tail_ops > 100_000
    assert took < 10
