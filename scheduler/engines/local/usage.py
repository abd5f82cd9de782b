"""What living tasks use, read from /proc. Synchronous."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from scheduler.engines.local.remains import Remains, find_remains

_TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@frozen
class Usage:
    """`cpu_secs`: since the start, of the living processes and the children they reaped. `ram_mb`: resident now."""

    processes: int = 0
    cpu_secs: float = 0.0
    ram_mb: float = 0.0


def usage_of(tasks: Mapping[str, Remains]) -> dict[str, Usage]:
    """By task id; a task without living processes uses nothing. One walk through /proc for all."""
    used = dict.fromkeys(tasks, Usage())
    for pid, (task_id, _) in find_remains(tasks).items():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
            ticks = sum(map(int, fields[11:15]))  # utime, stime and those of reaped children
            before = used[task_id]
            used[task_id] = Usage(
                before.processes + 1,
                before.cpu_secs + ticks / _TICKS_PER_SEC,
                before.ram_mb + int(fields[21]) * _PAGE_BYTES / 2**20,
            )
    return used
