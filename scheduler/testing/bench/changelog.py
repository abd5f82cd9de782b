"""How fast the embedded changelog takes records: ``scripts/bench changelog``.

Each round appends records of about 100 bytes through the real path: encoded, checksummed, written and fsynced, the
next commit only when the one before is durable. The decisions the records stand for are made beforehand: this measures
the log. What the disk is matters: a file system in memory makes every fsync free.

A round is a pair on the same disk, one after the other: with checkpointing, and with it suppressed, which only this
benchmark can do. The median of the pairs' differences is what checkpointing costs. Beside it: transitions of real
tasks, from the decision by the controller over the commit to the simulated engine and back.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import frozen

from scheduler.changelog.frame import OVERHEAD_BYTES
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.contracts import Entry
from scheduler.core import jobs
from scheduler.core.ops import EpochBegun, MoveTask, Op, SaveConfig, SaveTask
from scheduler.core.records import JobConfiguration, JobKey, Task, TaskConfig, TaskEvent, TaskStatus, content_hash
from scheduler.core.state import State, apply
from scheduler.testing.bench.house import House
from scheduler.testing.bench.verdict import Report
from scheduler.testing.stage import service

__all__ = ["Round", "main", "run_round"]

T = TypeVar("T")

AIM_RECORDS_PER_S: Final = 250_000
AIM_COST_OF_FOLDING: Final = 0.02
AIM_FROM_PER_COMMIT: Final = 100
"""The aim holds for commits of at least so many records."""

_TASKS: Final = 2_000
_JOBS: Final = 10
_INSTANCES: Final = 1_000
_CONFIG: Final = TaskConfig(JobKey("www-data", "prod", "hello"))


@frozen
class Round:
    """One measured round. Latencies are those of a commit, from giving it in to knowing that it is durable."""

    records: int
    seconds: float
    record_bytes: float
    latencies_ms: list[float]
    cpu_us_per_record: float

    @property
    def records_per_s(self) -> float:
        return self.records / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _task_id(number: int) -> str:
    return f"{1_732_200_000_000 + number}-www-data-prod-hello-{number}-{'5f' * 8}"


def _first_ops() -> tuple[Op, ...]:
    tasks = (SaveTask(Task(_task_id(i), i, _CONFIG, TaskStatus.PENDING)) for i in range(_TASKS))
    return (EpochBegun(1, "bench"), SaveConfig(content_hash(_CONFIG), _CONFIG), *tasks)


def _commits(per_commit: int) -> list[tuple[Op, ...]]:
    """Some commits' worth of transitions, told again and again. `compact` keeps the tasks' histories short."""
    event = TaskEvent(1_732_200_000_000, TaskStatus.RUNNING, None, "scheduler-1.example.com")
    moves = [MoveTask(_task_id(i), event, i % 3, 0, True) for i in range(_TASKS)]
    count = max(1, 20_000 // per_commit)
    return [tuple(moves[(c * per_commit + i) % _TASKS] for i in range(per_commit)) for c in range(count)]


async def run_round(data_dir: Path, records: int, per_commit: int, *, fold: bool) -> Round:
    """Append `records` records to a new changelog in `data_dir`."""
    changelog = SqliteChangelog(data_dir, "bench", fold=fold)
    state = State()
    changelog.load(lambda op: apply(state, op))
    await changelog.append(Entry(1, 1, bytes(16), 0, _first_ops()))
    assert changelog.folding is not None
    size_before = changelog.appended_bytes
    commits = _commits(per_commit)
    latencies: list[float] = []
    cpu, begun = time.process_time(), time.perf_counter()
    for number in range(records // per_commit):
        sent = time.perf_counter()
        entry = Entry(number + 2, 1, number.to_bytes(16, "big"), 0, commits[number % len(commits)])
        await changelog.append(entry)
        latencies.append((time.perf_counter() - sent) * 1000)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    written = changelog.appended_bytes - size_before - len(latencies) * OVERHEAD_BYTES
    await changelog.close()
    total = len(latencies) * per_commit
    return Round(total, seconds, written / total, latencies, cpu / total * 1e6)


def _file_system(path: Path) -> str:
    """The type of the file system that holds `path`, for the reader of the figures."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == wanted:
            return rest.split()[0]
    return "an unknown file system"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench changelog", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--records", type=int, default=1_000_000, help="in each run (%(default)s)")
    parser.add_argument("--per-commit", type=int, default=100, help="records in one commit (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs (%(default)s)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where to make the log (%(default)s)")
    told = parser.parse_args(argv)
    report = Report("changelog")
    report.heading()
    pairs = [_pair(told, number) for number in range(told.rounds)]
    rounds = [with_folding for with_folding, _ in pairs]

    def median(figure: Callable[[Round], float]) -> float:
        return statistics.median(figure(one) for one in rounds)

    name = f"{told.per_commit} a commit, {told.records:,} a round, median of {told.rounds} on {_file_system(told.dir)}"
    aim = AIM_RECORDS_PER_S if told.per_commit >= AIM_FROM_PER_COMMIT else None
    report.figure(f"records, {name}", median(lambda one: one.records_per_s), "/s", at_least=aim)
    report.figure("slowest round", min(one.records_per_s for one in rounds), "/s")
    report.figure("fastest round", max(one.records_per_s for one in rounds), "/s")
    report.figure("size of a record", median(lambda one: one.record_bytes), "bytes")
    report.figure("throughput", median(lambda one: one.records_per_s * one.record_bytes / 1e6), "MB/s")
    report.figure("a commit, p50", median(lambda one: one.percentile_ms(0.5)), "ms")
    report.figure("a commit, p99", median(lambda one: one.percentile_ms(0.99)), "ms")
    report.figure("a commit, longest", max(max(one.latencies_ms) for one in rounds), "ms")
    report.figure("CPU, both threads", median(lambda one: one.cpu_us_per_record), "us/rec")
    costs = [100 * (without.records_per_s / with_folding.records_per_s - 1) for with_folding, without in pairs]
    report.figure("records, checkpointing suppressed", statistics.median(b.records_per_s for _, b in pairs), "/s")
    report.figure(
        "cost of checkpointing, median of the pairs", statistics.median(costs), "%", at_most=100 * AIM_COST_OF_FOLDING
    )
    report.figure("cost, least of a pair", min(costs), "%")
    report.figure("cost, most of a pair", max(costs), "%")
    report.figure("transitions of real tasks, decided and committed", _in_a_folder(told, run_tasks), "/s")
    report.finish()


