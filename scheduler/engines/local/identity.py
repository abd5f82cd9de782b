"""Who a process is: pid, start time and boot. A pid alone says nothing, it is used again."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple


class ProcessStat(NamedTuple):
    """Fields 3, 4, 6, 7 and 22 of /proc/PID/stat. `terminal` is 0 for a process that no terminal controls."""

    state: str
    parent: int
    session: int
    terminal: int
    start_time: int


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def process_stat(pid: int) -> ProcessStat | None:
    """None when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return ProcessStat(fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[4]), int(fields[19]))


def open_process(pid: int, start_time: int) -> int | None:
    """A descriptor of the process that had this pid and started then; None when it is gone, whoever has its pid now.

    Opened first and compared afterwards: the descriptor stays with the process it was opened for.
    """
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    stat = process_stat(pid)
    if stat is None or stat.start_time != start_time:
        os.close(fd)
        return None
    return fd


def send(pidfd: int, number: signal.Signals) -> bool:
    """False when the process is gone."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True
