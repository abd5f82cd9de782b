"""When a checkpoint's disk takes entries again: what was missed meanwhile is read from ZooKeeper once more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from scheduler.changelog.checkpoint import Checkpoint
from scheduler.changelog.zookeeper_reading import Truncated
from scheduler.contracts import ChangelogError
from scheduler.zk.errors import ZkError

__all__ = ["TRY_AGAIN_AFTER_S", "CatchUp"]

TRY_AGAIN_AFTER_S: Final = 1.0

_AT_ONCE: Final = 64
"""Entries written in one transaction."""

Missed = Callable[[int, int], Awaitable[list[tuple[int, bytes]]]]
"""Given an offset and a number: at most so many entries behind it. Raises Truncated, Damaged, ZkError."""


class CatchUp:
    """Of one checkpoint. Begins when that falls behind, and tries until it has caught up."""

    def __init__(self, checkpoint: Checkpoint, missed: Missed) -> None:
        self._checkpoint = checkpoint
        self._missed = missed
        self._task: asyncio.Task[None] | None = None
        checkpoint.fell_behind = self._begin

    def check(self) -> None:
        """Raises Truncated when what is missed was cut off the log: then a standby begins with the snapshot."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._run(), name="checkpoint catches up")
        self._task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    async def _run(self) -> None:
        while self._checkpoint.is_behind:
            await asyncio.sleep(TRY_AGAIN_AFTER_S)
            try:
                while self._checkpoint.is_behind:
                    await self._checkpoint.catch_up(await self._missed(self._checkpoint.offset, _AT_ONCE))
            except Truncated:
                raise
            except (ZkError, ChangelogError):
                continue  # the disk still refuses, or ZooKeeper does not answer
