"""`scripts/bench history`: what a sweep through the history of ended tasks costs, and how fast it forgets.

The sweep is production's, on the production controller and changelog. First nothing may be forgotten yet, then all of
it. Spread over many jobs and all of one job: a cron job with many instances. A slice is one callback of the event loop,
by the processor's clock; what is forgotten a minute goes by the clock on the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from attrs import evolve

from scheduler.changelog.gc_policy import THRESHOLDS, quiet_moment
from scheduler.contracts import Engine
from scheduler.core import ops
from scheduler.core.policy import Policy
from scheduler.core.records import Task, TaskEvent, TaskStatus, content_hash
from scheduler.core.transaction import Transaction, World
from scheduler.leadership.driver import Driver
from scheduler.leadership.sweeping import Sweeping
from scheduler.testing.bench import answers
from scheduler.testing.bench.house import House
from scheduler.testing.bench.verdict import Report

AIM_SLICE_MS: Final = 50.0
AIM_A_MINUTE: Final = 100_000
"""Far more than can end: 4,000 instances of 20 cron jobs every minute."""
AT_ONCE: Final = 500


class NoFolders:
    """An engine that keeps nothing of ended tasks. Nothing else is asked of it here."""

    def forget(self, task_ids: Sequence[str]) -> None: ...


async def fill(house: House, count: int, per_job: int) -> None:
    """Tasks that ended just now, each with the events of a whole life."""
    states = (TaskStatus.PENDING, TaskStatus.ASSIGNED, TaskStatus.STARTING, TaskStatus.RUNNING, TaskStatus.FINISHED)
    now_ms = house.controller.clock.wall_ms()

    def save(tx: Transaction, numbers: range) -> None:
        for number in numbers:
            config = answers.config_of(number // per_job)
            if number % per_job == 0:
                tx.apply(ops.SaveConfig(content_hash(config), config))
            config = tx.intern(config)
            events = tuple(TaskEvent(now_ms + i, status, None, "scheduler-1") for i, status in enumerate(states))
            task_id = f"{now_ms}-www-data-prod-hello-{number}-5f2b1c1e-7d0a-4b5c-9c0e-000000000001"
            tx.apply(ops.SaveTask(Task(task_id, number % per_job, config, TaskStatus.FINISHED, events)))

    for start in range(0, count, AT_ONCE):
        house.controller.write(save, range(start, min(start + AT_ONCE, count)))
        await house.turn()
    await house.settle()


async def measure(report: Report, folder: Path, name: str, count: int, per_job: int) -> None:
    house = House(folder)
    controller = house.controller
    await fill(house, count, per_job)
    quiet_moment()
    driver = Driver(controller, house.changelog, cast(Engine, NoFolders()), durable=lambda entry: None)
    running = asyncio.create_task(driver.run())
    what = f"{count:,} ended tasks {name}"

    with answers.longest_callback() as longest:
        begun = time.thread_time()
        await asyncio.create_task(Sweeping(driver).sweep())
        looked_ms = (time.thread_time() - begun) * 1000
    assert len(controller.state.tasks) == count, "there was nothing to forget"
    report.figure(f"{what}, none to forget: the sweep", looked_ms, "ms")
    report.figure(f"{what}, none to forget: longest slice", longest[0], "ms", at_most=AIM_SLICE_MS)

    world: World = controller.world
    controller.world = evolve(world, policy=evolve(Policy(), history_min_retention_ms=0, history_prune_threshold_ms=0))
    with answers.longest_callback() as longest:
        wall = time.perf_counter()
        await asyncio.create_task(Sweeping(driver).sweep())
        took_s = time.perf_counter() - wall
    assert not controller.state.tasks, "all of it could be forgotten"
    report.figure(f"{what}: forgotten a minute", count / took_s * 60, "1/min", at_least=AIM_A_MINUTE)
    report.figure(f"{what}, all forgotten: longest slice", longest[0], "ms", at_most=AIM_SLICE_MS)
    running.cancel()
    await house.changelog.close()


def run(told: argparse.Namespace) -> None:
    gc.set_threshold(*THRESHOLDS)
    report = Report("history")
    report.heading()
    with tempfile.TemporaryDirectory(prefix="thesan-bench-") as name:
        for number, (which, per_job) in enumerate((("of jobs of 100", 100), ("of one job", told.tasks))):
            asyncio.run(measure(report, Path(name) / str(number), which, told.tasks, per_job))
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench history", description=__doc__)
    parser.add_argument("--tasks", type=int, default=500_000, help="(%(default)s)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
