"""The simulated engine's process and its client: it outlives schedulers, and its own death is no empty list."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.contracts import EngineError, LaunchOrder
from scheduler.core.records import TaskStatus
from scheduler.engines.simulated import Options, SimulatedEngine, ensure_server, stop_server
from tests.engines.worlds import Ears, SimulatedWorld, command, in_loop, order, until

RUNNING, LOST = TaskStatus.RUNNING, TaskStatus.LOST


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SimulatedWorld]:
    made = SimulatedWorld(tmp_path)
    yield made
    made.close()


def test_one_server_for_each_socket(world: SimulatedWorld) -> None:
    assert world.pid is not None
    assert ensure_server(world.socket, Options()) is None


def test_a_server_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.sock").mkdir()
    with pytest.raises(EngineError, match=r"did not start .* see .*a\.sock\.log"):
        ensure_server(tmp_path / "a.sock", Options())


@in_loop
async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be reached: No such file"):
        await SimulatedEngine(tmp_path / "none" / "a.sock", cluster="test").start(Ears(), epoch=1, lineage="a")


@in_loop
async def test_the_server_dies_and_comes_back(world: SimulatedWorld) -> None:
    engine, ears = world.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(world, "t-1"))
    await ears.hears("t-1", RUNNING)
    stop_server(world.socket)
    assert world.pid is not None
    await asyncio.to_thread(os.waitpid, world.pid, 0)
    for _ in range(1000):
        try:
            await engine.reconcile()
        except EngineError:
            break
        await asyncio.sleep(0)
    else:
        raise AssertionError("still reached")
    engine.launch(order(world, "t-2"))  # waits for it
    world.pid = await asyncio.to_thread(ensure_server, world.socket, Options(seed=1))
    await ears.hears("t-2", RUNNING)
    snapshot = await engine.reconcile()
    assert [r.task_id for r in snapshot.tasks] == ["t-2"]  # its tasks died with it, and it says so
    await engine.stop()


@in_loop
async def test_a_lost_host_is_no_longer_offered(world: SimulatedWorld) -> None:
    engine, ears = world.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    await until(lambda: len(ears.hosts) == 3, "three hosts")
    engine.launch(order(world, "t-1"))
    await ears.hears("t-1", RUNNING)
    engine.lose_host("host-0")
    await ears.hears("t-1", LOST)
    await until(lambda: [h.name for h in ears.hosts] == ["host-1", "host-2"], "two hosts")
    engine.restore_host("host-0")
    await until(lambda: len(ears.hosts) == 3, "three hosts")
    await engine.stop()


@in_loop
async def test_thousands_of_transitions_a_second(world: SimulatedWorld) -> None:
    engine, ears = world.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    config = command("unused")
    began = time.monotonic()
    for i in range(3000):
        engine.launch(LaunchOrder(1, f"t-{i}", i, config, f"host-{i % 3}", ()))
    await until(lambda: len(ears.reports) >= 6000, "STARTING and RUNNING of all")
    assert time.monotonic() - began < 10
    assert {len(ears.statuses(f"t-{i}")) for i in range(0, 3000, 100)} == {2}
    await engine.stop()
