"""The event loop's side of the controller: it appends entries, carries out effects and wakes for deadlines.

The controller decides; this file only fetches and carries. It is the one place where an effect meets the engine, and
every effect it gets belongs to a durable decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from scheduler.contracts import (
    ALWAYS,
    Changelog,
    Coordinators,
    Engine,
    Entry,
    Fenced,
    LaunchOrder,
    Outcome,
    Permission,
    Signal,
    TaskReport,
    Unavailable,
)
from scheduler.controller.controller import Controller
from scheduler.core import takeover
from scheduler.core.answers import Answer
from scheduler.core.effects import AskCoordinator, Effect, Forget, Launch, Reconcile, Say, StepDown, Terminate
from scheduler.core.records import Host
from scheduler.failpoints import failpoint
from scheduler.leadership.reconciling import Reconciler

LOG = logging.getLogger("thesan")

EFFECTS_PER_SLICE = 100
"""Then others have their turn."""

REPORTS_PER_SLICE = 50
"""In one decision. A host that dies, or an engine that is asked for everything, tells of thousands of tasks at once."""


class Driver:
    """Drives one controller for as long as it leads. Also the listener of its engine.

    `durable` is told each entry that was appended, in order.
    """

    def __init__(
        self,
        controller: Controller,
        changelog: Changelog,
        engine: Engine,
        *,
        durable: Callable[[Entry], None],
        permission: Permission = ALWAYS,
    ) -> None:
        self.controller = controller
        self._changelog = changelog
        self._engine = engine
        self._durable = durable
        self._permission = permission
        self._held_back: list[Callable[[], object]] = []
        """What the engine told while we were suspended: it is weighed once we may decide again."""
        self._work = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._reports: deque[TaskReport] = deque()
        """What the engine told and nobody has looked at yet."""
        self.reconciler = Reconciler(controller, engine, self, permission)
        self.coordinators: Coordinators | None = None
        """None: nobody is asked, as in a bench."""
        self._stopping = False
        self.in_flight = Outcome.REFUSED
        """What is known of the entry that was appended last, should this be the end."""
        controller.ready = self._work.set

    async def run(self) -> None:
        """Until asked to stop, or until the changelog refuses an entry (`ChangelogError`): then leadership is over."""
        try:
            while not self._stopping or self._owes:
                await self._work.wait()
                self._work.clear()
                await self._turn()
        finally:
            self._reports.clear()
            if self._alarm is not None:
                self._alarm.cancel()

    async def _turn(self) -> None:
        await self._permitted()
        if self.controller.tick():
            self._work.set()
            await asyncio.sleep(0)  # a full slice of decisions: encoding them is the next slice
        self._log_failures()
        await self._commit()
        if self._owes:
            self._work.set()
        self._set_alarm()

    async def _commit(self) -> None:
        await self._append()
        await self._permission.regained()
        for count, effect in enumerate(self.controller.take_effects(), 1):
            self._perform(effect)
            if count % EFFECTS_PER_SLICE == 0:
                await asyncio.sleep(0)
                await self._permission.regained()

    async def _append(self) -> None:
        entry = self.controller.next_entry(uuid4().bytes)
        if entry is not None:
            failpoint("after-decide")
            self.in_flight = Outcome.UNKNOWN
            try:
                await self._changelog.append(entry)
            except (Fenced, Unavailable):
                self.in_flight = Outcome.REFUSED
                raise
            self.in_flight = Outcome.DURABLE
            failpoint("after-commit")
            self.controller.committed(entry.offset)
            failpoint("after-acknowledge")
            self._durable(entry)

    async def flush(self) -> None:
        """Append what is decided and start nothing: the first entry of an epoch, before the engine is there."""
        while self._owes:
            await self._append()

    def stop(self) -> None:
        """Let `run` end as soon as everything that was decided is committed and carried out."""
        self._stopping = True
        self._work.set()

    @property
    def _owes(self) -> bool:
        """Is anything decided that is not durable yet?"""
        return self.controller.decided_offset > self.controller.durable_offset

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        next_ms = self.controller.deadlines.next_ms()
        if next_ms is not None:
            wait_s = max(0, next_ms - self.controller.clock.mono_ms()) / 1000
            self._alarm = asyncio.get_running_loop().call_later(wait_s, self._work.set)

    def _log_failures(self) -> None:
        for what, failure in self.controller.failures:
            LOG.error("%s raised and changed nothing: %s", what, failure, exc_info=failure)
        self.controller.failures.clear()

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Say):
            LOG.info("%s: %s", effect.subject, effect.sentence)
            return
        if isinstance(effect, StepDown):
            raise Unavailable(effect.why)
        failpoint("before-effect")
        if isinstance(effect, Launch):
            task = effect.task
            assert task.host is not None
            self._engine.launch(
                LaunchOrder(self.controller.epoch, task.task_id, task.instance_id, task.config, task.host, task.ports)
            )
        elif isinstance(effect, Terminate):
            signal = Signal.KILL if effect.hard else Signal.TERM
            self._engine.signal(effect.task_id, signal, epoch=self.controller.epoch, host=effect.host)
        elif isinstance(effect, Forget):
            self._engine.forget(effect.task_ids)
        elif isinstance(effect, AskCoordinator):
            if self.coordinators is not None:
                self.coordinators.ask(effect)
        elif isinstance(effect, Reconcile):
            self.reconciler.ask(effect)
        failpoint("after-effect")

    # --- the engine tells ---

    def reported(self, reports: Sequence[TaskReport]) -> None:
        was_idle = not self._reports
        self._reports.extend(reports)
        if was_idle:
            self._take_reports()

    def _take_reports(self) -> None:
        """A slice of what was told, in order; the next slice in the loop's next turn, or when we may decide again."""
        if not self._permission.is_valid:
            self._hold_back(self._take_reports)
            return
        told = [self._reports.popleft() for _ in range(min(len(self._reports), REPORTS_PER_SLICE))]
        if told:
            rows = [(report.task_id, report.status, report.message, report.timestamp_ms) for report in told]
            self.controller.attempt(takeover.take_reports, rows)
        if self._reports:
            asyncio.get_running_loop().call_soon(self._take_reports)

    def hosts_changed(self, hosts: Sequence[Host]) -> None:
        self.attempt(takeover.offer_hosts, hosts)
        self.controller.want_placement()

    def attempt(self, decision: Callable[..., Answer | None], *args: Any) -> None:
        """A decision nobody waits for, now or as soon as we may decide."""
        if self._permission.is_valid:
            self.controller.attempt(decision, *args)
        else:
            self._hold_back(partial(self.controller.attempt, decision, *args))

    def _hold_back(self, decide: Callable[[], object]) -> None:
        self._held_back.append(decide)
        self._work.set()

    async def _permitted(self) -> None:
        """Wait until we may decide and act, and weigh what came meanwhile."""
        await self._permission.regained()
        held_back, self._held_back = self._held_back, []
        for decide in held_back:
            decide()

    async def all_weighed(self) -> None:
        """Until everything the engine told is decided about, and we may decide."""
        await self._permitted()  # weighs what was held back: the driver itself may be waiting for a commit
        while self._reports:
            await asyncio.sleep(0)
            await self._permitted()
