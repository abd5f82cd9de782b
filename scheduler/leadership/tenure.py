"""May a leader speak and act: connected, and its lease holds. Otherwise it is *suspended*: nothing is lost, nothing is
done. docs/zookeeper.md, "The lease".
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from scheduler.contracts import Unavailable
from scheduler.leadership.race import cancel
from scheduler.zk.client import Client, Condition
from scheduler.zk.errors import SessionOver
from scheduler.zk.lease import Lease, lapse


class Tenure:
    """Implements `Permission` for one epoch in ZooKeeper."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._news = asyncio.Event()
        self.lease = Lease(renewed=self._news.set)

    def renew(self, sent_ms: int) -> None:
        """A write of this epoch that was sent then has passed the quorum."""
        self.lease.renew(sent_ms, self._client.session_timeout_ms)

    @property
    def is_valid(self) -> bool:
        return self.lease.is_valid and self._client.condition is Condition.CONNECTED

    async def regained(self) -> None:
        """Returns while it is valid. Raises Unavailable when it never will be again."""
        while not self.is_valid:
            self._news.clear()
            try:
                await self._client.connected()
                if not self.is_valid:
                    await self._news_or_change()
            except SessionOver as over:
                raise Unavailable(f"the session with ZooKeeper is over: {over}") from over

    async def _news_or_change(self) -> None:
        await _either(self._news.wait(), self._client.change())

    async def lost(self) -> None:
        """Returns while it is not valid. Raises SessionOver."""
        while self.is_valid:
            await _either(lapse(self.lease), self._client.change())


async def _either(one: Coroutine[Any, Any, object], other: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of two."""
    both = asyncio.ensure_future(one), asyncio.ensure_future(other)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for ended in both:
            if ended.done():
                ended.result()
    finally:
        await cancel(*both)
