"""What earlier versions left, checked in as they wrote it: this version starts on it and goes on.

`data_level_1` is a data directory, written by version 0.1 at format level 1: the story of `stage.py` to entry 40,
folded at entry 25. What later levels left is told, and was written, by `stored.py`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.changelog.backup import read_backup
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.core.ops import FORMAT_LEVEL
from scheduler.core.state import State, apply
from scheduler.testing.asking import tasks_of
from scheduler.testing.cluster import Cluster
from tests.changelog import stored
from tests.changelog.stage import CLUSTER, KEY, contents, loaded, look
from tests.changelog.stored import BACKUP, EMBEDDED, END, FOLDED, HERE, MACHINE, NODES, told_until
from tests.changelog.zookeeper_stage import ROOT, Scheduler
from tests.zk.stage import Stage, on_stage

DIRECTORIES = {"data_level_1": 1, f"data_level_2/{EMBEDDED}": 2}
LOGS = {"data_level_2": 2}
BACKUPS = {"backup_format_1": 2, f"data_level_2/{BACKUP}": 2}


def copied(name: str, to: Path) -> Path:
    shutil.copytree(HERE / name, to)
    to.chmod(0o700)
    return to


@pytest.fixture(params=DIRECTORIES)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    return copied(request.param, tmp_path / "data"), DIRECTORIES[request.param]


def test_there_is_something_of_each_level() -> None:
    """Else: see `stored.py`."""
    levels = set(range(1, FORMAT_LEVEL + 1))
    assert set(DIRECTORIES.values()) == levels
    assert set(LOGS.values()) == levels - {1}


def test_all_of_it_is_read(earlier: tuple[Path, int]) -> None:
    data_dir, level = earlier
    found, told = look(data_dir)
    assert found == told_until(END, level)
    assert (told.offset, told.base.covered) == (END, FOLDED)


def test_it_goes_on_in_this_format(earlier: tuple[Path, int]) -> None:
    data_dir, level = earlier

    async def go_on() -> State:
        changelog = SqliteChangelog(data_dir, CLUSTER)
        state, _ = loaded(changelog)
        for offset in range(END + 1, END + 21):
            await changelog.append(stored.entry(offset, level))
        await changelog.fold()
        await changelog.append(stored.entry(END + 21, level))
        await changelog.close()
        return state

    assert contents(asyncio.run(go_on())) == told_until(END, level)
    found, told = look(data_dir)
    assert found == told_until(END + 21, level)
    assert told.base.covered == END + 20


@pytest.mark.slow
def test_a_server_starts_on_it(earlier: tuple[Path, int]) -> None:
    data_dir, _ = earlier
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        shutil.copytree(data_dir, scheduler.data_dir)
        scheduler.start()
        with scheduler.client() as client:
            tasks = tasks_of(client)
        assert tasks and {task.assignedTask.task.job.name for task in tasks} == {KEY.job.name}
        assert scheduler.stop() == 0


@pytest.mark.parametrize("name", LOGS)
def test_a_log_in_zookeeper_is_read_and_goes_on(name: str, tmp_path: Path) -> None:
    """By a machine without a disk, by one that led then, and by one that is new."""
    level = LOGS[name]
    nodes: dict[str, str] = json.loads((HERE / name / NODES).read_text(encoding="utf-8"))
    old = copied(f"{name}/{MACHINE}", tmp_path / "old")
    (old / "checkpoint").chmod(0o700)

    async def play(stage: Stage) -> None:
        client = await stage.client()
        await client.ensure(ROOT.rpartition("/")[0])
        for path, data in nodes.items():
            await client.create(path, base64.b64decode(data))
        for data_dir in (None, old, tmp_path / "new"):
            scheduler = await Scheduler.at(stage, data_dir=data_dir)
            assert scheduler.changelog.offset == (END if data_dir == old else FOLDED)
            await scheduler.follow()
            assert contents(scheduler.state) == told_until(END, level)
        assert await scheduler.lead() == 2
        for offset in range(END + 1, END + 11):
            entry = evolve(stored.entry(offset, level), epoch=2, uuid=offset.to_bytes(16, "big"))
            for op in entry.ops:
                scheduler.apply(op)
            await scheduler.changelog.append(entry)
        assert await scheduler.changelog.snapshots().snapshot() == END + 10
        assert await scheduler.changelog.sweep_parts() == 0
        late = await Scheduler.at(stage)
        assert contents(late.state) == told_until(END + 10, level)

    on_stage(play)


@pytest.mark.parametrize("name", BACKUPS)
def test_a_backup_is_read(name: str, tmp_path: Path) -> None:
    state = State()
    backup = read_backup(HERE / name, tmp_path, lambda op: apply(state, op))
    assert (backup.cluster, backup.base.covered) == (CLUSTER, END)
    assert contents(state) == told_until(END, BACKUPS[name])
