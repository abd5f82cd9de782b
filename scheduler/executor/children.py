"""Starting the task's processes, and reaping and killing all that came of them."""

from __future__ import annotations

import os
from resource import RLIMIT_NOFILE, RUSAGE_CHILDREN, getrlimit, getrusage, setrlimit

from scheduler.executor.light import SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGXFSZ

LIST = "/proc/self/task/{}/children"
"""The kernel's list of the children of one of our threads; the executor has only one."""
_IGNORED_BY_US = [SIGPIPE, SIGXFSZ, SIGINT, SIGHUP]


def spawn(argv: list[str], environ: dict[str, str], logs: str) -> int:
    """Start a process in a session of its own, in the current folder, writing to `logs`/stdout and /stderr.

    Returns its pid. Raises OSError.
    """
    os.makedirs(logs, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        argv[0],
        argv,
        environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, f"{logs}/stdout", append, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, f"{logs}/stderr", append, 0o644),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=_IGNORED_BY_US,
    )


def limit_open_files(limit: int) -> None:
    """For us and all we start: the engine has more for itself, and we got that from it."""
    setrlimit(RLIMIT_NOFILE, (limit, getrlimit(RLIMIT_NOFILE)[1]))


def reap() -> tuple[list[tuple[int, int]], bool]:
    """The (pid, exit code) of all that ended, negative for a signal; and whether children are left."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, False
        if pid == 0:
            return ended, True
        ended.append((pid, os.waitstatus_to_exitcode(status)))


def signal_group(group: int, number: int) -> None:
    """Signal a group that a child of ours is in. The child is not reaped yet, so the number is still theirs."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # between fork and setsid, or nobody left
    except PermissionError:
        pass  # it changed its user: TERM cannot reach it, and root's executor is never refused


def groups() -> set[int]:
    """The process groups our children are in: those we started, and orphans that have become ours."""
    found = set()
    for pid in _children():
        try:  # noqa: SIM105  # contextlib costs every task memory
            found.add(os.getpgid(pid))
        except ProcessLookupError:
            pass
    return found


def kill_children() -> None:
    """Kill every child. Orphans below them become our children then: call it again until `reap` says none is left."""
    for pid in _children():
        try:  # noqa: SIM105  # contextlib costs every task memory
            os.kill(pid, SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def _children() -> list[int]:
    """From the kernel's list, for there may be very many other processes; not every kernel has it."""
    me = os.getpid()
    try:
        with open(LIST.format(me), "rb") as f:
            return [int(pid) for pid in f.read().split()]
    except FileNotFoundError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == me]


def _parent(pid: str) -> int:
    """The parent of a process, 0 when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            state, parent = f.read().rpartition(b") ")[2].split(None, 2)[:2]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if state == b"Z" else int(parent)


def usage() -> dict[str, float | int]:
    """What the processes that ended have used: CPU in all, and the most memory one of them had."""
    used = getrusage(RUSAGE_CHILDREN)
    return {"cpu_secs": round(used.ru_utime + used.ru_stime, 3), "max_rss_kb": used.ru_maxrss}
