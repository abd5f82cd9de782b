"""Periodic work on APScheduler: sweeps, pruning and, later, cron.

Deadlines of tasks and updates are not here: the controller has its own heap, because rescheduling an APScheduler job
costs hundreds of times what moving a deadline may (docs/decisions/0002-deadlines.md).
"""

from __future__ import annotations

from collections.abc import Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler


class Timers:
    """Runs functions on the event loop every so often, for one leader; a new leader makes new ones."""

    def __init__(self) -> None:
        # A run that comes late still runs (its default drops one that is a second late), and a backlog runs once.
        self._scheduler = AsyncIOScheduler(
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}, timezone="UTC"
        )

    def every(self, name: str, interval_s: float, work: Callable[[], object]) -> None:
        """Run `work` on the loop, first after one interval."""

        async def run() -> None:  # a coroutine, so that APScheduler runs it on the loop and not on a thread
            work()

        self._scheduler.add_job(run, "interval", seconds=interval_s, id=name)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
