"""Backup, disaster, recovery into an empty store, on the real programs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.testing.cluster import DidNotStart, Scheduler
from tests.failover.story import OK, Story

pytestmark = pytest.mark.slow


def thesan(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scheduler", *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


def lose_the_store(scheduler: Scheduler) -> Path:
    """All but the engine's folder and the backups; returns the newest backup."""
    for path in scheduler.data_dir.iterdir():
        if path.name not in ("engine", "backups"):
            path.unlink()
    return max((scheduler.data_dir / "backups").iterdir())


@pytest.fixture
def lost(scheduler: Scheduler, story: Story) -> Path:
    """A job in the backup, one that came later, both running; then the scheduler and its store are gone."""
    scheduler.start()
    story.create("web", 2, token="c-web")
    story.until_running("web", 2)
    assert scheduler.ask("performBackup").responseCode == OK
    story.create("late", 1, token="c-late")
    story.until_running("late", 1)
    scheduler.kill()
    return lose_the_store(scheduler)


def test_the_engines_tasks_are_taken_up_again_when_meant(scheduler: Scheduler, story: Story, lost: Path) -> None:
    before = story.all_starts()
    recovered = thesan("recover", lost, "--data-dir", scheduler.data_dir, "--keep-lineage")
    assert recovered.returncode == 0, recovered.stderr
    assert "2 tasks and 0 updates of cluster local" in recovered.stdout
    scheduler.start()
    world = story.until(lambda world: len(story.living()) == 2)
    assert {task.job for task in world.tasks} == {"www/prod/web"}
    assert all(task.is_wanted for task in world.tasks)
    assert story.all_starts() == before, "the tasks that were known were not touched"
    assert scheduler.ask("getServerState").epoch == 1_000_002


def test_without_that_nothing_is_ended(scheduler: Scheduler, story: Story, lost: Path) -> None:
    before = story.living()
    assert thesan("recover", lost, "--data-dir", scheduler.data_dir).returncode == 0
    with pytest.raises(DidNotStart, match="holds 3 living tasks"):
        scheduler.start()
    assert story.living() == before
    # The old tasks are left to themselves, and the new history begins with an engine's folder of its own.
    shutil.move(scheduler.data_dir / "engine", scheduler.folder / "old-engine")
    scheduler.start()
    story.until(lambda world: sum(task.status.name == "RUNNING" for task in world.tasks) == 2)


def test_a_store_that_is_there_is_not_written_over(scheduler: Scheduler, story: Story, lost: Path) -> None:
    assert thesan("recover", lost, "--data-dir", scheduler.data_dir).returncode == 0
    again = thesan("recover", lost, "--data-dir", scheduler.data_dir)
    assert (again.returncode, "has a changelog already: recover into an empty folder" in again.stderr) == (1, True)
    lost.write_bytes(lost.read_bytes()[:-5])
    damaged = thesan("recover", lost, "--data-dir", scheduler.folder / "other")
    assert damaged.returncode == 1 and "Error: " in damaged.stderr
    assert not (scheduler.folder / "other" / "changelog.db").exists()


def test_a_log_is_looked_at_without_a_server(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 1, token="c-web")
    story.until_running("web", 1)
    scheduler.kill()
    sound = thesan("log", "verify", "--data-dir", scheduler.data_dir)
    assert sound.returncode == 0 and sound.stdout.startswith("sound up to entry "), sound.stderr
    assert "1 tasks, 0 updates" in sound.stdout
    lines = [json.loads(line) for line in thesan("log", "dump", "--data-dir", scheduler.data_dir).stdout.splitlines()]
    assert lines[0]["ops"][0] == {"op": "EpochBegun", "epoch": 1, "scheduler": lines[0]["ops"][0]["scheduler"]}
    assert [line["offset"] for line in lines] == list(range(1, len(lines) + 1))
    assert any(op["op"] == "MoveTask" and op["event"]["status"] == "RUNNING" for line in lines for op in line["ops"])
    few = thesan("log", "dump", "--from", "2", "--data-dir", scheduler.data_dir).stdout.splitlines()
    assert len(few) == len(lines) - 1
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does when it has enough
    dump = [sys.executable, "-m", "scheduler", "log", "dump", "--data-dir", str(scheduler.data_dir)]
    with os.fdopen(writer) as nobody:
        cut = subprocess.run(dump, stdout=nobody, stderr=subprocess.PIPE, timeout=60, check=False)
    assert cut.stderr == b""

    db = sqlite3.connect(scheduler.data_dir / "changelog.db")
    with db:
        db.execute('UPDATE tail SET entry = substr(entry, 1, 100) WHERE "offset" = 2')
    db.close()
    damaged = thesan("log", "verify", "--data-dir", scheduler.data_dir)
    assert damaged.returncode == 1 and "damaged at offset 2" in damaged.stderr
    nothing = thesan("log", "verify", "--data-dir", scheduler.folder / "nowhere")
    assert nothing.returncode == 1 and "there is no changelog in" in nothing.stderr
