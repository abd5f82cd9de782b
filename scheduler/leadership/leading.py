"""Leading, again and again: be elected, lead until that ends, throw memory and deadlines away, take part anew.

To lead is: read the log to its end, begin the epoch, attach the engine, answer, advertise, reconcile with the engine.
When the store refuses an entry or the term is over, leadership ends. No sockets and no settings here: the program
around it is a `House`, the server's or the simulator's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from scheduler.contracts import ChangelogError, Coordinators, Engine, EngineError, Entry, Fenced, Unavailable
from scheduler.controller.controller import Controller
from scheduler.controller.gateway import Gateway
from scheduler.core import takeover
from scheduler.leadership.driver import Driver
from scheduler.leadership.race import cancel
from scheduler.leadership.term import Membership, Term
from scheduler.lifecycle import Input, Lifecycle

LOG = logging.getLogger("thesan")

DRAIN_S: Final = 5
"""In which a leader that stops must have committed what it decided."""
SETTLE_S: Final = 1
"""How long a leader that is none any more waits to learn what became of its last entry."""
RETRY_AFTER_S: Final = 1
"""How long a scheduler whose store or engine refused it waits before it tries to lead again."""


class CannotLead(Exception):
    """No waiting mends it; the sentence says why."""


class Periodic(Protocol):
    """What is done now and then while leading."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class House(Protocol):
    """What is around a scheduler that takes part."""

    gateway: Gateway
    lifecycle: Lifecycle

    def join(self) -> Membership:
        """Begin to take part. Raises Unavailable when that is to be tried again."""

    def controller(self, term: Term) -> Controller:
        """One for this term, of its state."""

    def engine(self, on_fenced: Callable[[int], None]) -> Engine:
        """Not yet attached. `on_fenced` is told of a newer epoch."""

    def periodic(self, driver: Driver) -> Periodic: ...

    def coordinators(self, driver: Driver) -> Coordinators: ...

    def committed(self, entry: Entry) -> None:
        """This scheduler's own entry is durable."""

    def begun(self, term: Term) -> None:
        """It answers from now on: what its answers need must be there."""

    def leads(self, term: Term) -> None:
        """It answers and is advertised."""

    def closing(self, why: str) -> None:
        """It answers no more in this term. What was decided may still be committed."""

    def closed(self, why: str) -> None:
        """Nothing more is committed."""

    def hang_up(self) -> None:
        """Whoever is still connected shall look for the leader again."""


class Leading:
    """Of one process, until `stop` is set."""

    def __init__(self, house: House, stop: asyncio.Event, *, is_alone: bool) -> None:
        """`is_alone`: a newer epoch at the engine is that of another log, and ends this process."""
        self._house = house
        self._stop = stop
        self._is_alone = is_alone
        self._superseded: asyncio.Future[str] | None = None
        self._has_led = False

    async def join(self) -> Membership:
        """A disk that is full or away is waited for. Raises CannotLead, and what no waiting mends."""
        while True:
            try:
                return self._house.join()
            except Unavailable as wrong:
                LOG.error("the changelog cannot be opened, tried again soon: %s", wrong)
                if await self._stopped_within(RETRY_AFTER_S):
                    raise CannotLead(str(wrong)) from wrong

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    async def until_stopped(self, membership: Membership) -> None:
        """Raises CannotLead, Unreadable."""
        while not self._stop.is_set():
            try:
                term = await self._elected(membership)
                if term is not None:
                    await self._lead(term)
            except (ChangelogError, EngineError) as wrong:
                if isinstance(wrong, EngineError) and not self._has_led:
                    raise CannotLead(str(wrong)) from wrong
                LOG.error("leadership ended: %s", wrong)
                self._house.gateway.close(f"The scheduler does not lead now: {wrong}")
                await self._stopped_within(RETRY_AFTER_S)
            finally:
                self._feed(Input.STOP_ASKED if self._stop.is_set() else Input.DEPOSED)
                await membership.close()
            if not self._stop.is_set():
                self._house.hang_up()
                membership = await self.join()
        self._feed(Input.STOP_ASKED)  # of one that was never elected, too

    async def _elected(self, membership: Membership) -> Term | None:
        """None when the process is to stop first."""
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
        house = self._house
        controller = house.controller(term)
        self._superseded = asyncio.get_running_loop().create_future()
        engine = house.engine(self._fenced)
        driver = Driver(controller, term.changelog, engine, durable=house.committed, permission=term.permission)
        try:
            controller.write(takeover.begin_epoch, term.epoch)
            await driver.flush()
            term.steps.done("begin")
            await engine.start(driver, epoch=term.epoch, lineage=term.lineage)
            term.steps.done("engine")
            self._feed(Input.EPOCH_BEGUN)
            house.begun(term)
            house.gateway.open(controller, term.permission)
            self._has_led = True
            await term.advertise()
            term.steps.done("advertise")
            tasks, updates = len(term.state.tasks), len(term.state.updates)
            LOG.info("leading: epoch %d, %d tasks, %d updates; %s", term.epoch, tasks, updates, term.steps)
            house.leads(term)
            yield driver
        finally:
            house.gateway.close("The scheduler does not lead.")
            house.closed("The scheduler does not lead.")
            controller.end(driver.in_flight)
            await engine.stop()

    async def _drive(self, driver: Driver, term: Term) -> None:
        """Until the process is to stop or the term is over. Raises ChangelogError when that leaves something undone."""
        periodic = self._house.periodic(driver)
        periodic.start()
        driver.coordinators = coordinators = self._house.coordinators(driver)
        assert self._superseded is not None
        driving = asyncio.create_task(driver.run(), name="driver")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        over = asyncio.create_task(term.over(self._permitted), name="term")
        reconciling = asyncio.create_task(driver.reconciler.run(lambda: term.steps.done("reconcile")), name="reconcile")
        try:
            ends = (driving, stopped, over, self._superseded)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            ended = over.done()
            why = "The scheduler is stopping." if stopped.done() else "The scheduler does not lead any more."
            self._house.gateway.close(why)
            self._house.closing(why)
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
            periodic.stop()
            await coordinators.stop()
            await cancel(driving, stopped, over, reconciling)

    def _feed(self, what: Input) -> None:
        before = self._house.lifecycle.stage
        if self._house.lifecycle.feed(what):
            LOG.info("%s: %s, was %s", what.value, self._house.lifecycle.stage.value, before.value)

    def _permitted(self, may: bool) -> None:
        self._feed(Input.STORE_BACK if may else Input.STORE_LOST)

    def _fenced(self, newer_epoch: int) -> None:
        why = f"the engine has seen epoch {newer_epoch}: another scheduler leads"
        if self._is_alone:
            LOG.error("%s; stopping", why)  # it has another log: to begin again would be to fight over the engine
            self._stop.set()
        elif self._superseded is not None and not self._superseded.done():
            self._superseded.set_result(why)
