"""The newest events in memory, bounded in count and bytes. No I/O."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from scheduler.contracts import Entry, Event, Events
from scheduler.stream.events import Kept

__all__ = ["MAX_BYTES", "MAX_EVENTS", "Ring"]

MAX_EVENTS: Final = 50_000
MAX_BYTES: Final = 32 * 1024 * 1024

_EVENT_BYTES: Final = 320
"""About what an event takes beside its message. Keys and ids are shared with the state while that has them."""


class Ring:
    """Entries are added in their order; entries without events take no room. Evicts whole entries, oldest first."""

    def __init__(self, after: int, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self.begin = after
        """The oldest cursor that can be read from."""
        self.end = after
        """The offset of the last entry added."""
        self.events = 0
        self.bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._offsets: list[int] = []
        self._rows: list[Kept | None] = []
        self._first = 0
        """Rows before it are evicted; they are cut off when they are many."""

    def add(self, entry: Entry) -> bool:
        """Take the next entry. Returns whether it has events."""
        if entry.offset != self.end + 1:
            raise ValueError(f"entry {entry.offset} cannot follow entry {self.end}")
        self.end = entry.offset
        kept = Kept(entry)
        if not kept.count:
            return False
        self._offsets.append(entry.offset)
        self._rows.append(kept)
        self.events += kept.count
        self.bytes += _bytes(kept)
        # The newest entry stays whatever its size: its followers wait for it.
        while (self.events > self._max_events or self.bytes > self._max_bytes) and self._first < len(self._rows) - 1:
            self._evict()
        return True

    def _evict(self) -> None:
        kept = self._rows[self._first]
        assert kept is not None
        self.begin = kept.offset
        self.events -= kept.count
        self.bytes -= _bytes(kept)
        self._rows[self._first] = None
        self._first += 1
        if self._first > 1000 and self._first * 2 > len(self._rows):
            del self._rows[: self._first], self._offsets[: self._first]
            self._first = 0

    def read(self, cursor: int, limit: int) -> Events:
        """Whole entries after `cursor`, until there are `limit` events. `cursor` is between `begin` and `end`."""
        found: list[Event] = []
        at = bisect_right(self._offsets, cursor, self._first)
        while at < len(self._rows):
            if len(found) >= limit:
                return Events(cursor, self._offsets[at] - 1, tuple(found))
            kept = self._rows[at]
            assert kept is not None
            found += kept.events()
            at += 1
        return Events(cursor, self.end, tuple(found))


def _bytes(kept: Kept) -> int:
    return kept.count * _EVENT_BYTES + kept.message_bytes
