"""Making engine and state agree: when leadership begins, every so often, and when somebody asks.

*Explicit* reconciliation asks whether everything runs that should, *implicit* whether anything runs that should not:
the words and the timers are Aurora's. An engine here tells all it has in one list, which answers both. So both are
done when leadership begins, and two that are due together take one list.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

from scheduler.contracts import Engine, EngineError, EngineSnapshot, Permission, TaskReport
from scheduler.controller.controller import Controller
from scheduler.core import takeover
from scheduler.core.effects import Reconcile
from scheduler.core.records import ASSIGNED_STATES, TaskStatus

LOG = logging.getLogger("thesan")

AGAIN_AFTER_S: Final = 5
"""What is missing is looked for once more, so much later, before it is called LOST."""
MOST_AT_ONCE: Final = 10_000
"""Tasks in one decision, whatever is asked for: it must not hold up the loop for long."""
_EARLY_S: Final = 0.001
"""A timer of the loop may ring by less than that before its time: it is due all the same, and nobody spins."""

T = TypeVar("T")


class Reports(Protocol):
    """Who takes what an engine tells."""

    def reported(self, reports: Sequence[TaskReport]) -> None: ...

    async def all_weighed(self) -> None:
        """Returns when everything that was told is decided about, and we may decide."""


class Reconciler:
    """Of one leader."""

    def __init__(self, controller: Controller, engine: Engine, reports: Reports, permission: Permission) -> None:
        self._controller = controller
        self._policy = controller.world.policy
        self._engine = engine
        self._reports = reports
        self._permission = permission
        self._asked: Reconcile | None = None
        self._is_asked = asyncio.Event()
        self.explicit_runs = 0
        """How often it was asked whether everything runs that should."""
        self.implicit_runs = 0
        """... and whether anything runs that should not."""

    def ask(self, asked: Reconcile) -> None:
        """Compare as soon as possible. What is asked for twice before that is done once."""
        self._asked = asked if self._asked is None else _both(self._asked, asked)
        self._is_asked.set()

    async def run(self, agreed: Callable[[], None]) -> None:
        """For ever. `agreed` is called when engine and state were made to agree for the first time."""
        loop, policy = asyncio.get_running_loop(), self._policy
        explicit_s = loop.time() + policy.reconciliation_initial_delay_ms / 1000
        implicit_s = explicit_s + policy.reconciliation_schedule_spread_ms / 1000
        self.ask(Reconcile())  # the first list answers what this leader's first hosts asked for before it
        await self._until_told(self._take())
        agreed()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_asked.wait(), max(0.0, min(explicit_s, implicit_s) - loop.time()))
            now_s = loop.time()
            if now_s >= explicit_s - _EARLY_S:
                explicit_s = now_s + policy.reconciliation_explicit_interval_ms / 1000
                self.ask(Reconcile(unwanted=False))
            if now_s >= implicit_s - _EARLY_S:
                implicit_s = now_s + policy.reconciliation_implicit_interval_ms / 1000
                self.ask(Reconcile(wanted=False))
            if self._asked is not None:
                await self._until_told(self._take())

    def _take(self) -> Reconcile:
        """All that is asked for now; what is asked for from here on needs another list."""
        assert self._asked is not None
        asked, self._asked = self._asked, None
        self._is_asked.clear()
        return asked

    async def _until_told(self, asked: Reconcile) -> None:
        """An engine that cannot tell is asked again."""
        while True:
            try:
                await self.compare(asked)
            except EngineError as wrong:
                LOG.warning("the engine cannot tell what runs, asked again soon: %s", wrong)
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                self.explicit_runs += asked.wanted
                self.implicit_runs += asked.unwanted
                return

    async def compare(self, asked: Reconcile) -> None:
        """Take one list of what the engine has, a second one if something is missing in it, and act on them.

        Raises EngineError when it cannot be told.
        """
        snapshot = await self._told()
        missing: list[str] = []
        if asked.wanted:
            by_status = self._controller.state.tasks.by_status
            wanted = [task_id for status in ASSIGNED_STATES for task_id in by_status[status]]
            missing = await self._look_for(wanted, snapshot, frozenset(), asked.batch_size)
        if asked.unwanted:
            for part in _parts([(report.task_id, report.status) for report in snapshot.tasks], self._size(None)):
                await self._reports.all_weighed()
                self._controller.attempt(takeover.end_unwanted, part)
        if missing:
            await asyncio.sleep(AGAIN_AFTER_S)
            await self._look_for(missing, await self._told(), frozenset(missing), asked.batch_size)

    async def _told(self) -> EngineSnapshot:
        """All that the engine has, each task's state weighed already."""
        snapshot = await self._engine.reconcile()
        while not self._permission.is_valid:  # what it told is old by the time we may decide again
            await self._reports.all_weighed()
            snapshot = await self._engine.reconcile()
        self._reports.reported(snapshot.tasks)
        await self._reports.all_weighed()
        return snapshot

    async def _look_for(
        self, wanted: list[str], snapshot: EngineSnapshot, missing_before: frozenset[str], batch_size: int | None
    ) -> list[str]:
        """Returns the tasks that should be there and are not."""
        present: Mapping[str, TaskStatus] = {report.task_id: report.status for report in snapshot.tasks}
        missing: list[str] = []
        for part in _parts(wanted, self._size(batch_size)):
            await self._reports.all_weighed()
            self._controller.attempt(takeover.reconcile, part, present, snapshot.hosts, missing_before, missing)
        return missing

    def _size(self, batch_size: int | None) -> int:
        return min(batch_size or self._policy.reconciliation_explicit_batch_size, MOST_AT_ONCE)


def _parts(whole: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(whole)
    while part := list(islice(rest, size)):
        yield part


def _both(one: Reconcile, other: Reconcile) -> Reconcile:
    sizes = [asked.batch_size for asked in (one, other) if asked.batch_size is not None]
    return Reconcile(
        wanted=one.wanted or other.wanted,
        unwanted=one.unwanted or other.unwanted,
        batch_size=min(sizes) if sizes else None,
    )
