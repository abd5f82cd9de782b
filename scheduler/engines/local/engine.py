"""The local engine: the `Engine` port on the event loop, its threads behind it.

Orders go to one thread in the order given, so that a signal never overtakes a launch; what may take long goes to
others. `watch` looks after the tasks.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from scheduler.contracts import EngineError, EngineListener, EngineSnapshot, LaunchOrder, Signal, TaskReport
from scheduler.core.records import TaskStatus
from scheduler.engines.local.folder import EngineFolder, OldEpoch
from scheduler.engines.local.hands import Dead, Found, Hands
from scheduler.engines.local.hosts import Machine, free_ports
from scheduler.engines.local.limits import make_room
from scheduler.engines.local.reaping import release
from scheduler.engines.local.remains import Remains
from scheduler.engines.local.tasks import SANDBOX, now_ms
from scheduler.engines.local.usage import Usage, usage_of
from scheduler.engines.local.watch import SWEEP_SECS, Task, Watch, open_nudges

log = logging.getLogger(__name__)

HOST_SECS = 10.0
BURIAL_SECS = 0.02

T = TypeVar("T")


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
        self._folder = EngineFolder(folder.absolute().resolve())
        self._machine = machine
        self._on_fenced = on_fenced
        self._hands = Hands(self._folder, cluster=cluster, host_name=machine.name)
        self._watch = Watch(self._report, self._bury)
        self._outbox: list[TaskReport] = []
        self._dead: list[tuple[Task, Dead]] = []
        self._ports: tuple[int, ...] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._attached = False
        self._used = False

    # --- the port ----------------------------------------------------------------------------------------------------

    async def start(self, listener: EngineListener, *, epoch: int, lineage: str) -> None:
        """Attach, once in the life of this object. Raises EngineError when the folder is not ours, a newer epoch was
        here, or the disk refuses."""
        if self._used:
            raise EngineError("this engine was started before: every leadership has an engine of its own")
        self._used = True
        make_room()
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        # One thread for orders, because their order counts; others for what may take long.
        self._orders = ThreadPoolExecutor(1, "engine-orders")
        self._chores = ThreadPoolExecutor(2, "engine-chores")
        try:
            nudges, found = await self._loop.run_in_executor(self._orders, self._attach, epoch, lineage)
        except (EngineError, OldEpoch, OSError) as e:
            self._shut_pools()
            raise e if isinstance(e, EngineError) else EngineError(f"{self._folder.path}: {e}") from e
        self._attached = True
        self._watch.open(nudges)
        for each in found:
            self._watch.take(each, quietly=True)
        self._every("sweep", SWEEP_SECS, self._watch.sweep)
        self._every("host", HOST_SECS, self._look_at_ports)
        self._look_at_ports()
        self._do(self._chores, lambda _: None, self._folder.empty_trash)

    def _attach(self, epoch: int, lineage: str) -> tuple[socket.socket, list[Found]]:
        found = self._hands.attach(epoch, lineage)
        self._machine = evolve(self._machine, name=self._hands.host_name).measured(self._folder.path)
        return open_nudges(self._folder.nudge_socket), found

    async def stop(self) -> None:
        """Detach. Tasks and their executors live on."""
        if not self._attached:
            return
        self._attached = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._watch.close()
        await asyncio.to_thread(self._shut_pools)

    def launch(self, order: LaunchOrder) -> None:
        def launched(found: Found | None) -> None:
            if found is None:
                self._repeat(order.task_id)
            else:
                self._watch.take(found, quietly=False)

        def failed(error: Exception) -> None:
            self._report(TaskReport(order.task_id, TaskStatus.LOST, f"not launched: {error}", now_ms()))

        self._do(self._orders, launched, self._hands.launch, order, failed=failed)

    def signal(self, task_id: str, signal: Signal, *, epoch: int, host: str | None = None) -> None:
        def checked(found: Found | bool) -> None:
            if isinstance(found, Found):
                self._watch.take(found, quietly=False)
                return
            if not found:
                log.info("%s is on host %s, which is not this machine: nothing is said of it", task_id, host)
                return
            task = self._watch.get(task_id)
            if task is None or task.ended:
                self._repeat(task_id)
            else:
                self._watch.signal(task, signal)

        self._do(self._orders, checked, self._hands.entomb, task_id, epoch, host)

    async def reconcile(self) -> EngineSnapshot:
        self._must_be_attached()
        try:
            # By way of the orders' thread: what was ordered before is done then.
            names = await self._loop.run_in_executor(self._orders, self._folder.task_names)
            unknown = [name for name in names if not self._watch.knows_folder(name)]
            if unknown:
                for found in await self._loop.run_in_executor(self._orders, self._hands.survey, unknown):
                    self._watch.take(found, quietly=True)
        except (OSError, OldEpoch, RuntimeError) as e:
            raise EngineError(f"{self._folder.path}: {e}") from e
        self._must_be_attached()
        return EngineSnapshot(frozenset({self._machine.name}), tuple(task.latest for task in self._watch.all()))

    def forget(self, task_ids: Sequence[str]) -> None:
        def thrown_away(_: None) -> None:
            self._do(self._chores, lambda _: None, self._folder.empty_trash)

        folders = self._watch.forget(task_ids)
        if folders:
            self._do(self._orders, thrown_away, self._hands.throw_away, folders)

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

    def logs(self, task_id: str) -> list[str]:
        return [str(path) for path in self.log_files(task_id)]

    async def usage(self) -> dict[str, Usage]:
        """What the living tasks use, by task id: CPU since their start, memory now."""
        self._must_be_attached()
        living = {t.task_id: t.path for t in self._watch.all() if not t.ended}

        def look() -> dict[str, Usage]:
            return usage_of({task_id: Remains.of(task_id, path) for task_id, path in living.items()})

        return await self._loop.run_in_executor(self._chores, look)

    # --- reports -----------------------------------------------------------------------------------------------------

    def _report(self, report: TaskReport) -> None:
        """Reports of one turn of the loop travel together."""
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(report)

    def _flush(self) -> None:
        reports, self._outbox = self._outbox, []
        if self._attached:
            self._listener.reported(reports)

    def _repeat(self, task_id: str) -> None:
        """Say again what is known of a task that was ordered twice, or signalled after its end."""
        task = self._watch.get(task_id)
        if task is not None:
            self._report(task.latest)
            return

        def looked(found: list[Found]) -> None:
            for each in found:
                self._report(self._watch.take(each, quietly=True).latest)

        self._do(self._orders, looked, self._hands.survey, [self._folder.task(task_id).name])

    def _bury(self, task: Task, status: TaskStatus, message: str) -> None:
        """Those that died together are buried together."""
        if not self._dead:
            self._loop.call_later(BURIAL_SECS, self._bury_all)
        self._dead.append((task, Dead(task.task_id, task.path, status, message)))

    def _bury_all(self) -> None:
        tasks, dead = [task for task, _ in self._dead], [dead for _, dead in self._dead]
        self._dead = []

        def buried(ends: list[TaskReport]) -> None:
            for task, end in zip(tasks, ends, strict=True):
                self._watch.buried(task, end)

        def failed(_: Exception) -> None:
            for task in tasks:
                self._watch.not_buried(task)

        if self._attached:
            self._do(self._chores, buried, self._hands.bury, dead, failed=failed)

    def _look_at_ports(self) -> None:
        def looked(ports: tuple[int, ...]) -> None:
            if ports != self._ports:
                self._ports = ports
                self._listener.hosts_changed([self._machine.host(ports)])

        self._do(self._chores, looked, free_ports, self._machine.ports, self._watch.ports())

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
                _let_go(None if error else future.result(), self._loop)
            elif isinstance(error, OldEpoch):
                log.error("order refused: %s", error)
                if self._on_fenced:
                    self._on_fenced(error.stored)
            elif isinstance(error, (OSError, EngineError)):
                log.error("%s", error)
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


def _let_go(result: object, loop: asyncio.AbstractEventLoop) -> None:
    """What came too late: the task lives on, and whoever attaches next finds it."""
    for each in result if isinstance(result, list) else [result]:
        if isinstance(each, Found) and each.pidfd is not None:
            release(each.pidfd, loop)
