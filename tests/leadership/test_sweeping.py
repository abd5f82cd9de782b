"""A sweep through history goes on until all is forgotten, and no faster than the log takes it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from scheduler.contracts import Outcome
from scheduler.core import ops, pruning
from scheduler.core.policy import Policy
from scheduler.core.records import JobKey, Task, TaskEvent, TaskStatus, content_hash
from scheduler.core.transaction import Transaction
from scheduler.leadership.driver import Driver
from scheduler.leadership.sweeping import Sweeping
from scheduler.testing.bench.house import House
from scheduler.testing.stage import service

CONFIG = service(JobKey("www", "prod", "web"), "x")
TASKS = 3 * pruning.TASKS_AT_ONCE + 7


def save_ended(tx: Transaction) -> None:
    tx.apply(ops.SaveConfig(content_hash(CONFIG), CONFIG))
    config = tx.intern(CONFIG)
    for number in range(TASKS):
        tx.apply(
            ops.SaveTask(Task(f"t{number}", number, config, TaskStatus.FAILED, (TaskEvent(1, TaskStatus.FAILED),)))
        )


async def house_with_history(folder: Path) -> tuple[House, Driver]:
    house = House(folder, Policy())
    house.controller.write(save_ended)
    await house.settle()
    return house, Driver(house.controller, house.changelog, house, durable=lambda entry: None)  # type: ignore[arg-type]


def test_a_sweep_forgets_all_and_each_step_waits_for_the_one_before(tmp_path: Path) -> None:
    async def use() -> None:
        house, driver = await house_with_history(tmp_path)
        controller = house.controller
        sweeping = asyncio.create_task(Sweeping(driver).sweep())
        left: list[int] = []
        while not sweeping.done():
            for _ in range(20):
                await asyncio.sleep(0)
            left.append(len(controller.state.tasks))
            assert controller.decided_offset <= controller.durable_offset + 1
            await house.turn()
        assert left[:4] == [TASKS - 500, TASKS - 1000, TASKS - 1500, 0]
        await house.changelog.close()

    asyncio.run(use())


def test_a_sweep_ends_with_the_leadership(tmp_path: Path) -> None:
    async def use() -> None:
        house, driver = await house_with_history(tmp_path)
        sweeping = asyncio.create_task(Sweeping(driver).sweep())
        for _ in range(20):
            await asyncio.sleep(0)
        house.controller.end(Outcome.REFUSED)
        await asyncio.wait_for(sweeping, 60)
        assert len(house.controller.state.tasks) == TASKS - 500
        await house.changelog.close()

    asyncio.run(use())


def test_one_sweep_at_a_time(tmp_path: Path) -> None:
    async def use() -> None:
        house, driver = await house_with_history(tmp_path)
        sweeping = Sweeping(driver)
        sweeping.stop()
        sweeping.begin()
        first = sweeping._under_way
        assert first is not None
        await asyncio.sleep(0)
        sweeping.begin()
        assert sweeping._under_way is first
        sweeping.stop()
        await asyncio.wait({first})
        assert first.cancelled()
        await house.settle()  # the step that was decided is committed, though nobody waits for it any more
        sweeping.begin()
        assert sweeping._under_way is not first
        sweeping.stop()
        await house.changelog.close()

    asyncio.run(use())
