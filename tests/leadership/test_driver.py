"""The driver takes what an engine tells in slices, however much it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from scheduler.contracts import TaskReport
from scheduler.core import administration, jobs
from scheduler.core.effects import Reconcile
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.leadership.driver import REPORTS_PER_SLICE, Driver
from scheduler.testing.bench.house import House
from scheduler.testing.stage import service

JOB = JobKey("www", "prod", "web")
TASKS = 3 * REPORTS_PER_SLICE + 7


def test_a_host_that_ends_with_all_its_tasks_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    async def use() -> None:
        house = House(tmp_path)
        wanted = JobConfiguration(JOB, service(JOB, "old"), TASKS)
        assert house.controller.write(jobs.create, wanted, "tester").answer.ok
        await house.settle()
        tasks = house.controller.state.tasks
        running = list(tasks.by_status[TaskStatus.RUNNING])
        assert len(running) == TASKS
        driver = Driver(house.controller, house.changelog, house, durable=lambda entry: None)  # type: ignore[arg-type]
        seen: list[int] = []

        driver.reported([TaskReport(task_id, TaskStatus.FAILED, "gone", None) for task_id in running[:-1]])
        driver.reported([TaskReport(running[-1], TaskStatus.FAILED, "gone", None)])
        while (failed := len(tasks.by_status[TaskStatus.FAILED])) < TASKS:
            seen.append(failed)
            await asyncio.sleep(0)

        assert seen == [REPORTS_PER_SLICE, 2 * REPORTS_PER_SLICE, 3 * REPORTS_PER_SLICE]
        assert list(tasks.by_status[TaskStatus.FAILED]) == running, "in the order in which it was told"
        await house.changelog.close()

    asyncio.run(use())


def test_who_asks_for_a_comparison_with_the_engine_need_not_wait_an_hour(tmp_path: Path) -> None:
    async def use() -> None:
        house = House(tmp_path)
        driver = Driver(house.controller, house.changelog, house, durable=lambda entry: None)  # type: ignore[arg-type]
        asked: asyncio.Future[Reconcile] = asyncio.get_running_loop().create_future()
        driver.reconciler.ask = asked.set_result  # type: ignore[method-assign]
        running = asyncio.create_task(driver.run())
        assert house.controller.write(administration.reconcile_explicitly, 7, "root").answer.ok
        assert await asyncio.wait_for(asked, 60) == Reconcile(unwanted=False, batch_size=7)
        driver.stop()
        await running
        await house.changelog.close()

    asyncio.run(use())
