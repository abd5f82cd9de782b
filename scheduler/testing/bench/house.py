"""One scheduler without ports, for benchmarks: the production controller and changelog on the simulated engine's model.

It drives the controller as `leadership/driver.py` does, with the event stream that every scheduler keeps. The engine's
socket and process are left out, because they are not what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path

from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.contracts import LaunchOrder, Signal
from scheduler.controller.controller import Controller
from scheduler.core import takeover
from scheduler.core.effects import Effect, Launch, Terminate
from scheduler.core.policy import Policy
from scheduler.core.state import State, apply
from scheduler.core.transaction import World
from scheduler.engines.simulated import model
from scheduler.engines.simulated.options import Options
from scheduler.stream.reader import Stream

AT_ONCE = Options(hosts=1, cpus=1e6, ram_mb=10**9, disk_mb=10**9, start_ms=0, run_ms=0, stop_ms=0)
"""One host with room for everything, where everything happens at once."""

REPORTS_PER_DECISION = 50
"""As `leadership/driver.py` takes them: in slices, so that a decision stays short."""


class RealClock:
    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class House:
    """Run `turn` until nothing is left to do, or `run` beside other work on the loop."""

    def __init__(self, folder: Path, policy: Policy | None = None) -> None:
        self.changelog = SqliteChangelog(folder, "bench")
        state = State()
        loaded = self.changelog.load(lambda op: apply(state, op))
        ids = (f"{i:032x}" for i in itertools.count(1))
        world = World(policy or Policy(), "bench", lambda: next(ids), random.Random(0).random)
        self.controller = Controller(state, world, RealClock(), epoch=1, offset=loaded.offset)
        self.controller.write(takeover.begin_epoch, 1)
        self.stream = Stream()
        self.stream.begin_epoch(self.changelog.lineage, loaded.offset)
        self.stream.open()
        self.entries = 0
        self._engine = model.Model(AT_ONCE)
        self.controller.write(takeover.offer_hosts, self._engine.hosts())
        self._engine.begin(model.Begin("bench", "bench", 1))
        self._work = asyncio.Event()
        self.controller.ready = self._work.set

    async def turn(self) -> bool:
        """Deadlines, one commit, its effects, what the engine says of them. Returns whether more is due."""
        controller = self.controller
        more = controller.tick()
        if more:
            await asyncio.sleep(0)
        entry = controller.next_entry(b"\0" * 16)
        if entry is not None:
            await self.changelog.append(entry)
            controller.committed(entry.offset)
            self.stream.committed(entry)
            self.entries += 1
        await self._carry_out(controller.take_effects())
        if controller.failures:
            raise controller.failures[0][1]
        return more or entry is not None or controller.decided_offset > controller.durable_offset

    async def _carry_out(self, effects: Sequence[Effect]) -> None:
        orders: list[model.Order] = []
        for effect in effects:
            if isinstance(effect, Launch):
                task = effect.task
                order = LaunchOrder(1, task.task_id, task.instance_id, task.config, task.host or "", task.ports)
                orders.append(model.Launch.of(order))
            elif isinstance(effect, Terminate):
                orders.append(model.Send(1, effect.task_id, Signal.KILL if effect.hard else Signal.TERM))
        now_ms = self.controller.clock.mono_ms()
        reports = list(self._engine.step(now_ms, orders).reports)
        while (next_ms := self._engine.next_ms()) is not None and next_ms <= now_ms:
            reports += self._engine.step(now_ms).reports
        for start in range(0, len(reports), REPORTS_PER_DECISION):
            slice_ = reports[start : start + REPORTS_PER_DECISION]
            rows = [(r.task_id, r.status, r.message, None) for r in slice_]
            self.controller.write(takeover.take_reports, rows)
            await asyncio.sleep(0)

    async def settle(self) -> None:
        while await self.turn():
            pass

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not await self.turn():
                self._work.clear()
                next_ms = self.controller.deadlines.next_ms()
                wait_s = None if next_ms is None else max(0, next_ms - self.controller.clock.mono_ms()) / 1000
                try:
                    await asyncio.wait_for(self._work.wait(), wait_s)
                except TimeoutError:
                    continue
            await asyncio.sleep(0)


class Ticker:
    """How late a 5 ms timer of the loop fires: for how long the loop stood still."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self.own_ms = 0.0
        """The longest lateness, counting no more of each than the CPU time that the loop's thread took meanwhile: what
        is left of it on a machine that does nothing else."""
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            before, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.005)
            late_ms = (time.perf_counter() - before) * 1000 - 5
            self.late_ms.append(late_ms)
            self.own_ms = max(self.own_ms, min(late_ms, (time.thread_time() - cpu) * 1000))

    def stop(self) -> list[float]:
        """All lateness, ascending, in milliseconds."""
        self._task.cancel()
        return sorted(self.late_ms) or [0.0]


def percentile(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]
