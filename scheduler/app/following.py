"""The event stream made of its parts: the room `stream`, the changelog's tail, a thread to read that in."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from scheduler.changelog.errors import Unreadable
from scheduler.changelog.tail import read_tail
from scheduler.contracts import ChangelogError, Entry, NotFollowing
from scheduler.core import ops
from scheduler.core.records import JobKey
from scheduler.stream.reader import Stream

LOG = logging.getLogger("thesan")

MAX_JOBS: Final = 100_000
"""Configurations whose job is remembered for reading back, the newest."""


class Following:
    """One log, from its loading on. Feeds a stream."""

    def __init__(self, stream: Stream, folder: Path, lineage: str) -> None:
        """`folder` has the tail: that of the embedded changelog, or of the checkpoint."""
        self._stream = stream
        self._folder = folder
        self._lineage = lineage
        self._jobs: dict[bytes, JobKey] = {}
        self._begun = False
        # One at a time, so that many followers who are far behind do not take the machine.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tail")

    def applied(self, op: ops.Op) -> None:
        """An op of the base or the tail, while the log is loaded."""
        if isinstance(op, ops.SaveConfig):
            self._jobs.pop(op.digest, None)
            self._jobs[op.digest] = op.config.job
            if len(self._jobs) > MAX_JOBS:
                del self._jobs[next(iter(self._jobs))]

    def passed(self, entry: Entry) -> None:
        """An entry of the tail, while the log is loaded."""
        if not self._begun:
            self._begin(entry.offset - 1)
        self._stream.committed(entry)

    def loaded(self, offset: int) -> None:
        """The log is loaded and ends at `offset`."""
        if not self._begun:
            self._begin(offset)
        self._stream.open()

    def committed(self, entry: Entry) -> None:
        """An entry that was appended is durable."""
        for op in entry.ops:
            self.applied(op)
        self._stream.committed(entry)

    def close(self, why_not: str) -> None:
        self._stream.close(why_not)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self, after: int) -> None:
        self._begun = True
        self._stream.begin_epoch(self._lineage, after, self._read_tail)

    async def _read_tail(self, after: int, upto: int, events: int) -> list[Entry] | None:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._thread, read_tail, self._folder, after, upto, events, self._jobs.get
            )
        except (ChangelogError, Unreadable, OSError, RuntimeError) as wrong:
            LOG.error("events after %d cannot be read back: %s", after, wrong)
            raise NotFollowing(f"The log cannot be read back now: {wrong}") from wrong