def _pair(told: argparse.Namespace, number: int) -> tuple[Round, Round]:
    """With and without folding. Which comes first changes, so that what drifts on the machine falls on both."""

    def run(fold: bool) -> Round:
        return _in_a_folder(told, lambda folder: run_round(folder, told.records, told.per_commit, fold=fold))

    if number % 2:
        without = run(False)
        return run(True), without
    return run(True), run(False)


def _in_a_folder(told: argparse.Namespace, work: Callable[[Path], Coroutine[Any, Any, T]]) -> T:
    folder = Path(tempfile.mkdtemp(prefix="thesan-bench-", dir=told.dir))
    try:
        return asyncio.run(work(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def run_tasks(folder: Path) -> float:
    """Transitions a second of jobs that are created and come to run: controller, log, a model of an engine."""
    house = House(folder)
    await house.settle()
    begun = time.perf_counter()
    for number in range(_JOBS):
        key = JobKey("www-data", "prod", f"job-{number}")
        ticket = house.controller.write(jobs.create, JobConfiguration(key, service(key, "x"), _INSTANCES), "bench")
        assert ticket.answer.ok, ticket.answer
        await house.settle()
    seconds = time.perf_counter() - begun
    made = sum(len(task.events) for task in house.controller.state.tasks.values())
    await house.changelog.close()
    return made / seconds


if __name__ == "__main__":
    main()
