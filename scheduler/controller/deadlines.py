"""Deadlines: one dictionary and one lazy heap.

Moving a deadline costs a dictionary write (a heartbeat must not cost more). The heap may hold instants that were moved
or dropped since; they are recognised when they come up.
"""

from __future__ import annotations

import heapq

from scheduler.core.transaction import Deadline


class Deadlines:
    """Named instants on the clock that never jumps, in milliseconds."""

    def __init__(self) -> None:
        self._at: dict[Deadline, int] = {}
        self._heap: list[tuple[int, int, Deadline]] = []
        self._pushed = 0

    def arm(self, deadline: Deadline, at_mono_ms: int) -> None:
        """Wake for `deadline` at this instant; arming again moves it."""
        known = self._at.get(deadline)
        self._at[deadline] = at_mono_ms
        if known is None or at_mono_ms < known:
            self._push(at_mono_ms, deadline)

    def _push(self, at_mono_ms: int, deadline: Deadline) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (at_mono_ms, self._pushed, deadline))

    def next_ms(self) -> int | None:
        """When to look next, at the latest; None: nothing is armed."""
        self._settle()
        return self._heap[0][0] if self._heap else None

    def due(self, now_mono_ms: int) -> Deadline | None:
        """Take one deadline that is reached, the oldest first; None: none is."""
        self._settle()
        if not self._heap or self._heap[0][0] > now_mono_ms:
            return None
        _, _, deadline = heapq.heappop(self._heap)
        del self._at[deadline]
        return deadline

    def _settle(self) -> None:
        """Make the heap's head a deadline that really stands there."""
        while self._heap:
            at_ms, _, deadline = self._heap[0]
            actual = self._at.get(deadline)
            if actual == at_ms:
                return
            heapq.heappop(self._heap)
            if actual is not None and actual > at_ms:
                self._push(actual, deadline)

    def __contains__(self, deadline: object) -> bool:
        return deadline in self._at

    def __len__(self) -> int:
        return len(self._at)
