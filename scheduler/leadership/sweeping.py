"""Forgetting history while leading: a sweep, step by step, each when the one before is durable.

So a sweep never holds up the loop, and decides no more ahead of the log than one step.
"""

from __future__ import annotations

import asyncio
import contextlib

from scheduler.contracts import ChangelogError, Outcome
from scheduler.core import pruning
from scheduler.leadership.driver import Driver


class Sweeping:
    """Of one leader."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._under_way: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Forget all that may be forgotten, unless that is under way."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self.sweep(), name="history")

    def stop(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()

    async def sweep(self) -> None:
        """Returns when all is forgotten, or leadership is over."""
        with contextlib.suppress(ChangelogError):
            for decision, jobs in pruning.steps(self._driver.controller.state):
                await self._driver.all_weighed()
                self._driver.attempt(decision, jobs)
                if await self._decided() is not Outcome.DURABLE:
                    return

    async def _decided(self) -> Outcome:
        """What becomes of what was decided. Others have their turn meanwhile."""
        controller = self._driver.controller
        became: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def tell(outcome: Outcome) -> None:
            if not became.done():  # cancelled by `stop`
                became.set_result(outcome)

        controller.when_durable(controller.decided_offset, tell)
        await asyncio.sleep(0)
        return await became
