"""The composition root: the only module that knows every other. One `Server` is one `thesan serve`.

Start: take the data folder, open the ports (every request is told to try again), then wait to be elected, which a
scheduler alone always is. To lead is: read the log to its end, begin the epoch, attach the engine, answer, advertise,
reconcile with the engine. When the store refuses an entry or the term is over, leadership ends: memory and deadlines
are thrown away, and the scheduler takes part anew with what is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator

from scheduler.app.driver import Driver
from scheduler.app.edge import Edge
from scheduler.app.engines import make_engine, make_policy
from scheduler.app.members import Members
from scheduler.app.ports import CannotStart
from scheduler.app.status import Status
from scheduler.changelog.errors import DataDirRefused, Unreadable
from scheduler.changelog.gc_policy import quiet_moment
from scheduler.contracts import ChangelogError, EngineError, Fenced, Outcome, OutcomeUnknown, Unavailable
from scheduler.controller.controller import Controller
from scheduler.controller.gateway import Gateway
from scheduler.core import pruning, takeover
from scheduler.core.transaction import World
from scheduler.leadership.race import cancel
from scheduler.leadership.term import Membership, Term
from scheduler.lifecycle import Input, Lifecycle
from scheduler.settings import Settings
from scheduler.stream.reader import Stream
from scheduler.timers import Timers
from scheduler.zk.serverset import Endpoint

LOG = logging.getLogger("thesan")

QUIET_MOMENT_EVERY_S = 300
RECONCILE_AGAIN_AFTER_S = 5
DRAIN_S = 5
"""In which a leader that stops must have committed what it decided."""
SETTLE_S = 1
"""How long a leader that is none any more waits to learn what became of its last entry."""
RETRY_AFTER_S = 1
"""How long a scheduler whose store or engine refused it waits before it tries to lead again."""


class SystemClock:
    """The two clocks of this machine. The second counts on while the machine sleeps, as a lease must."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Server:
    """One scheduler: alone with its own store, or one of several with theirs in ZooKeeper."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.gateway = Gateway()
        self.lifecycle = Lifecycle()
        self.status = Status(settings.cluster_name, self.clock.wall_ms(), self.gateway, self.lifecycle)
        self.stream = Stream()
        self.members = Members(settings, self.stream, self.lifecycle)
        self.edge = Edge(settings, self.gateway, self.status, self.stream, self.members.leader)
        self.status.add(self.members.metrics)
        self._stop = asyncio.Event()
        self._superseded: asyncio.Future[str] | None = None
        self._has_led = False

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises CannotStart."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            membership = await self._join()
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(self.edge)
                self.members.own = Endpoint(self.settings.advertised_host, self.edge.http_port)
                await self._lead_until_stopped(membership)
                self.lifecycle.feed(Input.STOP_ASKED)
        except (DataDirRefused, Unreadable, OSError) as wrong:
            raise CannotStart(str(wrong)) from wrong

    async def _join(self) -> Membership:
        """Take the data directory; a disk that is full or away is waited for. Raises what no waiting mends."""
        while True:
            try:
                return self.members.join()
            except Unavailable as wrong:
                LOG.error("the changelog cannot be opened, tried again soon: %s", wrong)
                if await self._stopped_within(RETRY_AFTER_S):
                    raise CannotStart(str(wrong)) from wrong

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    async def _lead_until_stopped(self, membership: Membership) -> None:
        while not self._stop.is_set():
            try:
                term = await self._elected(membership)
                if term is not None:
                    await self._lead(term)
            except (ChangelogError, EngineError) as wrong:
                if isinstance(wrong, EngineError) and not self._has_led:
                    raise CannotStart(str(wrong)) from wrong
                LOG.error("leadership ended: %s", wrong)
                self.gateway.close(f"The scheduler does not lead now: {wrong}")
                await self._stopped_within(RETRY_AFTER_S)
            finally:
                self.lifecycle.feed(Input.DEPOSED)
                await membership.close()
            if not self._stop.is_set():
                self.edge.hang_up()
                membership = await self._join()

    async def _elected(self, membership: Membership) -> Term | None:
        """None when the server is to stop first."""
        electing = asyncio.create_task(membership.elected(lambda: self._feed(Input.ELECTED)), name="election")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait((electing, stopped), return_when=asyncio.FIRST_COMPLETED)
            return electing.result() if electing.done() else None
        finally:
            await cancel(electing, stopped)

    async def _lead(self, term: Term) -> None:
        try:
            async with self._leading(term) as driver:
                await self._drive(driver, term)
        finally:
            await term.leave()

    @contextlib.asynccontextmanager
    async def _leading(self, term: Term) -> AsyncIterator[Driver]:
        """Everything of one epoch. Nothing made here outlives it."""
        reading = self.members.reading
        controller = Controller(term.state, self._world(), self.clock, epoch=term.epoch, offset=term.offset)
        self._superseded = asyncio.get_running_loop().create_future()
        engine = make_engine(self.settings, on_fenced=self._fenced)
        driver = Driver(controller, term.changelog, engine, durable=reading.committed, permission=term.permission)
        outcome = Outcome.REFUSED
        try:
            controller.write(takeover.begin_epoch, term.epoch)
            await driver.flush()
            term.steps.done("begin")
            self.status.lineage = term.lineage
            await engine.start(driver, epoch=term.epoch, lineage=term.lineage)
            term.steps.done("engine")
            self._feed(Input.EPOCH_BEGUN)
            self.gateway.open(controller, term.permission)
            self._has_led = True
            await term.advertise()
            term.steps.done("advertise")
            tasks, updates = len(term.state.tasks), len(term.state.updates)
            LOG.info("leading: epoch %d, %d tasks, %d updates; %s", term.epoch, tasks, updates, term.steps)
            self.status.steps = term.steps
            yield driver
        except OutcomeUnknown:
            outcome = Outcome.UNKNOWN
            raise
        finally:
            if driver.is_appending and not isinstance(sys.exception(), (Fenced, Unavailable)):
                outcome = Outcome.UNKNOWN
            self.gateway.close("The scheduler does not lead.")
            reading.close("The scheduler does not lead.")
            controller.end(outcome)
            await engine.stop()

    async def _drive(self, driver: Driver, term: Term) -> None:
        """Until the server is to stop or the term is over. Raises ChangelogError when that leaves something undone."""
        timers = self._timers(driver)
        timers.start()
        assert self._superseded is not None
        driving = asyncio.create_task(driver.run(), name="driver")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        over = asyncio.create_task(term.over(self._permitted), name="term")
        reconciling = asyncio.create_task(self._reconcile(driver, term), name="reconcile")
        try:
            ends = (driving, stopped, over, self._superseded)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            ended = over.done()
            why = "The scheduler is stopping." if stopped.done() else "The scheduler does not lead any more."
            self.gateway.close(why)
            self.stream.close(why)
            if self._superseded.done():
                raise Fenced(self._superseded.result())
            if ended and over.exception() is not None:
                await asyncio.wait((driving,), timeout=SETTLE_S)  # what is in flight may yet be known
            else:
                await term.withdraw()
                driver.stop()
                await asyncio.wait((driving,), timeout=DRAIN_S)
            if driving.done():
                driving.result()
            if ended:
                LOG.warning("leadership ended: %s", over.result())
        finally:
            timers.stop()
            await cancel(driving, stopped, over, reconciling)

    def _timers(self, driver: Driver) -> Timers:
        timers = Timers()
        prune_s = self.settings.prune_interval_ms / 1000
        timers.every("prune tasks", prune_s, lambda: driver.attempt(pruning.prune_tasks))
        timers.every("prune updates", prune_s, lambda: driver.attempt(pruning.prune_updates))
        timers.every("quiet moment", QUIET_MOMENT_EVERY_S, quiet_moment)
        return timers

    def _feed(self, what: Input) -> None:
        before = self.lifecycle.stage
        if self.lifecycle.feed(what):
            LOG.info("%s: %s, was %s", what.value, self.lifecycle.stage.value, before.value)

    def _permitted(self, may: bool) -> None:
        self._feed(Input.STORE_BACK if may else Input.STORE_LOST)

    async def _reconcile(self, driver: Driver, term: Term) -> None:
        """Until engine and state agree. An engine that cannot tell is asked again."""
        while True:
            try:
                await driver.reconcile(again_after_s=RECONCILE_AGAIN_AFTER_S)
                term.steps.done("reconcile")
                return
            except EngineError as wrong:
                LOG.warning("the engine cannot tell what runs, asked again soon: %s", wrong)
                await asyncio.sleep(RECONCILE_AGAIN_AFTER_S)

    def _fenced(self, newer_epoch: int) -> None:
        why = f"the engine has seen epoch {newer_epoch}: another scheduler leads"
        if self.settings.zk_endpoints is None:
            LOG.error("%s; stopping", why)  # it has another log: to begin again would be to fight over the engine
            self._stop.set()
        elif self._superseded is not None and not self._superseded.done():
            self._superseded.set_result(why)

    def _world(self) -> World:
        settings = self.settings
        return World(make_policy(settings), settings.hostname, lambda: str(uuid.uuid4()), random.random)
