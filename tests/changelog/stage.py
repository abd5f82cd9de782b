"""A changelog with something in it: what the tests of this room have in common.

Run as a program, ``python -m tests.changelog.stage DIR COUNT``, it appends COUNT entries of the story to the changelog
in DIR, and prints each offset once the changelog says it is durable; ``--fold-at N`` folds when N is durable;
``--file-limit BYTES`` lets no file grow beyond that until an append was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from scheduler.changelog.load import LoadResult
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.contracts import Entry, Unavailable
from scheduler.core import ops
from scheduler.core.records import JobKey, Task, TaskConfig, TaskEvent, TaskStatus, content_hash
from scheduler.core.state import State, apply, dump
from scheduler.core.updates.records import (
    InstanceAction,
    InstanceConfigs,
    InstanceEvent,
    InstanceProgress,
    Instructions,
    JobUpdate,
    Phase,
    QueueStrategy,
    Range,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
)
from scheduler.failpoints.from_env import arm_from_env

CLUSTER = "local"
JOB = JobKey("www", "prod", "hello")
KEY = UpdateKey(JOB, "update-1")


@cache
def config(number: int) -> TaskConfig:
    return TaskConfig(JOB, priority=number)


def story_ops(offset: int) -> tuple[ops.Op, ...]:
    """What entry `offset` of the story says. Tasks come, run and go; every tenth entry brings a configuration."""
    when = 1_732_200_000_000 + offset
    if offset == 1:
        here = InstanceConfigs(config(0), (Range(0, 9),))
        told = Instructions((), here, UpdateSettings(QueueStrategy(1)))
        first = UpdateEvent(UpdateStatus.ROLLING_FORWARD, when, "www")
        saved = ops.SaveConfig(content_hash(config(0)), config(0))
        return (ops.EpochBegun(1, "me"), saved, ops.StartUpdate(KEY, "www", (), told, first))
    which = config(offset // 10)
    task = Task(f"task-{offset}", offset, which, TaskStatus.PENDING, (TaskEvent(when, TaskStatus.PENDING, None, "me"),))
    told_ops: list[ops.Op] = [ops.SaveTask(task)]
    if offset % 10 == 0 or offset == 2:
        told_ops.insert(0, ops.SaveConfig(content_hash(which), which))
    if offset > 5:
        told_ops.append(ops.MoveTask(f"task-{offset - 3}", TaskEvent(when, TaskStatus.RUNNING, "it runs", "me"), 1))
        told_ops.append(ops.RecordInstance(KEY, InstanceEvent(offset % 10, when, InstanceAction.INSTANCE_UPDATED)))
        told_ops.append(ops.MoveInstance(KEY, offset % 10, InstanceProgress(Phase.SUCCEEDED, recorded=offset)))
    if offset > 40 and offset % 2:
        told_ops.append(ops.RemoveTasks((f"task-{offset - 30}",)))
    return tuple(told_ops)


def story(offset: int) -> Entry:
    return Entry(offset, 1, offset.to_bytes(16, "big"), 1_732_200_000_000 + offset, story_ops(offset))


def plain(value: Any) -> Any:
    """Tasks and updates compare by identity; their contents are what matters here."""
    match value:
        case Task():
            return tuple(getattr(value, name) for name in Task.__slots__ if name != "__weakref__")
        case JobUpdate():
            names = ("key", "user", "instructions", "metadata", "events", "instance_events", "notes")
            return tuple(getattr(value, name) for name in names)
        case ops.SaveTask(task):
            return ("SaveTask", plain(task))
        case ops.SaveUpdate(update, progress):
            return ("SaveUpdate", plain(update), sorted(progress, key=repr))
        case _:
            return value


def contents(state: State) -> set[str]:
    """Everything a state holds, comparable; in no order, since a base has another one than the log."""
    return {repr(plain(op)) for op in dump(state)}


def told_until(offset: int) -> set[str]:
    """The contents after entry `offset` of the story, without any changelog."""
    state = State()
    for number in range(1, offset + 1):
        for op in story_ops(number):
            apply(state, op)
    return contents(state)


def loaded(changelog: SqliteChangelog) -> tuple[State, LoadResult]:
    state = State()
    return state, changelog.load(lambda op: apply(state, op))


async def tell(changelog: SqliteChangelog, until: int) -> None:
    """Append the story from where the changelog stands."""
    for offset in range(changelog.offset + 1, until + 1):
        await changelog.append(story(offset))


def fill(data_dir: Path, until: int, *, fold_at: int | None = None) -> None:
    """Open, tell the story up to `until`, close."""

    async def main() -> None:
        changelog = SqliteChangelog(data_dir, CLUSTER, fold=False)
        _state = loaded(changelog)  # what is in use must stay alive
        if fold_at is not None:
            await tell(changelog, fold_at)
            assert changelog.folding is not None
            await changelog.folding.start()
        await tell(changelog, until)
        await changelog.close()

    asyncio.run(main())


def look(data_dir: Path) -> tuple[set[str], LoadResult]:
    """Open, load, close: what is there now."""

    async def main() -> tuple[set[str], LoadResult]:
        changelog = SqliteChangelog(data_dir, CLUSTER, fold=False)
        try:
            state, found = loaded(changelog)
            return contents(state), found
        finally:
            await changelog.close()

    return asyncio.run(main())


def program(data_dir: Path, count: int, *more: str, failpoint: str = "") -> subprocess.Popen[str]:
    """This module as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.changelog.stage", str(data_dir), str(count), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "THESAN_FAILPOINT": failpoint},
    )


def main() -> None:
    arm_from_env()
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--fold-at", type=int)
    parser.add_argument("--file-limit", type=int)
    told = parser.parse_args()
    if told.file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (told.file_limit, resource.RLIM_INFINITY))

    async def run() -> None:
        changelog = SqliteChangelog(told.data_dir, CLUSTER, fold=False)
        _state, found = loaded(changelog)
        for offset in range(found.offset + 1, found.offset + told.count + 1):
            try:
                await changelog.append(story(offset))
            except Unavailable as error:
                print(f"Unavailable {error}")
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                await changelog.append(story(offset))
            print(offset, flush=True)
            if offset == told.fold_at and changelog.folding is not None:
                await changelog.folding.start()
                print("folded", changelog.folding.pointer.generation, flush=True)
                # The covered entries are deleted by and by; to be killed while that happens, wait for it.
                await asyncio.sleep(0.2)
        await changelog.close()

    asyncio.run(run())


if __name__ == "__main__":
    main()
