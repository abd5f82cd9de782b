"""Data directories of earlier versions, checked in as those versions wrote them: this one starts on them and goes on.

`data_level_1` was written by version 0.1 at format level 1: the story of `stage.py` to entry 40, folded at entry 25.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.core.state import State
from scheduler.testing.asking import tasks_of
from scheduler.testing.cluster import Cluster
from tests.changelog.stage import CLUSTER, KEY, contents, loaded, look, story, told_until

HERE = Path(__file__).parent
DATA = {"data_level_1": 40}


@pytest.fixture(params=DATA)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    data_dir = tmp_path / "data"
    shutil.copytree(HERE / request.param, data_dir)
    data_dir.chmod(0o700)
    return data_dir, DATA[request.param]


def test_all_of_it_is_read(earlier: tuple[Path, int]) -> None:
    data_dir, last = earlier
    found, told = look(data_dir)
    assert found == told_until(last)
    assert (told.offset, told.base.covered) == (last, 25)


def test_it_goes_on_in_this_format(earlier: tuple[Path, int]) -> None:
    data_dir, last = earlier

    async def go_on() -> State:
        changelog = SqliteChangelog(data_dir, CLUSTER)
        state, _ = loaded(changelog)
        for offset in range(last + 1, last + 21):
            await changelog.append(story(offset))
        await changelog.fold()
        await changelog.append(story(last + 21))
        await changelog.close()
        return state

    assert contents(asyncio.run(go_on())) == told_until(last)
    found, told = look(data_dir)
    assert found == told_until(last + 21)
    assert told.base.covered == last + 20


@pytest.mark.slow
def test_a_server_starts_on_it(earlier: tuple[Path, int]) -> None:
    data_dir, _ = earlier
    before, _ = look(data_dir)
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        shutil.copytree(data_dir, scheduler.data_dir)
        scheduler.start()
        with scheduler.client() as client:
            tasks = tasks_of(client)
        assert tasks and {task.assignedTask.task.job.name for task in tasks} == {KEY.job.name}
        assert scheduler.stop() == 0
    assert before
