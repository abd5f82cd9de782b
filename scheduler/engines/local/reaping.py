"""Executors are children of the scheduler that started them, and outlive the engine that watched them.

A scheduler that lost the leadership lives on, in the same process: whoever is its child has to be reaped by it when it
ends, or stays in the process table for as long as the scheduler runs. The loop outlives the engines too, so it is
asked to do that.
"""

from __future__ import annotations

import asyncio
import os

_kept: dict[int, int] = {}
"""The descriptors of children that nobody watches, by pid. One each, however often they are let go of."""


def release(pidfd: int, loop: asyncio.AbstractEventLoop) -> None:
    """Close the descriptor of an executor that is not watched any more. A child of ours is reaped, at once or when it
    ends. On the loop."""
    if _is_done_with(pidfd):
        os.close(pidfd)
        return
    pid = _pid_of(pidfd)
    if pid in _kept:
        os.close(pidfd)
        return
    _kept[pid] = pidfd
    loop.add_reader(pidfd, _ended, pid, loop)


def _ended(pid: int, loop: asyncio.AbstractEventLoop) -> None:
    pidfd = _kept.pop(pid)
    loop.remove_reader(pidfd)
    _is_done_with(pidfd)
    os.close(pidfd)


def _is_done_with(pidfd: int) -> bool:
    """Reap the process if it has ended. False: it is our child and lives on."""
    try:
        return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:
        return True  # it is not ours, or was reaped before


def _pid_of(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as f:  # noqa: PTH123  # one line of a dozen
        return next(int(line.split()[1]) for line in f if line.startswith("Pid:"))
