"""A clock that is turned by hand."""

from __future__ import annotations


class VirtualClock:
    """Both clocks of `contracts.Clock`. They move only by `advance`; `step_wall` makes the wall's clock jump."""

    def __init__(self, now_ms: int = 0) -> None:
        self._mono_ms = 1_000_000
        self._wall_ms = now_ms

    def wall_ms(self) -> int:
        return self._wall_ms

    def mono_ms(self) -> int:
        return self._mono_ms

    def advance(self, by_ms: int) -> None:
        self._wall_ms += by_ms
        self._mono_ms += by_ms

    def step_wall(self, by_ms: int) -> None:
        self._wall_ms += by_ms
