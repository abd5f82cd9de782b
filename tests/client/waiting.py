"""Waiting for something that another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(true: Callable[[], bool], what: str, wait_s: float = 60) -> None:
    """Raises AssertionError with `what` when it did not come true in time."""
    give_up_at = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < give_up_at, what
        time.sleep(0.1)
