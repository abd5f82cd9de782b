"""The tasks of the engine's folder, watched from the event loop.

What a task does comes back three ways: a datagram from its executor, the executor's process descriptor when it is
gone, and a slow sweep for whatever was missed. Each only says "look": what happened is read from the task's folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import define, field

from scheduler.contracts import Signal, TaskReport
from scheduler.core.records import TaskStatus
from scheduler.engines.local.hands import Found
from scheduler.engines.local.identity import send
from scheduler.engines.local.reaping import release
from scheduler.engines.local.tasks import StatusReader, end_of, lock_is_held, open_executor, to_report
from scheduler.engines.unix_path import short_path

log = logging.getLogger(__name__)

SWEEP_SECS = 5.0
IDENTIFY_SECS = 0.05
KILL_PATIENCE_SECS = 5.0
"""After this long a second KILL goes to the executor itself."""


@define(eq=False)
class Task:
    """A task of the folder. `pidfd` is its executor's, None before that is known and after it is gone."""

    task_id: str
    path: Path
    ports: tuple[int, ...]
    reader: StatusReader
    pidfd: int | None = None
    last: TaskReport | None = None
    ended: bool = False
    waiting: list[Signal] = field(factory=list)
    killed_at: float | None = None
    """When KILL was first sent, on the monotonic clock."""
    burial: bool = False
    """Its executor is dead, and what it left is being ended."""
    unwritten: TaskReport | None = None
    """How it ended, by word of an executor that cannot write it down."""

    @property
    def latest(self) -> TaskReport:
        return self.last or TaskReport(self.task_id, TaskStatus.STARTING)


