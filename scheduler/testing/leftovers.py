"""Processes that belong to a folder: executors, tasks and engine servers that were started for it, and nobody else's.

A process belongs to a folder when the folder stands in its command line, in the sandbox its environment names, or in
the path of its working directory. Only Linux's /proc is asked.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Process", "belonging_to", "end_all"]

_TASK_ID: Final = b"THESAN_TASK_ID"
_SANDBOX: Final = b"THESAN_SANDBOX"


class Process(NamedTuple):
    """A living process. `task_id` is that of a task's own process, None for an executor or anything else."""

    pid: int
    started: int
    """Clock ticks since boot, field 22 of /proc/PID/stat: with the pid it names one process for ever."""
    parent: int
    command: str
    task_id: str | None


def belonging_to(folder: Path) -> list[Process]:
    """All living processes of this folder but the one that asks. One that has ended and was not reaped is none."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208  # hundreds of names, of which strings are enough
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError, ValueError):
                process = _look_at(int(name), os.fsencode(folder))
                if process is not None:
                    found.append(process)
    return found


def _look_at(pid: int, folder: bytes) -> Process | None:
    stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    if stat[0] in (b"Z", b"X"):
        return None
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    environ = dict(line.split(b"=", 1) for line in _read(pid, "environ").split(b"\0") if b"=" in line)
    ours = folder + b"/"
    is_task = environ.get(_SANDBOX, b"").startswith(ours)
    named = ours in command or folder + b"\0" in command
    if not (is_task or named or _works_in(pid, ours)):
        return None
    task_id = environ[_TASK_ID].decode("utf-8", "replace") if is_task and _TASK_ID in environ else None
    words = command.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return Process(pid, int(stat[19]), int(stat[1]), words, task_id)


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:  # another user's
        return b""


def _works_in(pid: int, ours: bytes) -> bool:
    try:
        return (os.fsencode(Path(f"/proc/{pid}/cwd").readlink()) + b"/").startswith(ours)
    except OSError:
        return False


def end_all(folder: Path, *, within_s: float = 10) -> list[Process]:
    """Kill every process of the folder until none is left. Returns those that would not go."""
    give_up_at = time.monotonic() + within_s
    while (left := belonging_to(folder)) and time.monotonic() < give_up_at:
        # Executors last: while one lives it knows its children, and it ends when they have.
        for process in sorted(left, key=lambda one: one.task_id is None):
            _kill(process)
        time.sleep(0.02)
    return left


def _kill(process: Process) -> None:
    """By descriptor, compared after it was opened: a pid that was used again is never hit."""
    with suppress(OSError):
        descriptor = os.pidfd_open(process.pid)
        try:
            stat = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b") ")[2].split()
            if int(stat[19]) == process.started:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
