"""The event stream of one server: from memory where it reaches back far enough, else from the log.

It follows committed entries only: whoever drives the controller hands them over when they are durable (`committed`),
and at the start of an epoch those that were read back (`begin_epoch`). Lives on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from scheduler.contracts import AheadOfLog, Entry, Event, Events, NotFollowing, TooOld
from scheduler.stream.events import Untellable, events_of, restores
from scheduler.stream.ring import MAX_BYTES, MAX_EVENTS, Ring

__all__ = ["MAX_WAITING", "MAX_WAIT_MS", "Stream", "Tail"]

LOG = logging.getLogger("thesan")

MAX_WAIT_MS: Final = 30_000
MAX_WAITING: Final = 1_000
"""Readers that wait at the same time; another one is answered at once."""

Tail = Callable[[int, int, int], Awaitable[list[Entry] | None]]
"""`tail(after, upto, events)`: entries from `after` + 1 on, in order and without gaps, up to `upto` or as many as are
handy; None when the log no longer has them. At least one otherwise."""


class Stream:
    """Implements `contracts.EventStream`."""

    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self.lineage = ""
        self.waiting = 0
        self.tail_reads = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._ring = Ring(0)
        self._restored = 0
        """The last entry that put a backup in the place of everything before: no event leads over it."""
        self._tail: Tail | None = None
        self._why_not: str | None = "The scheduler is starting."
        self._news = asyncio.Event()

    # --- fed by the scheduler ---

    def begin_epoch(self, lineage: str, after: int, tail: Tail | None = None) -> None:
        """A log was opened of which everything up to `after` is folded away; its entries are handed over next."""
        self.lineage = lineage
        self._begin_behind(after)
        self._restored = 0
        self._tail = tail

    def open(self) -> None:
        """All entries were handed over: from now on readers are answered."""
        self._why_not = None

    def committed(self, entry: Entry) -> None:
        """This entry is durable. Raises what making its events raises; then memory begins anew behind it, and whoever
        has not read it is told so (TooOld) instead of never hearing of it.
        """
        if restores(entry):
            self._restored = entry.offset
            self._begin_behind(entry.offset)
            self._wake()
            return
        try:
            news = self._ring.add(entry)
        except Exception:
            self._begin_behind(max(entry.offset, self._ring.end))
            self._wake()
            raise
        if news:
            self._wake()

    def close(self, why_not: str) -> None:
        """Nobody knows the log's end here for now. Readers who wait are told so."""
        self._why_not = why_not
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _begin_behind(self, offset: int) -> None:
        self._ring = Ring(offset, max_events=self._max_events, max_bytes=self._max_bytes)

    # --- read by followers ---

    @property
    def end(self) -> int:
        return self._ring.end

    @property
    def held(self) -> tuple[int, int]:
        """Events in memory and about their bytes."""
        return self._ring.events, self._ring.bytes

    async def read(self, cursor: int | None, limit: int, wait_ms: int) -> Events:
        self._check_open()
        at = self._ring.end if cursor is None else cursor
        found = await self._read(at, limit)
        if found.events or wait_ms <= 0 or self.waiting >= MAX_WAITING:
            return found
        self.waiting += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait_ms, MAX_WAIT_MS) / 1000):
                    while not found.events:
                        await self._news.wait()
                        self._check_open()
                        found = await self._read(at, limit)
        finally:
            self.waiting -= 1
        self._check_open()
        return found if found.events else await self._read(at, limit)

    def _check_open(self) -> None:
        if self._why_not is not None:
            raise NotFollowing(self._why_not)

    def _check_restored(self, cursor: int) -> None:
        if cursor < self._restored:
            raise TooOld(cursor, self._restored, "the restore of a backup, which no event tells of")

    async def _read(self, cursor: int, limit: int) -> Events:
        if cursor > self._ring.end:
            raise AheadOfLog(cursor, self._ring.end)
        self._check_restored(cursor)
        try:
            if cursor >= self._ring.begin:
                return self._ring.read(cursor, limit)
            return await self._read_tail(cursor, limit)
        except Untellable as gap:
            LOG.error("events cannot be told: %s", gap, exc_info=gap)
            raise TooOld(cursor, gap.offset) from gap

    async def _read_tail(self, cursor: int, limit: int) -> Events:
        """What memory no longer has. Never past what is committed, though the file may be ahead of that."""
        found: list[Event] = []
        upto = cursor
        while len(found) < limit and upto < self._ring.begin:
            entries = None if self._tail is None else await self._tail(upto, self._ring.begin, limit - len(found))
            self._check_open()
            self._check_restored(cursor)
            self.tail_reads += 1
            if not entries:
                if upto > cursor:
                    break  # what was found meanwhile is whole; the next read says that the rest is gone
                raise TooOld(cursor, self._ring.begin)
            for entry in entries:
                found += events_of(entry)
                upto = entry.offset
                if len(found) >= limit:
                    break
        return Events(cursor, upto, tuple(found))
