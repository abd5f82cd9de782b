"""`scripts/bench engine`: what a task of the local engine costs, and how soon its start and its end are known.

All tasks are launched at once; each is `sleep`, so that memory is the executor's and next to nothing else. Ends are
made one by one: the task's process is killed behind the executor's back, and the clock runs until the engine reports.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scheduler.contracts import LaunchOrder, Signal, TaskReport
from scheduler.core.records import ExecutorConfig, Host, JobKey, TaskConfig, TaskStatus
from scheduler.engines.local import LocalEngine, Machine
from scheduler.testing.bench.house import Ticker, percentile
from scheduler.testing.bench.verdict import Report
from scheduler.testing.leftovers import end_all

AIM_EXECUTOR_PSS_MB = 12
BETWEEN_ENDS_SECS = 0.01
GIVE_UP_SECS = 120.0
ENDED = (TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.KILLED, TaskStatus.LOST)


class Clocks:
    """Listens, and notes when it first heard of each task's states."""

    def __init__(self) -> None:
        self.heard: dict[tuple[str, TaskStatus], float] = {}

    def reported(self, reports: Sequence[TaskReport]) -> None:
        now = time.perf_counter()
        for report in reports:
            self.heard.setdefault((report.task_id, report.status), now)

    def hosts_changed(self, hosts: Sequence[Host]) -> None:
        """Nothing here depends on them."""

    async def all(self, task_ids: Sequence[str], *statuses: TaskStatus) -> list[float]:
        """When each came to one of these states, in the order of the ids."""
        give_up_at = time.perf_counter() + GIVE_UP_SECS
        while True:
            times = [[self.heard[i, s] for s in statuses if (i, s) in self.heard] for i in task_ids]
            if all(times):
                return [min(each) for each in times]
            if time.perf_counter() > give_up_at:
                raise TimeoutError(f"{sum(not each for each in times)} tasks did not come to {statuses}")
            await asyncio.sleep(0.02)


def pss_mb(pid: int) -> float:
    """A process's share of memory: what is its own, and its part of what it shares."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def started_pid(folder: Path) -> int:
    return int(json.loads((folder / "processes.json").read_text())["processes"][0]["pid"])


async def measure(folder: Path, count: int, report: Report) -> None:
    engine, clocks = LocalEngine(folder, Machine("bench"), cluster="bench"), Clocks()
    await engine.start(clocks, epoch=1, lineage="bench")
    config = TaskConfig(JobKey("bench", "test", "sleep"), executor=ExecutorConfig("AuroraExecutor", "exec sleep 1000"))
    ids = [f"task-{i}" for i in range(count)]
    ticker = Ticker()
    began = time.perf_counter()
    for i, task_id in enumerate(ids):
        engine.launch(LaunchOrder(1, task_id, i, config, "bench", ()))
    running = sorted(at - began for at in await clocks.all(ids, TaskStatus.RUNNING))
    late = ticker.stop()
    report.figure(f"{count} tasks at once: launch rate", count / running[-1], "tasks/s")
    report.figure("time to RUNNING, p50, all launched at once", percentile(running, 0.5), "s")
    report.figure("time to RUNNING, p99, all launched at once", percentile(running, 0.99), "s")
    report.figure("longest standstill of the event loop meanwhile", late[-1], "ms")
    measure_memory(folder, ids, report)
    await measure_ends(folder, ids[: count // 2], clocks, report)
    began = time.perf_counter()
    rest = ids[count // 2 :]
    for task_id in rest:
        engine.signal(task_id, Signal.TERM, epoch=1)
    ended = sorted(at - began for at in await clocks.all(rest, *ENDED))
    report.figure(f"{len(rest)} tasks stopped at once: the last end reported", ended[-1], "s")
    await engine.stop()


def measure_memory(folder: Path, ids: Sequence[str], report: Report) -> None:
    tasks = [folder / "tasks" / task_id for task_id in ids]
    executors = sorted(pss_mb(json.loads((task / "executor.json").read_text())["pid"]) for task in tasks)
    processes = [pss_mb(started_pid(task)) for task in tasks]
    report.figure("PSS of an executor, mean", sum(executors) / len(executors), "MB", at_most=AIM_EXECUTOR_PSS_MB)
    report.figure("PSS of an executor, largest", executors[-1], "MB", at_most=AIM_EXECUTOR_PSS_MB)
    report.figure("PSS of executor and sleep, mean", (sum(executors) + sum(processes)) / len(tasks), "MB")


async def measure_ends(folder: Path, ids: Sequence[str], clocks: Clocks, report: Report) -> None:
    took: list[float] = []
    for task_id in ids:
        pid = started_pid(folder / "tasks" / task_id)
        killed = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        took += [(at - killed) * 1000 for at in await clocks.all([task_id], *ENDED)]
        await asyncio.sleep(BETWEEN_ENDS_SECS)
    took.sort()
    report.figure("from a task's end to its report (written, fsynced), p50", percentile(took, 0.5), "ms")
    report.figure("from a task's end to its report (written, fsynced), p99", percentile(took, 0.99), "ms")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench engine", description=__doc__)
    parser.add_argument("--tasks", type=int, default=200, help="how many tasks at once (%(default)s)")
    arguments = parser.parse_args()
    report = Report("engine")
    report.heading()
    with tempfile.TemporaryDirectory(prefix="thesan-bench-") as name:
        folder = Path(name).resolve()
        try:
            asyncio.run(measure(folder, arguments.tasks, report))
        finally:
            end_all(folder)
    report.finish()


if __name__ == "__main__":
    main()
