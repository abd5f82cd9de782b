"""The clock of leases and deadlines: it never jumps, and counts on while the machine sleeps."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

__all__ = ["boot_ms", "turned_by"]


def _of_this_machine() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


_read: Callable[[], int] = _of_this_machine


def boot_ms() -> int:
    """Milliseconds of CLOCK_BOOTTIME."""
    return _read()


@contextlib.contextmanager
def turned_by(read: Callable[[], int]) -> Iterator[None]:
    """Another clock in its place, for simulations: for all of this process, until the block ends."""
    global _read
    before, _read = _read, read
    try:
        yield
    finally:
        _read = before
