"""Folding the tail into a base changes nothing that can be seen, wherever it is interrupted."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.changelog import folding
from scheduler.changelog.base import CHUNK_BYTES, base_path
from scheduler.changelog.datadir import FileLock
from scheduler.changelog.errors import Damaged, ForeignLineage
from scheduler.changelog.fold import FOLD_LOCK, from_line, to_line
from scheduler.changelog.frame import OVERHEAD_BYTES, read_header
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.changelog.store import DB_FILE
from scheduler.changelog.writer import Job
from scheduler.contracts import Entry, Unavailable
from scheduler.core import ops
from scheduler.core.records import ExecutorConfig, Task, TaskConfig, TaskStatus, content_hash
from tests.changelog.stage import CLUSTER, JOB, fill, loaded, look, program, story, tell, told_until


def rows(data_dir: Path) -> int:
    db = sqlite3.connect(data_dir / DB_FILE)
    (count,) = db.execute("SELECT count(*) FROM tail").fetchone()
    db.close()
    return int(count)


def bases(data_dir: Path) -> list[str]:
    return sorted(path.name for path in data_dir.glob("base-*"))


async def settled(data_dir: Path, count: int) -> None:
    """The covered entries are deleted by and by."""
    while rows(data_dir) != count:  # noqa: ASYNC110 - the writer's thread is what is waited for
        await asyncio.sleep(0.005)


def test_a_folded_log_is_the_same_log(tmp_path: Path) -> None:
    fill(tmp_path, 60, fold_at=50)

    there, found = look(tmp_path)

    assert there == told_until(60)
    assert (found.base.generation, found.base.covered, found.tail_entries) == (1, 50, 10)
    assert bases(tmp_path) == ["base-00000001"]
    assert rows(tmp_path) == 10


def test_each_base_stands_on_the_one_before(tmp_path: Path) -> None:
    for until in (30, 60, 90, 120):
        fill(tmp_path, until + 5, fold_at=until)

    there, found = look(tmp_path)

    assert there == told_until(125)
    assert (found.base.generation, found.base.covered) == (4, 120)
    assert bases(tmp_path) == ["base-00000004"]


def test_entries_that_come_while_the_helper_works_stay_in_the_tail(tmp_path: Path) -> None:
    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        _state = loaded(changelog)
        await tell(changelog, 300)
        assert changelog.folding is not None
        task = changelog.folding.start()
        assert changelog.folding.start() is task  # one at a time
        while not task.done():
            await tell(changelog, changelog.offset + 1)
        assert changelog.folding.tail_entries == changelog.offset - changelog.folding.pointer.covered > 0
        await settled(tmp_path, changelog.folding.tail_entries)
        await changelog.close()

    asyncio.run(main())

    there, found = look(tmp_path)
    assert found.base.covered >= 300
    assert there == told_until(found.offset)


def test_it_starts_by_itself_when_the_tail_has_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "FOLD_AFTER_ENTRIES", 40)

    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER)
        _state = loaded(changelog)
        assert changelog.folding is not None
        await tell(changelog, 39)
        assert changelog.folding._task is None
        await tell(changelog, 40)
        assert changelog.folding._task is not None
        await changelog.folding._task
        assert changelog.folding.pointer.covered == 40
        await tell(changelog, 50)
        assert changelog.folding._task is None
        await changelog.close()

    asyncio.run(main())

    assert look(tmp_path)[0] == told_until(50)


def test_bytes_count_too_and_a_large_base_asks_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER)
        _state = loaded(changelog)
        await tell(changelog, 2)
        watch = changelog.folding
        assert watch is not None
        started: list[int] = []
        monkeypatch.setattr(watch, "start", lambda: started.append(watch.tail_bytes))
        watch.appended(folding.FOLD_AFTER_BYTES - watch.tail_bytes - 1)
        assert started == []
        watch.appended(1)
        assert started == [folding.FOLD_AFTER_BYTES]
        watch.pointer = evolve(watch.pointer, size_bytes=4 * folding.FOLD_AFTER_BYTES)
        watch.appended(1)
        assert len(started) == 1
        watch.appended(folding.FOLD_AFTER_BYTES)
        assert len(started) == 2
        await changelog.close()

    asyncio.run(main())


# --- killed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failpoint", ["fold-began", "fold-chunk"])
def test_a_helper_killed_anywhere_leaves_the_log_as_it_was(tmp_path: Path, failpoint: str) -> None:
    fill(tmp_path, 70, fold_at=40)

    process = program(tmp_path, 10, "--fold-at", "75", failpoint=failpoint)
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert "folded 1" in out  # still the first base
    assert "was not folded: its helper ended with -9" in err
    there, found = look(tmp_path)
    assert there == told_until(80)
    assert (found.base.generation, found.tail_entries) == (1, 40)
    assert bases(tmp_path) == ["base-00000001"]
    and_it_folds_again(tmp_path)


@pytest.mark.parametrize(
    ("failpoint", "generation"), [("fold-before-swap", 1), ("fold-after-swap", 2), ("fold-deleting", 2)]
)
def test_a_server_killed_around_the_swap_is_on_one_side_of_it(tmp_path: Path, failpoint: str, generation: int) -> None:
    fill(tmp_path, 40, fold_at=40)

    # The first deletion is the one at the start, of what an earlier server may have left.
    nth = 2 if failpoint == "fold-deleting" else 1
    process = program(tmp_path, 300, "--fold-at", "300", failpoint=f"{failpoint}:{nth}")
    process.communicate()

    assert process.returncode == -signal.SIGKILL
    left = rows(tmp_path)
    there, found = look(tmp_path)
    assert there == told_until(300)
    assert found.base.generation == generation
    assert found.tail_entries == (260 if generation == 1 else 0)
    assert left == {"fold-before-swap": 260, "fold-after-swap": 260, "fold-deleting": 160}[failpoint]
    and_it_folds_again(tmp_path)


def and_it_folds_again(tmp_path: Path) -> None:
    """What an interrupted fold left behind is cleared away by the next start and the next fold."""
    before = look(tmp_path)[1]

    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        _state = loaded(changelog)
        await settled(tmp_path, before.tail_entries)
        await tell(changelog, before.offset + 5)
        assert changelog.folding is not None
        await changelog.folding.start()
        await settled(tmp_path, 0)
        await changelog.close()

    asyncio.run(main())

    there, found = look(tmp_path)
    assert there == told_until(before.offset + 5)
    assert found.base.generation == before.base.generation + 1
    assert bases(tmp_path) == [base_path(tmp_path, found.base.generation).name]


def test_closing_ends_the_helper(tmp_path: Path) -> None:
    fill(tmp_path, 50)

    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        _state = loaded(changelog)
        assert changelog.folding is not None
        task = changelog.folding.start()
        await asyncio.sleep(0.05)
        await changelog.close()
        assert task.cancelled()

    asyncio.run(main())

    FileLock(tmp_path / FOLD_LOCK).release()  # nobody holds it
    assert look(tmp_path)[0] == told_until(50)


@pytest.mark.parametrize("happened", [True, False])
def test_a_swap_that_may_have_happened_keeps_both_bases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    """An fsync fails: what is durable shows at the next start, and until then nothing is built on it."""
    fill(tmp_path, 40, fold_at=40)
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorname = "SQLITE_IOERR_FSYNC"

    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        _state = loaded(changelog)
        await tell(changelog, 60)
        writer, watch = changelog._writer, changelog.folding
        assert watch is not None
        attempt = writer._attempt

        def fail(job: Job) -> sqlite3.Error | None:
            if job.__qualname__.startswith("_swap"):
                return (attempt(job) if happened else None) or failed
            return attempt(job)

        monkeypatch.setattr(writer, "_attempt", fail)
        await watch.start()
        assert bases(tmp_path) == ["base-00000001", "base-00000002"]
        with pytest.raises(Unavailable, match=r"SQLITE_IOERR_FSYNC.* earlier; restart to see what is durable"):
            await changelog.append(story(61))
        with pytest.raises(Unavailable, match="restart to see what is durable"):
            await changelog.fold()  # the helper would remove the other one
        await changelog.close()

    asyncio.run(main())

    there, found = look(tmp_path)
    assert there == told_until(60)
    assert found.base.generation == (2 if happened else 1)
    assert bases(tmp_path) == [base_path(tmp_path, found.base.generation).name]
    and_it_folds_again(tmp_path)


# --- a helper that cannot, a base that is not right -----------------------------------------------------------------


def warned(tmp_path: Path, caplog: pytest.LogCaptureFixture, before: Callable[[], None]) -> str:
    """What the server says when `before` was done to its folder and it folds; it must go on as if nothing was."""
    fill(tmp_path, 50)

    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        _state = loaded(changelog)
        before()
        assert changelog.folding is not None
        with caplog.at_level(logging.WARNING):
            await changelog.folding.start()
        assert changelog.folding.pointer.generation == 0
        assert bases(tmp_path) == []  # what it began is not left lying about: the disk may be full because of it
        await tell(changelog, 55)
        await changelog.close()

    asyncio.run(main())
    return caplog.text


def test_a_second_helper_gives_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held: list[FileLock] = []

    said = warned(tmp_path, caplog, lambda: held.append(FileLock(tmp_path / FOLD_LOCK)))
    held[0].release()

    assert "the changelog's tail was not folded: its helper ended with 75" in said
    assert look(tmp_path)[0] == told_until(55)


def test_damage_is_not_folded_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def spoil() -> None:
        db = sqlite3.connect(tmp_path / DB_FILE, isolation_level=None)
        db.execute('UPDATE tail SET entry = substr(entry, 2) WHERE "offset" = 20')
        db.close()

    said = warned(tmp_path, caplog, spoil)

    assert "its helper ended with 1 (the changelog is damaged at offset 20" in said
    with pytest.raises(Damaged, match="offset 20"):
        look(tmp_path)


def test_a_base_of_another_log_is_not_pointed_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server believes no report that its own tail does not confirm."""
    fill(tmp_path, 50)

    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        _state = loaded(changelog)
        watch = changelog.folding
        assert watch is not None
        real = folding._run_helper

        async def lying(data_dir: Path) -> folding.Folded | None:
            folded = await real(data_dir)
            assert folded is not None
            return evolve(folded, pointer=evolve(folded.pointer, checksum=bytes(16)))

        folding._run_helper = lying
        try:
            await watch.start()
        finally:
            folding._run_helper = real
        assert watch.pointer.generation == 0
        await changelog.close()

    asyncio.run(main())

    assert "base 1 does not belong to this log" in caplog.text
    assert look(tmp_path)[0] == told_until(50)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "base-00000001 cannot be read"),
        (lambda path: os.truncate(path, path.stat().st_size - 5), "ends in the middle of a chunk"),
        (lambda path: os.truncate(path, 50), "too few for an entry"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "longer than it should be"),
        (lambda path: flip(path, 200), "its checksum does not match"),
    ],
)
def test_a_damaged_base_stops_the_load(tmp_path: Path, spoil: Callable[[Path], object], says: str) -> None:
    fill(tmp_path, 60, fold_at=50)
    spoil(base_path(tmp_path, 1))

    with pytest.raises(Damaged, match=says) as caught:
        look(tmp_path)

    assert caught.value.offset == 50
    assert "restore a backup" in str(caught.value)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(bytes(data))


