"""What is to happen when: the heart of the virtual clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from scheduler.testing.clock import VirtualClock

GRID_MS: Final = 250
"""Engine, clients and monitors act at multiples of this, so that things really happen at the same instant, and exactly
at a limit. Only the log answers in between."""

Deed = Callable[..., object]


class Agenda:
    """Deeds by the instant of the clock that never jumps; those of one instant in the order they were entered."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._start_ms = clock.mono_ms()
        self._heap: list[tuple[int, int, Deed, tuple[object, ...]]] = []
        self._entered = 0

    @property
    def now_ms(self) -> int:
        """Milliseconds since the beginning of the run."""
        return self._clock.mono_ms() - self._start_ms

    @property
    def wall_ms(self) -> int:
        return self._clock.wall_ms()

    def at(self, when_ms: int, deed: Deed, *args: object) -> None:
        self._entered += 1
        heapq.heappush(self._heap, (max(when_ms, self.now_ms), self._entered, deed, args))

    def after(self, wait_ms: int, deed: Deed, *args: object) -> None:
        self.at(self.now_ms + wait_ms, deed, *args)

    def on_grid(self, wait_ms: int, deed: Deed, *args: object) -> None:
        """At the first multiple of the grid that is at least `wait_ms` away."""
        self.at(-(-(self.now_ms + wait_ms) // GRID_MS) * GRID_MS, deed, *args)

    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def turn(self) -> object:
        """Turn the clock to the next deed and do it."""
        when_ms, _, deed, args = heapq.heappop(self._heap)
        self._clock.advance(when_ms - self.now_ms)
        return deed(*args)
