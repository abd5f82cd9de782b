"""The composition root: the only module that knows every other. One `Server` is one `thesan serve`.

Start: take the data folder, open the ports (every request is told to try again), then lead. To lead is: load the state,
begin the epoch, attach the engine, reconcile with it, answer. When the store refuses an entry, leadership ends: memory
and deadlines are thrown away, and the next epoch begins from what is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator

from scheduler.app.driver import Driver
from scheduler.app.edge import Edge
from scheduler.app.engines import make_engine, make_policy
from scheduler.app.following import Following
from scheduler.app.ports import CannotStart
from scheduler.app.status import Status
from scheduler.changelog.errors import DataDirRefused, Unreadable
from scheduler.changelog.gc_policy import quiet_moment
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.contracts import ChangelogError, EngineError, Outcome, OutcomeUnknown, Unavailable
from scheduler.controller.controller import Controller
from scheduler.controller.gateway import Gateway
from scheduler.core import pruning, takeover
from scheduler.core.ops import Op
from scheduler.core.state import State, apply
from scheduler.core.transaction import World
from scheduler.lifecycle import Input, Lifecycle
from scheduler.settings import Settings
from scheduler.stream.reader import Stream
from scheduler.timers import Timers

LOG = logging.getLogger("thesan")

QUIET_MOMENT_EVERY_S = 300
RECONCILE_AGAIN_AFTER_S = 5
RETRY_AFTER_S = 1
"""How long a scheduler whose store or engine refused it waits before it tries to lead again."""


class SystemClock:
    """The two clocks of this machine. The second counts on while the machine sleeps, as a lease must."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Server:
    """One scheduler in embedded mode: it leads whenever its own store lets it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.gateway = Gateway()
        self.lifecycle = Lifecycle()
        self.status = Status(settings.cluster_name, self.clock.wall_ms(), self.gateway, self.lifecycle)
        self.stream = Stream()
        self.edge = Edge(settings, self.gateway, self.status, self.stream)
        self._stop = asyncio.Event()
        self._has_led = False

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises CannotStart."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            changelog = await self._open()
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(self.edge)
                await self._lead_until_stopped(changelog)
                self.lifecycle.feed(Input.STOP_ASKED)
        except (DataDirRefused, Unreadable, OSError) as wrong:
            raise CannotStart(str(wrong)) from wrong

    async def _open(self) -> SqliteChangelog:
        """Take the folder; a disk that is full or away is waited for. Raises what no waiting mends."""
        while True:
            try:
                return SqliteChangelog(self.settings.data_dir, self.settings.cluster_name)
            except Unavailable as wrong:
                LOG.error("the changelog cannot be opened, tried again soon: %s", wrong)
                if await self._stopped_within(RETRY_AFTER_S):
                    raise CannotStart(str(wrong)) from wrong

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    async def _lead_until_stopped(self, changelog: SqliteChangelog) -> None:
        while not self._stop.is_set():
            self.lifecycle.feed(Input.ELECTED)
            try:
                async with self._leading(changelog) as driver:
                    await self._drive(driver)
            except (ChangelogError, EngineError) as wrong:
                if isinstance(wrong, EngineError) and not self._has_led:
                    raise CannotStart(str(wrong)) from wrong
                LOG.error("leadership ended: %s", wrong)
                self.gateway.close(f"The scheduler does not lead now: {wrong}")
                await self._stopped_within(RETRY_AFTER_S)
            finally:
                self.lifecycle.feed(Input.DEPOSED)
                await changelog.close()
            if not self._stop.is_set():
                changelog = await self._open()

    @contextlib.asynccontextmanager
    async def _leading(self, changelog: SqliteChangelog) -> AsyncIterator[Driver]:
        """Everything of one epoch. Nothing made here outlives it."""
        state = State()
        following = Following(self.stream, changelog)

        def take(op: Op) -> None:
            apply(state, op)
            following.applied(op)

        loaded = changelog.load(take, following.passed)
        epoch = loaded.epoch + 1
        controller = Controller(state, self._world(), self.clock, epoch=epoch, offset=loaded.offset)
        engine = make_engine(self.settings, on_fenced=self._fenced)
        driver = Driver(controller, changelog, engine, durable=following.committed)
        outcome = Outcome.REFUSED
        try:
            following.loaded(loaded.offset)
            controller.write(takeover.begin_epoch, epoch)
            await driver.flush()
            self.status.lineage = changelog.lineage
            await engine.start(driver, epoch=epoch, lineage=changelog.lineage)
            self.lifecycle.feed(Input.EPOCH_BEGUN)
            self.gateway.open(controller)
            self._has_led = True
            LOG.info("leading: epoch %d, %d tasks, %d updates", epoch, len(state.tasks), len(state.updates))
            yield driver
        except OutcomeUnknown:
            outcome = Outcome.UNKNOWN
            raise
        finally:
            self.gateway.close("The scheduler does not lead.")
            following.close("The scheduler does not lead.")
            controller.end(outcome)
            await engine.stop()

    async def _drive(self, driver: Driver) -> None:
        """Until the server is to stop or the driver ends, which it only does by raising."""
        timers = Timers()
        prune_s = self.settings.prune_interval_ms / 1000
        timers.every("prune tasks", prune_s, lambda: driver.controller.attempt(pruning.prune_tasks))
        timers.every("prune updates", prune_s, lambda: driver.controller.attempt(pruning.prune_updates))
        timers.every("quiet moment", QUIET_MOMENT_EVERY_S, quiet_moment)
        timers.start()
        driving = asyncio.create_task(driver.run(), name="driver")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        reconciling = asyncio.create_task(self._reconcile(driver), name="reconcile")
        try:
            await asyncio.wait((driving, stopped), return_when=asyncio.FIRST_COMPLETED)
            self.gateway.close("The scheduler is stopping.")
            self.stream.close("The scheduler is stopping.")
            driver.stop()
            await driving
        finally:
            timers.stop()
            for task in (driving, stopped, reconciling):
                task.cancel()
            await asyncio.gather(driving, stopped, reconciling, return_exceptions=True)

    async def _reconcile(self, driver: Driver) -> None:
        """Until engine and state agree. An engine that cannot tell is asked again."""
        while True:
            try:
                await driver.reconcile(again_after_s=RECONCILE_AGAIN_AFTER_S)
                return
            except EngineError as wrong:
                LOG.warning("the engine cannot tell what runs, asked again soon: %s", wrong)
                await asyncio.sleep(RECONCILE_AGAIN_AFTER_S)

    def _fenced(self, newer_epoch: int) -> None:
        LOG.error("the engine has seen epoch %d: another scheduler leads; stopping", newer_epoch)
        self._stop.set()

    def _world(self) -> World:
        settings = self.settings
        return World(make_policy(settings), settings.hostname, lambda: str(uuid.uuid4()), random.random)
