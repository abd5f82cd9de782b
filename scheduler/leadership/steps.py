"""How long each step of a take-over took, for the log, /vars and whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

STEPS: Final = ("claim", "read", "begin", "engine", "advertise", "reconcile")
"""In the order of docs/zookeeper.md, "Take-over". Winning the election comes before the first and has no length."""


class Steps:
    """Of one take-over, counted from the moment the election was won."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._last_ms = self.began_ms = now_ms()
        self.took_ms: dict[str, int] = {}

    def done(self, step: str) -> None:
        """This step has ended, and the next one begins."""
        assert step in STEPS, step
        now_ms = self._now_ms()
        self.took_ms[step] = now_ms - self._last_ms
        self._last_ms = now_ms

    @property
    def total_ms(self) -> int:
        return self._last_ms - self.began_ms

    def __str__(self) -> str:
        each = ", ".join(f"{step} {took} ms" for step, took in self.took_ms.items())
        return f"{self.total_ms} ms since the election ({each})"
