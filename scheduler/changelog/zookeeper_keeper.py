"""When snapshots are made: whenever the leader has folded its checkpoint, and when somebody asks for one.

Folding is due by bytes or by entries (`folding.py`), and so are snapshots: what makes a start longer is the same on a
disk and in ZooKeeper.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from scheduler.changelog.base import base_path
from scheduler.changelog.checkpoint import Checkpoint
from scheduler.changelog.errors import Unreadable
from scheduler.changelog.store import Pointer
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.changelog.zookeeper_publish import publish, tidy
from scheduler.changelog.zookeeper_snapshot import Snapshot
from scheduler.contracts import Unavailable
from scheduler.zk.client import Client
from scheduler.zk.epoch import Claim
from scheduler.zk.errors import Refusal, SessionOver, Superseded, ZkError

__all__ = ["SnapshotKeeper"]

RETRY_AFTER_S: Final = 30.0

_FORESEEN: Final = (ZkError, Refusal, Unreadable, OSError)

_log = logging.getLogger("thesan")


class SnapshotKeeper:
    """Of one leader, on its loop. What is slow happens elsewhere: folding in a process, packing in a thread."""

    def __init__(
        self, client: Client, layout: Layout, held: Claim, lineage: bytes, checkpoint: Checkpoint | None
    ) -> None:
        self._client = client
        self._layout = layout
        self._held = held
        self._lineage = lineage
        self._checkpoint = checkpoint
        self._lock = asyncio.Lock()
        self.last: Snapshot | None = None
        """The one that counts, as far as we know."""
        self.cut_entries = 0
        """Entries cut off the log by us."""
        self.failure: str | None = None
        """Why the last try did not succeed; None when it did."""

    async def run(self) -> None:
        """Publish the base that is there, then each new one. Until cancelled. Raises Superseded, SessionOver."""
        folded = asyncio.Event()
        checkpoint = self._checkpoint
        if checkpoint is None or checkpoint.folding is None:
            await asyncio.Future()
            return
        checkpoint.folding.folded = folded.set
        while True:
            try:
                await self._publish(checkpoint, checkpoint.folding.pointer)
                self.failure, wait_s = None, None
            except (Superseded, SessionOver):
                raise
            except Exception as error:
                # The snapshot before counts on, and the log with it: nothing is lost but room. So no reason, not one
                # that nobody foresaw either, is a reason to stop leading: the next leader would meet it too.
                self.failure, wait_s = str(error) or repr(error), RETRY_AFTER_S
                unforeseen = not isinstance(error, _FORESEEN)
                _log.warning("no snapshot was made, tried again soon: %s", self.failure, exc_info=unforeseen)
            try:
                await asyncio.wait_for(folded.wait(), wait_s)
            except TimeoutError:
                continue
            folded.clear()

    async def fold(self) -> tuple[Pointer, Path]:
        """Fold everything committed so far into the checkpoint's base. Raises Unavailable."""
        return await self._needed().fold()

    def _needed(self) -> Checkpoint:
        if self._checkpoint is None:
            raise Unavailable("copies are made from the checkpoint, and there is none")
        return self._checkpoint

    async def snapshot(self) -> int:
        """Make one of everything committed so far, now; returns the last offset it covers.

        Raises Unavailable with what is in the way; the snapshot before counts on.
        """
        base, _ = await self.fold()
        try:
            made = await self._publish(self._needed(), base)
        except (Superseded, *_FORESEEN) as error:
            raise Unavailable(f"the snapshot was not made: {error}") from error
        if made is None:
            raise Unavailable("nothing was committed yet that a snapshot could be made of")
        return made.base.covered

    async def _publish(self, checkpoint: Checkpoint, base: Pointer) -> Snapshot | None:
        """Also cuts the log, where an earlier leader did not come to it."""
        async with self._lock:
            if base.generation:
                path = base_path(checkpoint.folder, base.generation)
                self.last = await publish(self._client, self._layout, self._held, self._lineage, base, path)
            self.cut_entries += await tidy(self._client, self._layout, self._held)
        return self.last
