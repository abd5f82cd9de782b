"""When engine and state are compared, and how much of it in one decision. The loop's clock is turned, nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from attrs import define, evolve, field

from scheduler.contracts import ALWAYS, EngineError, EngineSnapshot, TaskReport
from scheduler.core import jobs
from scheduler.core.effects import Launch, Reconcile, Terminate
from scheduler.core.policy import Policy
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.leadership.reconciling import Reconciler
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")
MINUTE = 60


class Turned(asyncio.SelectorEventLoop):
    """Jumps to the next timer instead of waiting for it."""

    now_s = 0.0
    early_s = 0.0
    """By so much timers ring before their time."""

    def time(self) -> float:
        return self.now_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now_s = max(self.now_s, self._scheduled[0].when() - self.early_s)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def in_turned_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    def run() -> None:
        with asyncio.Runner(loop_factory=Turned) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


@define
class Pretended:
    """An engine with these tasks, and whoever weighs what it tells."""

    stage: Stage
    has: dict[str, TaskStatus] = field(factory=dict)
    hosts: frozenset[str] = frozenset({"host-1"})
    lists: list[float] = field(factory=list)
    """When each was asked for."""
    broken: int = 0

    async def reconcile(self) -> EngineSnapshot:
        self.lists.append(asyncio.get_running_loop().time())
        if self.broken:
            self.broken -= 1
            raise EngineError("it is ill")
        return EngineSnapshot(self.hosts, tuple(TaskReport(*row) for row in self.has.items()))

    def reported(self, reports: Sequence[TaskReport]) -> None:
        for report in (report for report in reports if report.task_id in self.stage.state.tasks):
            self.stage.report(self.stage.state.tasks[report.task_id], report.status)

    async def all_weighed(self) -> None:
        self.stage.settle()


def scene(count: int, **policy: Any) -> tuple[Pretended, Reconciler]:
    """That many tasks that run here; the engine has none of them."""
    stage = Stage(evolve(Policy(), **policy))
    if count:
        assert stage.ask(jobs.create, JobConfiguration(JOB, service(JOB, "old"), count), "ann").ok
        for i in range(count):
            stage.run(stage.active(JOB, i))
    engine = Pretended(stage)
    return engine, Reconciler(stage.controller, engine, engine, ALWAYS)  # type: ignore[arg-type]


@in_turned_loop
async def test_aurora_s_timers() -> None:
    engine, reconciler = scene(0)
    agreed: list[float] = []
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(reconciler.run(lambda: agreed.append(loop.time())))
    await asyncio.sleep(3 * 3600)
    running.cancel()
    explicit = [1 * MINUTE, 61 * MINUTE, 121 * MINUTE]
    implicit = [31 * MINUTE, 91 * MINUTE, 151 * MINUTE]
    assert agreed == [0]
    assert engine.lists == sorted([0, *explicit, *implicit])
    assert (reconciler.explicit_runs, reconciler.implicit_runs) == (4, 4)


@in_turned_loop
async def test_a_timer_that_rings_a_moment_early_is_taken_for_what_it_is() -> None:
    engine, reconciler = scene(0)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Turned)
    loop.early_s = loop._clock_resolution / 2  # type: ignore[attr-defined]
    running = asyncio.create_task(reconciler.run(lambda: None))
    await asyncio.sleep(2 * MINUTE)
    running.cancel()
    assert len(engine.lists) == 2


@in_turned_loop
async def test_what_is_asked_for_is_done_at_once_and_what_is_asked_for_twice_is_done_once() -> None:
    engine, reconciler = scene(0)
    running = asyncio.create_task(reconciler.run(lambda: None))
    await asyncio.sleep(5 * MINUTE)
    engine.lists.clear()
    reconciler.ask(Reconcile(unwanted=False, batch_size=5))
    reconciler.ask(Reconcile(wanted=False))
    reconciler.ask(Reconcile(unwanted=False))
    await asyncio.sleep(1)
    running.cancel()
    assert engine.lists == [5 * MINUTE]
    assert (reconciler.explicit_runs, reconciler.implicit_runs) == (3, 2)


@in_turned_loop
async def test_what_is_asked_for_before_the_first_list_needs_no_other() -> None:
    """The first hosts that a leader hears of ask for one each."""
    engine, reconciler = scene(0)
    reconciler.ask(Reconcile())
    running = asyncio.create_task(reconciler.run(lambda: None))
    await asyncio.sleep(1)
    assert engine.lists == [0]
    reconciler.ask(Reconcile())
    await asyncio.sleep(1)
    running.cancel()
    assert engine.lists == [0, 1]


@in_turned_loop
async def test_an_engine_that_cannot_tell_is_asked_again() -> None:
    engine, reconciler = scene(0)
    engine.broken = 2
    agreed: list[None] = []
    running = asyncio.create_task(reconciler.run(lambda: agreed.append(None)))
    await asyncio.sleep(11)
    running.cancel()
    assert engine.lists == [0, 5, 10]
    assert agreed == [None]
    assert reconciler.explicit_runs == 1


@in_turned_loop
async def test_what_is_missing_is_looked_for_twice() -> None:
    engine, reconciler = scene(3)
    tasks = engine.stage.state.tasks
    ids = [engine.stage.active(JOB, i).task_id for i in range(3)]
    engine.has = {ids[0]: TaskStatus.RUNNING}
    comparing = asyncio.create_task(reconciler.compare(Reconcile()))
    await asyncio.sleep(1)
    assert [tasks[task_id].status.name for task_id in ids] == ["RUNNING"] * 3
    engine.has |= {ids[1]: TaskStatus.RUNNING}
    await comparing
    assert engine.lists == [0, 5]
    assert [tasks[task_id].status.name for task_id in ids] == ["RUNNING", "RUNNING", "LOST"]


@in_turned_loop
async def test_the_engine_of_another_machine_says_nothing_about_these() -> None:
    engine, reconciler = scene(3)
    engine.hosts = frozenset({"host-2"})
    await reconciler.compare(Reconcile())
    assert engine.lists == [0]
    assert {task.status.name for task in engine.stage.state.tasks.active[JOB].values()} == {"RUNNING"}


@pytest.mark.parametrize(("asked", "size"), [(None, 4), (3, 3)])
def test_batches(asked: int | None, size: int) -> None:
    engine, reconciler = scene(10, reconciliation_explicit_batch_size=4)
    decided: list[int] = []
    attempt = engine.stage.controller.attempt

    def watched(decision: Any, *args: Any) -> Any:
        decided.append(len(args[0]))
        return attempt(decision, *args)

    engine.stage.controller.attempt = watched  # type: ignore[method-assign]
    asyncio.run(asyncio.wait_for(reconciler._look_for(
        list(engine.stage.state.tasks), EngineSnapshot(engine.hosts, ()), frozenset(), asked), 60))  # fmt: skip
    assert decided == [size] * (10 // size) + [10 % size]


@in_turned_loop
async def test_explicit_ends_nothing_and_implicit_misses_nothing() -> None:
    engine, reconciler = scene(1)
    engine.has = {"stray": TaskStatus.RUNNING}

    def orders() -> list[object]:
        engine.stage.settle()
        effects = [effect for effect in engine.stage.effects if isinstance(effect, Terminate | Launch)]
        engine.stage.effects.clear()
        return list(effects)

    orders()
    await reconciler.compare(Reconcile(wanted=False))
    assert orders() == [Terminate("stray", hard=True)]
    await reconciler.compare(Reconcile(unwanted=False))
    (launch,) = orders()
    assert isinstance(launch, Launch)  # it was missing twice: LOST, and followed by another one
