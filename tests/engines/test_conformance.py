"""What every engine must do, whatever it is made of (`docs/engines.md`). No test sleeps: each waits for a report."""

from __future__ import annotations

import asyncio
import os

import pytest

from scheduler.contracts import Engine, EngineError, Signal, TaskReport
from scheduler.core.records import TaskStatus
from tests.engines.worlds import ENDED, Ears, LocalWorld, SimulatedWorld, in_loop, order, until

AnyWorld = LocalWorld | SimulatedWorld
FAILED, FINISHED, KILLED, LOST = TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.KILLED, TaskStatus.LOST
STARTING, RUNNING = TaskStatus.STARTING, TaskStatus.RUNNING
MANY = int(os.environ.get("THESAN_MANY_TASKS", "200"))


async def started(world: AnyWorld, epoch: int = 1, lineage: str = "a") -> tuple[Engine, Ears]:
    engine, ears = world.engine(), Ears()
    await engine.start(ears, epoch=epoch, lineage=lineage)
    return engine, ears


async def known(engine: Engine) -> dict[str, TaskReport]:
    snapshot = await engine.reconcile()
    assert snapshot.hosts
    return {report.task_id: report for report in snapshot.tasks}


async def ended(engine: Engine, task_id: str) -> TaskReport:
    """How the snapshot says the task ended, as soon as it does."""
    for _ in range(500):
        report = (await known(engine)).get(task_id)
        if report is not None and report.status in ENDED:
            return report
        await asyncio.sleep(0.02)
    raise AssertionError(f"{task_id} has not ended")


@in_loop
async def test_a_task_starts_runs_and_is_stopped(world: AnyWorld) -> None:
    engine, ears = await started(world)
    await until(lambda: ears.hosts, "hosts")
    assert world.host in [host.name for host in ears.hosts]
    engine.launch(order(world, "t-1"))
    await ears.hears("t-1", RUNNING)
    engine.signal("t-1", Signal.TERM, epoch=1)
    end = await ears.hears("t-1", *ENDED)
    assert end.status is KILLED
    assert end.message == "stopped on the scheduler's order"
    assert end.timestamp_ms is not None
    assert ears.statuses("t-1") == [STARTING, RUNNING, KILLED]
    assert world.living() == 0
    await engine.stop()


