"""A server on a machine whose clock is set ahead: `python -m scheduler.testing.ahead 3600000 serve ...`.

For what goes by the wall's clock and would take a test minutes to see, as cron does. All else is the real program, and
nothing in production knows this module.
"""

from __future__ import annotations

import runpy
import sys
import time

__all__ = ["set_ahead"]


def set_ahead(by_ms: int) -> None:
    """From here on this process reads the wall's clock as its machine would show it then."""
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + by_ms / 1000
    time.time_ns = lambda: nanoseconds() + by_ms * 1_000_000


if __name__ == "__main__":
    set_ahead(int(sys.argv.pop(1)))
    runpy.run_module("scheduler", run_name="__main__", alter_sys=True)
