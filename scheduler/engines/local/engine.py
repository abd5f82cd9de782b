"""The local engine: the `Engine` port on the event loop, its threads behind it.

Orders go to one thread in the order given, so a signal never overtakes a launch. What tasks do comes back three ways:
a datagram from the executor, its process descriptor when it is gone, and a slow sweep for whatever was missed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from scheduler.contracts import EngineError, EngineListener, EngineSnapshot, LaunchOrder, Signal, TaskReport
from scheduler.core.records import TaskStatus
from scheduler.engines.local.folder import EngineFolder, OldEpoch
from scheduler.engines.local.hands import Found, Hands
from scheduler.engines.local.hosts import Machine, free_ports
from scheduler.engines.local.identity import send
from scheduler.engines.local.tasks import SANDBOX, StatusReader, end_of, lock_is_held, now_ms, open_executor, to_report

log = logging.getLogger(__name__)

SWEEP_SECS = 5.0
IDENTIFY_SECS = 0.05
HOST_SECS = 10.0
KILL_PATIENCE_SECS = 5.0
"""After this long a second KILL goes to the executor itself."""

T = TypeVar("T")


@define(eq=False)
class _Task:
    """A task of this folder. `pidfd` is its executor's, None before that is known and after it is gone."""

    task_id: str
    path: Path
    reader: StatusReader
    ports: tuple[int, ...]
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


