"""One scheduler's way to the engine: its orders leave it, and what the engine tells comes in on its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scheduler.contracts import EngineError, EngineListener, EngineSnapshot, LaunchOrder, Signal, TaskReport
from scheduler.core.effects import Forget, Launch, Terminate
from scheduler.core.records import Host

if TYPE_CHECKING:
    from scheduler.testing.simulation.several.process import Process


class Door:
    """Implements `contracts.Engine`, for one term. An order of a frozen process arrives when it wakes."""

    def __init__(self, process: Process, on_fenced: Callable[[int], None]) -> None:
        self._process = process
        self._engine = process.world.engine
        self._on_fenced = on_fenced
        self._listener: EngineListener | None = None

    async def start(self, listener: EngineListener, *, epoch: int, lineage: str) -> None:
        if epoch < self._engine.epoch:
            self._fenced()
            raise EngineError(f"the engine has seen epoch {self._engine.epoch}")
        self._listener = listener
        self._engine.attach(self, epoch)

    async def stop(self) -> None:
        self._engine.detach(self)
        self._listener = None

    def _fenced(self) -> None:
        self._process.loop.call_soon(self._on_fenced, self._engine.epoch)

    # --- orders ---

    def launch(self, order: LaunchOrder) -> None:
        for effect in self._process.taken:
            if isinstance(effect, Launch) and effect.task.task_id == order.task_id:
                self._process.acts(effect)
        self._send(order.epoch, self._engine.launch, order)

    def signal(self, task_id: str, signal: Signal, *, epoch: int, host: str | None = None) -> None:
        self._process.acts(Terminate(task_id, hard=signal is Signal.KILL, host=host))

        def send() -> None:
            self._engine.signal(task_id, signal, epoch=epoch, host=host)

        self._send(epoch, send)

    def forget(self, task_ids: Sequence[str]) -> None:
        self._process.acts(Forget(tuple(task_ids)))
        self._send(self._engine.epoch, self._engine.forget, task_ids)

    def logs(self, task_id: str) -> Sequence[str]:
        return ()

    def _send(self, epoch: int, deed: Callable[..., object], *args: object) -> None:
        self._process.when_awake(self._arrive, epoch, deed, args)

    def _arrive(self, epoch: int, deed: Callable[..., object], args: tuple[object, ...]) -> None:
        if epoch < self._engine.epoch:
            self._engine.fenced += 1
            self._process.world.fenced_order(self._process)
            self._fenced()
            return
        deed(*args)

    # --- what the engine tells ---

    def reported(self, reports: Sequence[TaskReport]) -> None:
        """A turn later than a complete list that came before: who waits for that is woken first."""
        loop = self._process.loop
        loop.call_soon(loop.call_soon, self._pass_reports, reports)

    def _pass_reports(self, reports: Sequence[TaskReport]) -> None:
        if self._listener is not None:
            self._listener.reported(reports)

    def hosts_changed(self, hosts: Sequence[Host]) -> None:
        self._process.loop.call_soon(self._pass_hosts, hosts)

    def _pass_hosts(self, hosts: Sequence[Host]) -> None:
        if self._listener is not None:
            self._listener.hosts_changed(hosts)

    async def reconcile(self) -> EngineSnapshot:
        """On the way behind the reports that were sent before."""
        snapshot = self._engine.snapshot()
        told: asyncio.Future[None] = self._process.loop.create_future()

        def arrived() -> None:
            if not told.done():
                told.set_result(None)

        self._engine.in_order(self._process.loop.call_soon, arrived)
        await told
        self._process.reconciles(snapshot.tasks)
        return snapshot
