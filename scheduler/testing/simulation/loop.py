"""An event loop that turns with the virtual clock: production coroutines run on it in an order that never varies.

Each process of a run has one of its own, all on the same agenda. So a process can be frozen (nothing of it happens
until it is thawed) and killed (nothing of it ever happens again, not even a `finally`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from scheduler.testing.simulation.agenda import Agenda

T = TypeVar("T")

_LAST_TURNS = 200


class SimulatedLoop(asyncio.AbstractEventLoop):
    """As much of a loop as coroutines, tasks, timers and locks need; no files, no threads.

    `failed` is told of exceptions that nobody waits for.
    """

    def __init__(self, agenda: Agenda, failed: Callable[[BaseException], None]) -> None:
        self._agenda = agenda
        self._failed = failed
        self._ready: deque[asyncio.Handle] = deque()
        self._is_due = False
        self.is_frozen = False
        self.is_dead = False
        self.tasks: set[asyncio.Task[Any]] = set()

    # --- life ---

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        """What has become due meanwhile happens now, in the order in which it became due."""
        self.is_frozen = False
        self._come_due()

    def kill(self) -> None:
        self.is_dead = True
        self._ready.clear()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def bury(self) -> None:
        """The run is over: whatever still waits is cancelled, so that nothing is left for the garbage collector."""
        self.is_dead = True
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for _ in range(_LAST_TURNS):
                for task in list(self.tasks):
                    task.cancel()
                for _ in range(len(self._ready)):
                    self._ready.popleft()._run()
                if not self.tasks:
                    break
            for task in self.tasks:  # what was about to begin when the process was killed never does
                begun = task.get_coro()
                if inspect.iscoroutine(begun) and inspect.getcoroutinestate(begun) == inspect.CORO_CREATED:
                    begun.close()
        finally:
            asyncio._set_running_loop(running)

    def _come_due(self) -> None:
        if self._ready and not (self._is_due or self.is_frozen or self.is_dead):
            self._is_due = True
            self._agenda.after(0, self._turn)

    def _turn(self) -> None:
        self._is_due = False
        if self.is_frozen or self.is_dead:
            return
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                if self.is_frozen or self.is_dead or not self._ready:
                    break
        finally:
            asyncio._set_running_loop(running)
        self._come_due()

    # --- what asyncio asks of a loop ---

    def time(self) -> float:
        return self._agenda.now_ms / 1000

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._come_due()
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._agenda.at(-(-round(when * 1_000_000) // 1_000), self._ring, handle)
        return handle

    def _ring(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled() and not self.is_dead:
            self._ready.append(handle)
            self._come_due()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays on the agenda, and is passed over."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, call: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """At once: what would have blocked a thread takes no time here."""
        future = self.create_future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if isinstance(error := context.get("exception"), BaseException):
            self._failed(error)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.is_dead

    def is_closed(self) -> bool:
        return self.is_dead