@in_loop
async def test_a_task_ends_by_itself(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.launch(order(world, "t-ok", "batch"))
    engine.launch(order(world, "t-bad", "crash"))
    assert (await ears.hears("t-ok", *ENDED)).status is FINISHED
    end = await ears.hears("t-bad", *ENDED)
    assert end.status is FAILED
    assert "exited with code" in (end.message or "")
    await engine.stop()


@in_loop
async def test_a_double_launch_starts_once(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.launch(order(world, "t-1"))
    engine.launch(order(world, "t-1"))
    await ears.hears("t-1", RUNNING)
    heard = len(ears.reports)
    engine.launch(order(world, "t-1"))
    await until(lambda: len(ears.reports) > heard, "what is known, once more")
    assert ears.reports[-1].status is RUNNING
    assert list(await known(engine)) == ["t-1"]
    if isinstance(world, LocalWorld):
        assert world.runs() == ["t-1"]
    await engine.stop()


@in_loop
async def test_an_ended_task_is_not_launched_again(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.launch(order(world, "t-1", "batch"))
    await ears.hears("t-1", FINISHED)
    heard = len(ears.reports)
    engine.launch(order(world, "t-1", "batch"))
    await until(lambda: len(ears.reports) > heard, "what is known, once more")
    assert [r.status for r in ears.reports[heard:]] == [FINISHED]
    if isinstance(world, LocalWorld):
        assert world.runs() == ["t-1"]
    await engine.stop()


@in_loop
async def test_orders_of_an_older_epoch_are_refused(world: AnyWorld) -> None:
    fenced: list[int] = []
    old, old_ears = world.engine(fenced.append), Ears()
    await old.start(old_ears, epoch=1, lineage="a")
    new, ears = await started(world, epoch=2)
    new.launch(order(world, "t-new", epoch=2))
    await ears.hears("t-new", RUNNING)

    old.launch(order(world, "t-old", epoch=1))
    old.signal("t-new", Signal.KILL, epoch=1)
    old.signal("t-unknown", Signal.TERM, epoch=1)
    await until(lambda: fenced, "told that another one leads")
    assert set(fenced) == {2}
    tasks = await known(new)
    assert {task_id: report.status for task_id, report in tasks.items()} == {"t-new": RUNNING}
    # Neither launched nor buried: the leader may use the id.
    new.launch(order(world, "t-unknown", epoch=2))
    await ears.hears("t-unknown", RUNNING)
    for task_id in ("t-new", "t-unknown"):
        new.signal(task_id, Signal.KILL, epoch=2)
        await ears.hears(task_id, KILLED)
    await old.stop()
    await new.stop()
    with pytest.raises(EngineError, match="epoch 1 is older than 2"):
        await world.engine().start(Ears(), epoch=1, lineage="a")


@in_loop
async def test_of_a_task_on_a_host_that_is_not_its_own_an_engine_says_nothing(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.signal("t-away", Signal.KILL, epoch=1, host="another-machine")
    engine.signal("t-here", Signal.KILL, epoch=1, host=world.host)
    assert (await ears.hears("t-here", *ENDED)).status is LOST
    assert ears.of("t-away") == []
    assert list(await known(engine)) == ["t-here"]
    assert "another-machine" not in (await engine.reconcile()).hosts
    assert world.host in (await engine.reconcile()).hosts
    await engine.stop()


@in_loop
async def test_a_term_in_the_first_second_is_not_lost(world: AnyWorld) -> None:
    engine, ears = await started(world)
    ids = [f"t-{i}" for i in range(10)]
    for task_id in ids:
        engine.launch(order(world, task_id))
        engine.signal(task_id, Signal.TERM, epoch=1)
    for task_id in ids:
        assert (await ears.hears(task_id, *ENDED)).status is KILLED
    assert world.living() == 0
    await engine.stop()


@in_loop
async def test_a_task_that_ignores_term_is_killed(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.launch(order(world, "t-1", "stubborn"))
    await ears.hears("t-1", RUNNING)
    if isinstance(world, LocalWorld):  # the trap stands when it says so
        await until(world.runs, "the task's first words")
    engine.signal("t-1", Signal.TERM, epoch=1)
    await world.is_stubborn("t-1")
    assert (await known(engine))["t-1"].status is RUNNING
    engine.signal("t-1", Signal.KILL, epoch=1)
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    assert world.living() == 0
    await engine.stop()


@in_loop
async def test_an_end_while_nobody_was_attached_is_known(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.launch(order(world, "t-1", "crash"))
    engine.launch(order(world, "t-2"))
    await ears.hears("t-1", STARTING)
    await ears.hears("t-2", RUNNING)
    await engine.stop()
    again, ears = await started(world, epoch=2)
    end = await ended(again, "t-1")
    assert end.status is FAILED
    assert "exited with code" in (end.message or "")
    assert (await known(again))["t-2"].status is RUNNING
    again.signal("t-2", Signal.TERM, epoch=2)
    assert (await ears.hears("t-2", *ENDED)).status is KILLED
    await again.stop()


@in_loop
async def test_a_launch_cut_off_by_a_restart_happens_once_or_not_at_all(world: AnyWorld) -> None:
    engine, _ = await started(world)
    ids = [f"t-{i}" for i in range(10)]
    for task_id in ids:
        engine.launch(order(world, task_id))
    await asyncio.sleep(0)
    await engine.stop()
    again, ears = await started(world, epoch=2)
    present = await known(again)
    for task_id in ids:
        assert present.get(task_id) is None or present[task_id].status in (STARTING, RUNNING)
        if task_id not in present:
            again.launch(order(world, task_id, epoch=2))

    for _ in range(500):
        tasks = await known(again)
        if all(task_id in tasks and tasks[task_id].status is RUNNING for task_id in ids):
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError(f"not all run: {tasks}")
    if isinstance(world, LocalWorld):
        await until(lambda: len(world.runs()) >= len(ids), "all have run")
        assert sorted(world.runs()) == sorted(ids)
    for task_id in ids:
        again.signal(task_id, Signal.KILL, epoch=2)
        await ears.hears(task_id, KILLED)
    await again.stop()


@in_loop
async def test_an_engine_of_another_cluster_or_lineage_with_living_tasks_is_not_ours(world: AnyWorld) -> None:
    engine, ears = await started(world, epoch=5)
    engine.launch(order(world, "t-1", epoch=5))
    await ears.hears("t-1", RUNNING)
    await engine.stop()
    with pytest.raises(EngineError, match=r"1 living tasks .*lineage 'a'.*lineage 'b'"):
        await world.engine().start(Ears(), epoch=6, lineage="b")
    with pytest.raises(EngineError, match=r"cluster 'test'.*cluster 'other'"):
        await world.engine(cluster="other").start(Ears(), epoch=6, lineage="a")
    # Refusing has changed nothing: its owner finds it as it was.
    engine, ears = await started(world, epoch=5)
    assert (await known(engine))["t-1"].status is RUNNING
    engine.signal("t-1", Signal.KILL, epoch=5)
    await ears.hears("t-1", KILLED)
    await engine.stop()
    # Nothing lives any more: another lineage may begin, with epochs of its own.
    other, _ = await started(world, epoch=1, lineage="b")
    assert await known(other) == {}
    await other.stop()


@in_loop
async def test_a_task_called_dead_cannot_be_launched_later(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.signal("t-1", Signal.TERM, epoch=1)
    assert (await ears.hears("t-1", *ENDED)).status is LOST
    heard = len(ears.reports)
    engine.launch(order(world, "t-1"))
    await until(lambda: len(ears.reports) > heard, "LOST, once more")
    assert ears.statuses("t-1") == [LOST, LOST]
    await engine.stop()
    again, ears = await started(world, epoch=2)
    again.launch(order(world, "t-1", epoch=2))
    assert (await ears.hears("t-1", *ENDED)).status is LOST
    assert ears.statuses("t-1") == [LOST]
    assert world.living() == 0
    await again.stop()


@in_loop
async def test_only_ended_tasks_are_forgotten(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.launch(order(world, "t-1", "batch"))
    engine.launch(order(world, "t-2"))
    await ears.hears("t-1", FINISHED)
    await ears.hears("t-2", RUNNING)
    engine.forget(["t-1", "t-2", "t-unknown"])
    assert list(await known(engine)) == ["t-2"]
    engine.signal("t-2", Signal.KILL, epoch=1)
    await ears.hears("t-2", KILLED)
    await engine.stop()
    again, _ = await started(world, epoch=2)
    assert list(await known(again)) == ["t-2"]
    await again.stop()


@in_loop
async def test_what_cannot_be_asked_is_an_error_and_not_an_empty_list(world: AnyWorld) -> None:
    engine, ears = await started(world)
    engine.launch(order(world, "t-1"))
    await ears.hears("t-1", RUNNING)
    await engine.stop()
    with pytest.raises(EngineError):
        await engine.reconcile()
    again, ears = await started(world)
    again.signal("t-1", Signal.KILL, epoch=1)
    await ears.hears("t-1", KILLED)
    await again.stop()


@in_loop
async def test_a_launch_for_a_host_that_is_not_here_is_lost(world: AnyWorld) -> None:
    engine, ears = await started(world)
    wrong = order(world, "t-1")
    engine.launch(type(wrong)(1, "t-1", 0, wrong.config, "elsewhere", ()))
    end = await ears.hears("t-1", *ENDED)
    assert end.status is LOST
    assert "elsewhere" in (end.message or "")
    await engine.stop()


@pytest.mark.timeout(120)
@in_loop
async def test_many_tasks_at_once(world: AnyWorld) -> None:
    engine, ears = await started(world)
    ids = [f"t-{i}" for i in range(MANY)]
    for task_id in ids:
        engine.launch(order(world, task_id))
    for task_id in ids:
        await ears.hears(task_id, RUNNING, secs=60)
    assert {r.status for r in (await known(engine)).values()} == {RUNNING}
    if isinstance(world, LocalWorld):
        await until(lambda: len(world.runs()) >= MANY, "all have run")
        assert sorted(world.runs()) == sorted(ids)
    for task_id in ids:
        engine.signal(task_id, Signal.TERM, epoch=1)
    for task_id in ids:
        assert (await ears.hears(task_id, *ENDED, secs=60)).status is KILLED
    for task_id in ids:
        assert ears.statuses(task_id) == [STARTING, RUNNING, KILLED]
    assert world.living() == 0
    await engine.stop()