class LocalEngine:
    """Runs tasks as processes of this machine, in `folder`. Implements `contracts.Engine`."""

    def __init__(
        self,
        folder: Path,
        machine: Machine,
        *,
        cluster: str,
        on_fenced: Callable[[int], None] | None = None,
    ) -> None:
        """`on_fenced` is called with the newer epoch when an order was refused because another scheduler leads."""
        self._on_fenced = on_fenced
        self._folder = EngineFolder(folder.absolute().resolve())
        self._machine = machine
        self._hands = Hands(self._folder, cluster=cluster, host_name=machine.name)
        self._tasks: dict[str, _Task] = {}
        self._by_name: dict[str, _Task] = {}
        self._outbox: list[TaskReport] = []
        self._ports: tuple[int, ...] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._attached = False

    # --- the port ----------------------------------------------------------------------------------------------------

    async def start(self, listener: EngineListener, *, epoch: int, lineage: str) -> None:
        """Attach. Raises EngineError when the folder is not ours, a newer epoch was here, or the disk refuses."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        # One thread for orders, because their order counts; others for what may take long.
        self._orders = ThreadPoolExecutor(1, "engine-orders")
        self._chores = ThreadPoolExecutor(2, "engine-chores")
        try:
            self._machine, found = await self._loop.run_in_executor(self._orders, self._attach, epoch, lineage)
        except (OldEpoch, OSError) as e:
            self._shut_pools()
            raise EngineError(str(e)) from e
        except EngineError:
            self._shut_pools()
            raise
        self._attached = True
        self._loop.add_reader(self._nudges, self._nudged)
        for each in found:
            self._read(self._take(each), quietly=True)
        self._every("sweep", SWEEP_SECS, self._sweep)
        self._every("host", HOST_SECS, self._look_at_ports)
        self._look_at_ports()
        self._do(self._chores, lambda _: None, self._hands.empty_trash)

    def _attach(self, epoch: int, lineage: str) -> tuple[Machine, list[Found]]:
        self._folder.make()
        found = self._hands.attach(epoch, lineage)
        self._nudges = self._open_nudges()
        return self._machine.measured(self._folder.path), found

    async def stop(self) -> None:
        """Detach. Tasks and their executors live on."""
        if not self._attached:
            return
        self._attached = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._loop.remove_reader(self._nudges)
        self._nudges.close()
        for task in self._tasks.values():
            self._close(task)
        await asyncio.to_thread(self._shut_pools)

    def launch(self, order: LaunchOrder) -> None:
        def launched(found: Found | None) -> None:
            if found is None:
                self._repeat(order.task_id)
                return
            task = self._take(found)
            if found.end:
                self._emit(task, found.end)
            else:
                self._read(task)

        def failed(error: Exception) -> None:
            self._report(TaskReport(order.task_id, TaskStatus.LOST, f"not launched: {error}", now_ms()))

        self._do(self._orders, launched, self._hands.launch, order, failed=failed)

    def signal(self, task_id: str, signal: Signal, *, epoch: int) -> None:
        def checked(entombed: Found | None) -> None:
            if entombed is not None:
                self._take(entombed)
            task = self._tasks.get(task_id)
            if task is None or task.ended:
                self._repeat(task_id)
            else:
                self._signal(task, signal)

        self._do(self._orders, checked, self._hands.entomb, task_id, epoch)

    async def reconcile(self) -> EngineSnapshot:
        self._must_be_attached()
        try:
            names = await self._loop.run_in_executor(self._orders, self._folder.task_names)
            unknown = [name for name in names if name not in self._by_name]
            if unknown:
                for found in await self._loop.run_in_executor(self._orders, self._hands.survey, unknown):
                    self._read(self._take(found), quietly=True)
        except (OSError, OldEpoch, RuntimeError) as e:
            raise EngineError(f"{self._folder.path}: {e}") from e
        self._must_be_attached()
        return EngineSnapshot(True, tuple(self._latest(task) for task in self._tasks.values()))

    def forget(self, task_ids: Sequence[str]) -> None:
        gone = [task for task in map(self._tasks.get, task_ids) if task is not None and task.ended]
        for task in gone:
            if task.pidfd is not None:  # it only waits to write an end that nobody needs any more
                send(task.pidfd, signal.SIGUSR1)
                self._close(task)
            del self._tasks[task.task_id]
            self._by_name.pop(task.path.name, None)

        def emptied(_: None) -> None:
            self._do(self._chores, lambda _: None, self._hands.empty_trash)

        if gone:
            self._do(self._orders, emptied, self._hands.throw_away, [task.path for task in gone])

    # --- for people --------------------------------------------------------------------------------------------------

    def sandbox(self, task_id: str) -> Path:
        """The folder the task runs in."""
        return self._folder.task(task_id) / SANDBOX

    def log_file(self, task_id: str, process: str, stream: str = "stdout") -> Path:
        """Where a process of the task writes; `stream` is stdout or stderr. It may not exist yet, or any more."""
        return self.sandbox(task_id) / ".logs" / process / stream

    def log_files(self, task_id: str) -> list[Path]:
        """All output files the task has so far."""
        return sorted(p for p in (self.sandbox(task_id) / ".logs").glob("*/std*") if p.is_file())

    # --- tasks -------------------------------------------------------------------------------------------------------

    def _take(self, found: Found) -> _Task:
        """Know a task from now on, and watch it if it lives."""
        known = self._tasks.get(found.task_id)
        if known is not None:
            if found.pidfd is not None:
                os.close(found.pidfd)
            return known
        task = _Task(found.task_id, found.path, StatusReader(found.path, found.task_id), found.ports)
        self._tasks[task.task_id] = self._by_name[task.path.name] = task
        if found.end:
            task.last, task.ended = found.end, True
        elif found.pidfd is not None:
            self._watch(task, found.pidfd)
        else:
            self._identify(task)
        return task

    def _watch(self, task: _Task, pidfd: int) -> None:
        task.pidfd = pidfd
        self._loop.add_reader(pidfd, self._executor_gone, task)
        for waiting in task.waiting:
            self._signal(task, waiting)
        task.waiting.clear()

    def _identify(self, task: _Task, wait_secs: float = IDENTIFY_SECS) -> None:
        """An executor that holds its lock but has not said who it is: it has just been started. Look again soon."""
        if not self._attached or task.pidfd is not None or task.ended or task.burial:
            return
        pidfd = open_executor(task.path)
        if pidfd is not None:
            self._watch(task, pidfd)
            self._read(task)
        elif not lock_is_held(task.path):
            self._executor_gone(task)
        elif wait_secs < SWEEP_SECS:  # after that the sweep looks
            self._loop.call_later(wait_secs, self._identify, task, wait_secs * 2)

    def _read(self, task: _Task, *, quietly: bool = False) -> None:
        """Take in what the executor has written. `quietly`: it is no news, the snapshot will say it."""
        if task.ended:
            return
        reports = task.reader.read()
        end = end_of(task.path, task.task_id)
        for report in [*reports, end] if end else reports:
            if quietly:
                task.last, task.ended = report, report is end
            else:
                self._emit(task, report, ended=report is end)

    def _executor_gone(self, task: _Task) -> None:
        self._close(task)
        self._read(task)
        if task.ended or task.burial:
            return
        task.burial = True
        status, message = TaskStatus.LOST, ""
        if task.unwritten:
            status, message = task.unwritten.status, task.unwritten.message or ""
        elif task.killed_at is not None and time.monotonic() - task.killed_at >= KILL_PATIENCE_SECS:
            status, message = TaskStatus.KILLED, "killed together with its executor, which did not react"

        def buried(end: TaskReport) -> None:
            self._emit(task, end)

        def failed(_: Exception) -> None:
            task.burial = False  # the sweep tries again

        self._do(self._chores, buried, self._hands.end_dead, task.task_id, task.path, status, message, failed=failed)

    def _close(self, task: _Task) -> None:
        """Let go of the executor's descriptor, and reap it if it was our child and has ended."""
        if task.pidfd is None:
            return
        self._loop.remove_reader(task.pidfd)
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, task.pidfd, os.WEXITED | os.WNOHANG)
        os.close(task.pidfd)
        task.pidfd = None

    def _signal(self, task: _Task, what: Signal) -> None:
        if task.pidfd is None:
            task.waiting.append(what)
            return
        if what is Signal.TERM:
            send(task.pidfd, signal.SIGTERM)
            return
        now = time.monotonic()
        if task.killed_at is None:
            task.killed_at = now
        if now - task.killed_at < KILL_PATIENCE_SECS:
            send(task.pidfd, signal.SIGUSR1)
        else:
            send(task.pidfd, signal.SIGKILL)

    # --- reports -----------------------------------------------------------------------------------------------------

    def _emit(self, task: _Task, report: TaskReport, *, ended: bool = True) -> None:
        task.last = report
        task.ended = task.ended or ended
        self._report(report)

    def _report(self, report: TaskReport) -> None:
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(report)

    def _flush(self) -> None:
        reports, self._outbox = self._outbox, []
        if self._attached:
            self._listener.reported(reports)

    def _latest(self, task: _Task) -> TaskReport:
        return task.last or TaskReport(task.task_id, TaskStatus.STARTING)

    def _repeat(self, task_id: str) -> None:
        """Say again what is known of a task that was ordered twice, or signalled after its end."""
        task = self._tasks.get(task_id)
        if task is not None:
            self._report(self._latest(task))
            return

        def taken(found: list[Found]) -> None:
            for each in found:
                task = self._take(each)
                self._read(task, quietly=True)
                self._report(self._latest(task))

        self._do(self._orders, taken, self._hands.survey, [self._folder.task(task_id).name])

    # --- what comes in -----------------------------------------------------------------------------------------------

    def _open_nudges(self) -> socket.socket:
        nudges = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._folder.nudge_socket.unlink(missing_ok=True)
        fd = os.open(self._folder.path, os.O_PATH | os.O_DIRECTORY)
        try:
            # By way of a descriptor: the path of a unix socket may have 107 bytes at most.
            nudges.bind(f"/proc/self/fd/{fd}/{self._folder.nudge_socket.name}")
        finally:
            os.close(fd)
        return nudges

    def _nudged(self) -> None:
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

    def _hear(self, task: _Task, payload: str) -> None:
        """An executor that cannot write the end of its task tells it."""
        try:
            record: dict[str, Any] = json.loads(payload)
            task.unwritten = to_report(task.task_id, record)
        except (ValueError, KeyError):
            return
        log.warning("%s has ended, but this cannot be written: %s", task.task_id, record.get("unwritten"))
        self._emit(task, task.unwritten)

    def _sweep(self) -> None:
        for task in list(self._tasks.values()):
            if task.ended:
                continue
            self._read(task)
            if task.pidfd is None:
                self._identify(task, SWEEP_SECS)

    def _look_at_ports(self) -> None:
        ours = {port for task in self._tasks.values() if not task.ended for port in task.ports}

        def looked(ports: tuple[int, ...]) -> None:
            if ports != self._ports:
                self._ports = ports
                self._listener.hosts_changed([self._machine.host(ports)])

        self._do(self._chores, looked, free_ports, self._machine.ports, ours)

    # --- threads and timers ------------------------------------------------------------------------------------------

    def _do(
        self,
        pool: ThreadPoolExecutor,
        then: Callable[[T], None],
        work: Callable[..., T],
        *arguments: Any,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Do `work` on a thread, then `then` on the loop with its result, as long as we are attached."""
        self._must_be_attached()

        def done(future: asyncio.Future[T]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if not self._attached:
                _let_go(None if error else future.result())
            elif isinstance(error, OldEpoch):
                log.error("engine: order refused: %s", error)
                if self._on_fenced:
                    self._on_fenced(error.stored)
            elif isinstance(error, (OSError, EngineError)):
                log.error("engine: %s", error)
                if failed:
                    failed(error)
            elif error is not None:
                raise error
            else:
                then(future.result())

        self._loop.run_in_executor(pool, work, *arguments).add_done_callback(done)

    def _every(self, name: str, interval_secs: float, call: Callable[[], None]) -> None:
        def again() -> None:
            self._timers[name] = self._loop.call_later(interval_secs, again)
            call()

        self._timers[name] = self._loop.call_later(interval_secs, again)

    def _must_be_attached(self) -> None:
        if not self._attached:
            raise EngineError("the engine is not attached")

    def _shut_pools(self) -> None:
        self._orders.shutdown(cancel_futures=True)
        self._chores.shutdown(cancel_futures=True)


def _let_go(result: object) -> None:
    """Close what came too late: the task lives on, and whoever attaches next finds it."""
    for each in result if isinstance(result, list) else [result]:
        if isinstance(each, Found) and each.pidfd is not None:
            os.close(each.pidfd)
