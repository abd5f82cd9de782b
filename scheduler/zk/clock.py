"""The clock of leases and deadlines: it never jumps, and counts on while the machine sleeps."""

from __future__ import annotations

import time

__all__ = ["boot_ms"]


def boot_ms() -> int:
    """Milliseconds of CLOCK_BOOTTIME."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
