"""A standby: it follows the log as it grows, so that to take over is to read what came in the last moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.core.ops import Op
from scheduler.zk.client import Client
from scheduler.zk.clock import boot_ms
from scheduler.zk.errors import SessionOver, ZkError

__all__ = ["LOOK_AGAIN_S", "Follower"]

LOOK_AGAIN_S: Final = 1.0
"""Also when nothing has changed: so that how old our state can be stays known."""


class Follower:
    """Watches the head alone, and reads up to it."""

    def __init__(self, client: Client, changelog: ZooKeeperChangelog, apply: Callable[[Op], None]) -> None:
        self._client = client
        self._changelog = changelog
        self._apply = apply

    @property
    def lag_entries(self) -> int:
        """Committed, as far as we know, and not read yet."""
        return self._changelog.head_offset - self._changelog.offset

    @property
    def staleness_ms(self) -> int:
        """Everything that was committed longer ago than this is in our state."""
        return boot_ms() - self._changelog.as_of_ms

    async def run(self) -> None:
        """Until cancelled, which may happen at any point. Raises Unreadable (Truncated, FormatTooNew), SessionOver."""
        moved, is_watched = asyncio.Event(), False
        while True:
            if moved.is_set():
                moved, is_watched = asyncio.Event(), False
            try:
                await self._changelog.follow(self._apply, watch=None if is_watched else moved.set)
                is_watched = True
            except SessionOver:
                raise
            except ZkError:
                await self._client.connected()
                continue
            try:
                await asyncio.wait_for(moved.wait(), LOOK_AGAIN_S)
            except TimeoutError:
                continue
