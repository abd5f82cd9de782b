"""What a dead executor left running, and how it is ended. Synchronous.

A process belongs to a task if
- its environment names the task's sandbox,
- the leader of its session is a process the executor recorded, alive and with the same start time,
- it works in the sandbox or writes its output there, and no terminal controls it: a person's shell may stand there too,
- or it descends from one that does.

Each is signalled through a descriptor that is opened first and compared afterwards, so that a pid used again is never
hit.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from scheduler.engines.local.identity import ProcessStat, open_process, process_stat, send
from scheduler.engines.local.tasks import SANDBOX, Started, executor_of, processes_of

MARKER = "THESAN_SANDBOX"
"""The variable that names the sandbox: unlike the task's id it is unique on this machine, whatever else runs here."""
GIVE_UP_SECS = 10.0


@frozen
class Remains:
    """Where to look for what is left of one task. The executor itself, if it lives, is not part of that."""

    task_id: str
    path: Path
    started: tuple[Started, ...] = ()
    executor: Started | None = None

    @classmethod
    def of(cls, task_id: str, path: Path) -> Remains:
        return cls(task_id, path, tuple(processes_of(path)), executor_of(path))


def end_remains(tasks: Mapping[str, Remains]) -> dict[str, list[int]]:
    """Kill what is left of these tasks (by task id) until nothing is found.

    Returns, by task id, the pids that would not go within 10 s. One walk through /proc serves all tasks.
    """
    give_up_at = time.monotonic() + GIVE_UP_SECS
    pause = 0.01
    while tasks:
        found = find_remains(tasks)
        if not found:
            return {}
        for pid, (_, start_time) in found.items():
            _kill(pid, start_time)
        if time.monotonic() > give_up_at:
            left: dict[str, list[int]] = {}
            for pid, (task_id, _) in found.items():
                left.setdefault(task_id, []).append(pid)
            return left
        time.sleep(pause)
        pause = min(pause * 2, 0.2)
    return {}


def _kill(pid: int, start_time: int) -> None:
    fd = open_process(pid, start_time)
    if fd is not None:
        try:
            send(fd, signal.SIGKILL)
        finally:
            os.close(fd)


def find_remains(tasks: Mapping[str, Remains]) -> dict[int, tuple[str, int]]:
    """Living processes of the tasks: pid -> task id and start time."""
    leaders = {s.pid: (t.task_id, s.start_time) for t in tasks.values() for s in t.started}
    executors = {(t.executor.pid, t.executor.start_time) for t in tasks.values() if t.executor}
    sandboxes = {os.fsencode(t.path / SANDBOX): t.task_id for t in tasks.values()}
    living: dict[int, ProcessStat] = {}
    owners: dict[int, str | None] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  # hundreds of names, of which strings are enough
        if not name.isdigit():
            continue
        pid = int(name)
        stat = process_stat(pid)
        if stat is None or stat.state in "ZX" or (pid, stat.start_time) in executors:
            continue
        living[pid] = stat
        owner = _by_leader(stat.session, leaders) or _by_marker(pid, sandboxes)
        if owner is None and not stat.terminal:
            owner = _by_place(pid, sandboxes)
        if owner:
            owners[pid] = owner
    found = {}
    for pid, stat in living.items():
        owner = _by_descent(pid, living, owners)
        if owner:
            found[pid] = (owner, stat.start_time)
    return found


def _by_leader(session: int, leaders: Mapping[int, tuple[str, int]]) -> str | None:
    if session not in leaders:
        return None
    task_id, start_time = leaders[session]
    leader = process_stat(session)
    return task_id if leader is not None and leader.start_time == start_time else None


def _by_marker(pid: int, sandboxes: Mapping[bytes, str]) -> str | None:
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == MARKER.encode():
                return sandboxes.get(value)
    return None


def _by_place(pid: int, sandboxes: Mapping[bytes, str]) -> str | None:
    for place in ("cwd", "fd/1", "fd/2"):
        with suppress(OSError):
            path = os.fsencode(Path(f"/proc/{pid}/{place}").readlink()).removesuffix(b" (deleted)")
            while len(path) > 1:
                if path in sandboxes:
                    return sandboxes[path]
                path = path.rpartition(b"/")[0]
    return None


def _by_descent(pid: int, living: Mapping[int, ProcessStat], owners: dict[int, str | None]) -> str | None:
    """Whose the nearest ancestor is that is anybody's. `owners` takes in what is found out on the way."""
    line = []
    while pid in living and pid not in owners:
        owners[pid] = None  # until we know; nor will a list that changed while it was read lead us in a circle
        line.append(pid)
        parent = living[pid].parent
        if parent in living and living[parent].start_time > living[pid].start_time:
            break  # it has the pid of one that is gone
        pid = parent
    owner = owners.get(pid)
    for each in line:
        owners[each] = owner
    return owner