def test_a_base_of_another_history_stops_the_load(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    fill(mine, 60, fold_at=50)
    fill(theirs, 60, fold_at=50)
    base_path(mine, 1).write_bytes(base_path(theirs, 1).read_bytes())

    with pytest.raises(ForeignLineage, match="offset 50: it belongs to the history"):
        look(mine)


def test_an_older_base_of_the_same_history_stops_the_load(tmp_path: Path) -> None:
    fill(tmp_path, 30, fold_at=30)
    old = base_path(tmp_path, 1).read_bytes()
    fill(tmp_path, 60, fold_at=60)
    base_path(tmp_path, 2).write_bytes(old)

    with pytest.raises(Damaged, match="offset 60: "):
        look(tmp_path)


# --- shape ---------------------------------------------------------------------------------------------------------


def test_a_base_is_cut_into_chunks(tmp_path: Path) -> None:
    configs = [TaskConfig(JOB, priority=i, executor=ExecutorConfig("shell", "x" * 20_000)) for i in range(90)]
    saved = [ops.SaveConfig(content_hash(c), c) for c in configs]
    tasks = [ops.SaveTask(Task(f"t{i}", i, configs[i % 90], TaskStatus.PENDING)) for i in range(9_000)]
    huge = TaskConfig(JOB, executor=ExecutorConfig("shell", "x" * (CHUNK_BYTES + 1)))
    more = [ops.SaveConfig(content_hash(huge), huge), ops.SaveTask(Task("t", 0, huge, TaskStatus.PENDING))]

    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        loaded(changelog)
        await changelog.append(Entry(1, 1, bytes(16), 1, (*saved, *tasks, *more)))
        assert changelog.folding is not None
        await changelog.folding.start()
        await changelog.close()

    before = None
    asyncio.run(main())
    before = look(tmp_path)

    sizes = []
    data = base_path(tmp_path, 1).read_bytes()
    while data:
        size = read_header(data).length + OVERHEAD_BYTES
        sizes.append(size)
        data = data[size:]
    assert before[1].base_ops == 1 + 90 + 9_000 + 2
    assert len(sizes) == before[1].base.chunks > 4
    assert sorted(sizes)[-2] <= CHUNK_BYTES < max(sizes)


def test_the_helper_by_hand(tmp_path: Path) -> None:
    """It says what it wrote, and that alone moves nothing."""
    fill(tmp_path, 20)

    told = subprocess.run(
        [sys.executable, "-m", "scheduler.changelog.fold", str(tmp_path)], capture_output=True, text=True, check=True
    )

    folded = from_line(told.stdout)
    assert folded is not None
    assert (folded.pointer.covered, folded.entries) == (20, 20)
    assert from_line(to_line(folded)) == folded
    assert look(tmp_path)[1].base.generation == 0


def test_nothing_to_fold_is_no_fold(tmp_path: Path) -> None:
    async def main() -> None:
        changelog = SqliteChangelog(tmp_path, CLUSTER, fold=False)
        loaded(changelog)
        assert changelog.folding is not None
        await changelog.folding.start()
        assert changelog.folding.pointer.generation == 0
        await changelog.append(story(1))
        await changelog.close()

    asyncio.run(main())