class Watch:
    """`tell` gets every change once; `bury(task, status, message)` has to end what a dead executor left, and to call
    `buried` or `not_buried`."""

    def __init__(self, tell: Callable[[TaskReport], None], bury: Callable[[Task, TaskStatus, str], None]) -> None:
        self._tell = tell
        self._bury = bury
        self._tasks: dict[str, Task] = {}
        self._by_name: dict[str, Task] = {}
        self._nudges: socket.socket | None = None

    def open(self, nudges: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._nudges = nudges
        self._loop.add_reader(nudges, self._nudged)

    def close(self) -> None:
        """Let go of everything; the tasks live on."""
        if self._nudges is not None:
            self._loop.remove_reader(self._nudges)
            self._nudges.close()
            self._nudges = None
        for task in self._tasks.values():
            self._let_go(task)

    def get(self, task_id: str) -> Task | None:
        return self._tasks.get(task_id)

    def all(self) -> list[Task]:
        return list(self._tasks.values())

    def knows_folder(self, name: str) -> bool:
        return name in self._by_name

    def ports(self) -> set[int]:
        """Those of living tasks."""
        return {port for task in self._tasks.values() if not task.ended for port in task.ports}

    def take(self, found: Found, *, quietly: bool) -> Task:
        """Know a task from now on, and watch it if it lives. `quietly`: what it did so far is no news."""
        task = self._tasks.get(found.task_id)
        if task is not None:
            if found.pidfd is not None:
                os.close(found.pidfd)
            return task
        task = Task(found.task_id, found.path, found.ports, StatusReader(found.path, found.task_id))
        self._tasks[task.task_id] = self._by_name[task.path.name] = task
        if found.end:
            task.last, task.ended = found.end, True
            if not quietly:
                self._tell(found.end)
            return task
        if found.pidfd is not None:
            self._attend(task, found.pidfd)
        self._read(task, quietly=quietly)
        if found.pidfd is None:
            self._identify(task)
        return task

    def forget(self, task_ids: Iterable[str]) -> list[Path]:
        """Let go of ended tasks. Returns their folders."""
        gone = [task for task in map(self._tasks.get, task_ids) if task is not None and task.ended]
        for task in gone:
            if task.pidfd is not None:  # it only waits to write an end that nobody needs any more
                send(task.pidfd, signal.SIGUSR1)
                self._let_go(task)
            del self._tasks[task.task_id]
            self._by_name.pop(task.path.name, None)
        return [task.path for task in gone]

    def signal(self, task: Task, what: Signal) -> None:
        """TERM and KILL are both asked of the executor, which reaches all that came of the task. One that does not
        react to KILL is killed itself by a later KILL; what it leaves is ended then."""
        if task.pidfd is None:
            task.waiting.append(what)
            return
        if what is Signal.TERM:
            send(task.pidfd, signal.SIGTERM)
            return
        now = time.monotonic()
        if task.killed_at is None:
            task.killed_at = now
            send(task.pidfd, signal.SIGUSR1)
        elif now - task.killed_at < KILL_PATIENCE_SECS:
            send(task.pidfd, signal.SIGUSR1)
        else:
            send(task.pidfd, signal.SIGKILL)

    def sweep(self) -> None:
        for task in list(self._tasks.values()):
            if not task.ended:
                self._read(task)
                if task.pidfd is None:
                    self._identify(task, SWEEP_SECS)

    def buried(self, task: Task, end: TaskReport) -> None:
        if not task.ended:
            self._emit(task, end, ended=True)

    def not_buried(self, task: Task) -> None:
        task.burial = False  # the sweep tries again

    # --- what is seen ------------------------------------------------------------------------------------------------

    def _attend(self, task: Task, pidfd: int) -> None:
        task.pidfd = pidfd
        self._loop.add_reader(pidfd, self._executor_gone, task)
        waiting, task.waiting = task.waiting, []
        for what in waiting:
            self.signal(task, what)

    def _identify(self, task: Task, wait_secs: float = IDENTIFY_SECS) -> None:
        """An executor that holds its lock but has not said who it is: it has just been started. Look again soon."""
        if self._nudges is None or task.pidfd is not None or task.ended or task.burial:
            return
        pidfd = open_executor(task.path)
        if pidfd is not None:
            self._attend(task, pidfd)
            self._read(task)
        elif not lock_is_held(task.path):
            self._executor_gone(task)
        elif wait_secs < SWEEP_SECS:  # after that the sweep looks
            self._loop.call_later(wait_secs, self._identify, task, wait_secs * 2)

    def _read(self, task: Task, *, quietly: bool = False) -> None:
        """Take in what the executor has written."""
        if task.ended:
            return
        reports = task.reader.read()
        end = end_of(task.path, task.task_id)
        for report in [*reports, end] if end else reports:
            if quietly:
                task.last, task.ended = report, report is end
            else:
                self._emit(task, report, ended=report is end)

    def _emit(self, task: Task, report: TaskReport, *, ended: bool) -> None:
        task.last, task.ended = report, ended
        self._tell(report)

    def _executor_gone(self, task: Task) -> None:
        self._let_go(task)
        self._read(task)
        if task.ended or task.burial:
            return
        task.burial = True
        status, message = TaskStatus.LOST, ""
        if task.unwritten:
            status, message = task.unwritten.status, task.unwritten.message or ""
        elif task.killed_at is not None and time.monotonic() - task.killed_at >= KILL_PATIENCE_SECS:
            status, message = TaskStatus.KILLED, "killed together with its executor, which did not react"
        self._bury(task, status, message)

    def _let_go(self, task: Task) -> None:
        if task.pidfd is None:
            return
        self._loop.remove_reader(task.pidfd)
        release(task.pidfd, self._loop)
        task.pidfd = None

    def _nudged(self) -> None:
        assert self._nudges is not None
        for _ in range(100):  # then let others have the loop
            try:
                data = self._nudges.recv(8192)
            except BlockingIOError:
                return
            name, _, payload = data.decode("utf-8", "replace").partition("\n")
            task = self._by_name.get(name)
            if task is None or task.ended:
                continue
            self._read(task)
            if payload and not task.ended:
                self._hear(task, payload)

    def _hear(self, task: Task, payload: str) -> None:
        """An executor that cannot write the end of its task tells it."""
        try:
            record: dict[str, Any] = json.loads(payload)
            task.unwritten = to_report(task.task_id, record)
        except (ValueError, KeyError):
            return
        log.warning("%s has ended, but this cannot be written: %s", task.task_id, record.get("unwritten"))
        self._emit(task, task.unwritten, ended=True)


def open_nudges(path: Path) -> socket.socket:
    """The socket executors send their datagrams to. It is taken over from whoever had it before."""
    nudges = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        path.unlink(missing_ok=True)
        with short_path(path) as address:
            nudges.bind(address)
    except OSError:
        nudges.close()
        raise
    return nudges
