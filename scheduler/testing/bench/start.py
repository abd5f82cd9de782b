"""How soon a scheduler knows its state: ``scripts/bench start``.

A leader writes 100,000 tasks and 10,000 updates to a real ZooKeeper and makes a snapshot, while a 5 ms timer on its
loop is watched. Then new processes start: one with the checkpoint that the leader left, one on an empty disk, which
begins with the snapshot. The time is that from starting the process to having read the log to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from scheduler.changelog.gc_policy import quiet_moment
from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.records import JobKey, Task, TaskConfig, TaskEvent, TaskStatus, content_hash
from scheduler.core.state import State, apply
from scheduler.core.updates.records import (
    InstanceAction,
    InstanceConfigs,
    InstanceEvent,
    Instructions,
    QueueStrategy,
    Range,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
)
from scheduler.testing.bench.house import Ticker
from scheduler.testing.bench.verdict import Report
from scheduler.testing.zookeeper import ZooKeeper
from scheduler.zk.client import Client

AIM_CHECKPOINT_S: Final = 3
AIM_SNAPSHOT_S: Final = 5
AIM_MEMORY_MB: Final = 500
AIM_STALL_MS: Final = 20

_ROOT: Final = "/thesan/bench"
_JOBS: Final = 1_000
_OPS: Final = 500
_NOW_MS: Final = 1_732_200_000_000
_STEPS: Final = (TaskStatus.PENDING, TaskStatus.ASSIGNED, TaskStatus.STARTING, TaskStatus.RUNNING)


def _history(tasks: int, updates: int) -> Iterator[ops.Op]:
    """Every job has its share of tasks, each come to run, and of updates, each with an event for ten instances."""
    configs = [TaskConfig(JobKey("www-data", "prod", f"job-{number}"), priority=number) for number in range(_JOBS)]
    for config in configs:
        yield ops.SaveConfig(content_hash(config), config)
    for number in range(tasks):
        config, host = configs[number % _JOBS], f"host-{number % 997}.example.com"
        events = [TaskEvent(_NOW_MS + number + i, status, None, "scheduler-1") for i, status in enumerate(_STEPS)]
        task_id = f"{_NOW_MS + number}-www-data-prod-{config.job.name}-{number // _JOBS}-{number:032x}"
        yield ops.SaveTask(
            Task(
                task_id,
                number // _JOBS,
                config,
                TaskStatus.RUNNING,
                tuple(events),
                0,
                None,
                0,
                host,
                host,
                (("http", 31_000 + number % 1_000),),
            )
        )
    for number in range(updates):
        config = configs[number % _JOBS]
        key = UpdateKey(config.job, f"{number:032x}")
        parts = InstanceConfigs(config, (Range(0, 99),))
        told = Instructions((parts,), parts, UpdateSettings(QueueStrategy(10)))
        yield ops.StartUpdate(key, "www-data", (), told, UpdateEvent(UpdateStatus.ROLLING_FORWARD, _NOW_MS, "www-data"))
        for instance in range(10):
            event = InstanceEvent(instance, _NOW_MS + instance, InstanceAction.INSTANCE_UPDATED)
            yield ops.RecordInstance(key, event)
        yield ops.MoveUpdate(key, UpdateEvent(UpdateStatus.ROLLED_FORWARD, _NOW_MS + 1_000))


async def _open(hosts: str, folder: Path) -> tuple[Client, ZooKeeperChangelog, Callable[[ops.Op], None], State]:
    client = Client(hosts, session_timeout_ms=30_000)
    await client.start(10)
    changelog = ZooKeeperChangelog(client, Layout(_ROOT), folder, "bench")
    await changelog.open()
    state = State()
    take = changelog.load(lambda: lambda op: apply(state, op))
    return client, changelog, take, state


async def _write(hosts: str, folder: Path, tasks: int, updates: int) -> dict[str, float]:
    client, changelog, take, state = await _open(hosts, folder)
    epoch = await changelog.claim()
    await changelog.follow(take)
    history = _history(tasks, updates)
    first: tuple[ops.Op, ...] = (ops.EpochBegun(epoch, "bench"),)
    while told := first or tuple(islice(history, _OPS)):
        for op in told:
            take(op)
        number = changelog.offset + 1
        await changelog.append_through(Entry(number, epoch, number.to_bytes(16, "big"), _NOW_MS, told))
        first = ()
    snapshots = changelog.snapshots()
    quiet_moment()  # as a leader does now and then
    ticker, begun = Ticker(), time.perf_counter()
    await snapshots.snapshot()
    took, late_ms = time.perf_counter() - begun, ticker.stop()
    await changelog.close()
    await client.close()
    return {"seconds": took, "stall_ms": late_ms[-1], "tasks": len(state.tasks)}


async def _start(hosts: str, folder: Path) -> dict[str, float]:
    client, changelog, take, state = await _open(hosts, folder)
    await changelog.follow(take)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"tasks": len(state.tasks), "updates": len(state.updates), "memory_mb": memory_mb}
    found["cpu_s"] = time.process_time()
    print(json.dumps(found), flush=True)
    await changelog.close()
    await client.close()
    return found


def _child(*words: object) -> tuple[float, dict[str, Any]]:
    """Seconds until the process said its line, and what it said."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "scheduler.testing.bench.start", "--child", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
    return seconds, json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench start", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (%(default)s)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the disk is (%(default)s)")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.child:
        what, hosts, folder = told.child
        if what == "write":
            print(json.dumps(asyncio.run(_write(hosts, Path(folder), told.tasks, told.updates))))
        else:
            asyncio.run(_start(hosts, Path(folder)))
        return
    report = Report("start")
    report.heading()
    folder = Path(tempfile.mkdtemp(prefix="thesan-bench-", dir=told.dir))
    try:
        with ZooKeeper.temporary(heap_mb=512) as server:
            _measure(report, server.address, folder, told)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


def _measure(report: Report, hosts: str, folder: Path, told: argparse.Namespace) -> None:
    size = ("--tasks", told.tasks, "--updates", told.updates)
    _, made = _child("write", hosts, folder / "leader", *size)
    report.figure(f"a snapshot of {told.tasks:,} tasks and {told.updates:,} updates", made["seconds"], "s")
    report.figure("the loop's longest stall meanwhile", made["stall_ms"], "ms", at_most=AIM_STALL_MS)
    memory = 0.0
    for what, place, aim in (("checkpoint", "leader", AIM_CHECKPOINT_S), ("snapshot", "new", AIM_SNAPSHOT_S)):
        seconds: list[float] = []
        cpu: list[float] = []
        for number in range(told.rounds):
            at = folder / (place if what == "checkpoint" else f"{place}-{number}")
            took, found = _child("start", hosts, at)
            assert found["tasks"] == told.tasks and found["updates"] == told.updates, found
            seconds.append(took)
            cpu.append(found["cpu_s"])
            memory = max(memory, found["memory_mb"])
        median_s = statistics.median(seconds)
        report.figure(f"start from the {what}, median of {told.rounds}", median_s, "s", at_most=aim)
        report.figure("its CPU, which a busy machine does not change", statistics.median(cpu), "s")
    report.figure("memory of a process that has started, most", memory, "MB", at_most=AIM_MEMORY_MB)


if __name__ == "__main__":
    main()
