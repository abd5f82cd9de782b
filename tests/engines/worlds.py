"""The engines under test, each with a world of its own: where its tasks live, and how a task of a kind is described."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

from scheduler.contracts import Engine, LaunchOrder, TaskReport
from scheduler.core.records import (
    ExecutorConfig,
    Host,
    JobKey,
    Metadata,
    Resource,
    ResourceKind,
    TaskConfig,
    TaskStatus,
)
from scheduler.engines.local import LocalEngine, Machine
from scheduler.engines.simulated import Options, SimulatedEngine, ensure_server, stop_server

JOB = JobKey("www", "test", "hello")
DEADLINE_SECS = 20.0
ENDED = (TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.KILLED, TaskStatus.LOST)


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in a loop of its own."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


async def until(what: Callable[[], Any], why: str | Callable[[], str], secs: float = DEADLINE_SECS) -> Any:
    """Wait until `what()` is true and return it. `why`: what was waited for."""
    give_up_at = time.monotonic() + secs
    while not (found := what()):
        said = why if isinstance(why, str) else why()
        assert time.monotonic() < give_up_at, f"not within {secs:g} s: {said}"
        await asyncio.sleep(0.01)
    return found


class Ears:
    """Listens to an engine and remembers everything."""

    def __init__(self) -> None:
        self.reports: list[TaskReport] = []
        self.hosts: Sequence[Host] = ()
        self.heard_at: dict[tuple[str, TaskStatus], float] = {}

    def reported(self, reports: Sequence[TaskReport]) -> None:
        now = time.monotonic()
        self.reports += reports
        for report in reports:
            self.heard_at.setdefault((report.task_id, report.status), now)

    def hosts_changed(self, hosts: Sequence[Host]) -> None:
        self.hosts = hosts

    def statuses(self, task_id: str) -> list[TaskStatus]:
        return [report.status for report in self.reports if report.task_id == task_id]

    def of(self, task_id: str) -> list[TaskReport]:
        return [report for report in self.reports if report.task_id == task_id]

    async def hears(self, task_id: str, *statuses: TaskStatus, secs: float = DEADLINE_SECS) -> TaskReport:
        """The first report that the task came to one of these states."""

        def found() -> TaskReport | None:
            return next((r for r in self.reports if r.task_id == task_id and r.status in statuses), None)

        names = "/".join(status.name for status in statuses)
        report = await until(found, lambda: f"{task_id} {names}, heard {self.of(task_id)}", secs)
        assert isinstance(report, TaskReport)
        return report


class World(Protocol):
    """One engine's surroundings, which outlive its objects. `host`: the host tasks go to."""

    host: str

    def engine(self, on_fenced: Callable[[int], None] | None = None, *, cluster: str = "test") -> Engine: ...

    def config(self, kind: str) -> TaskConfig:
        """A task that runs until it is stopped (`service`), ignores TERM (`stubborn`), fails with 7 after a moment
        (`crash`), or finishes (`batch`)."""

    def is_stubborn(self, task_id: str) -> Awaitable[None]:
        """Wait until a stubborn task is known to have been asked to stop."""

    def living(self) -> int:
        """How many processes (local) or tasks (simulated) there are really."""


def order(world: World, task_id: str, kind: str = "service", epoch: int = 1) -> LaunchOrder:
    return LaunchOrder(epoch, task_id, 0, world.config(kind), world.host, ())


def command(text: str, **more: Any) -> TaskConfig:
    """A configuration whose task runs a shell command."""
    return TaskConfig(JOB, is_service=True, executor=ExecutorConfig("AuroraExecutor", text), **more)


def ports(*names: str) -> tuple[Resource, ...]:
    return tuple(Resource(ResourceKind.PORT, name) for name in names)


class LocalWorld:
    host = "here"

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "engine"
        self.scratch = folder
        self._ids: list[str] = []

    def engine(self, on_fenced: Callable[[int], None] | None = None, *, cluster: str = "test") -> LocalEngine:
        return LocalEngine(
            self.folder, Machine(self.host, ports=range(31000, 31010)), cluster=cluster, on_fenced=on_fenced
        )

    def config(self, kind: str) -> TaskConfig:
        runs = f"echo $THESAN_TASK_ID >> {self.scratch}/runs"
        return command(
            {
                "service": f"{runs}; exec sleep 1000",
                "stubborn": f"trap 'touch {self.scratch}/asked-$THESAN_TASK_ID' TERM; {runs}; "
                "while :; do sleep 1000 & wait; done",
                "crash": f"{runs}; sleep 0.1; exit 7",
                "batch": f"{runs}; exit 0",
            }[kind]
        )

    async def is_stubborn(self, task_id: str) -> None:
        await until((self.scratch / f"asked-{task_id}").exists, f"{task_id} was asked to stop")

    def living(self) -> int:
        return len(self.processes())

    def processes(self) -> list[int]:
        """Of all tasks, found by their environment and without the code under test."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError):
                    if f"THESAN_SANDBOX={self.folder}/".encode() in Path(f"/proc/{name}/environ").read_bytes():
                        found.append(int(name))
        return found

    def runs(self) -> list[str]:
        """The ids of the tasks that really ran, once for each time."""
        path = self.scratch / "runs"
        return path.read_text().split() if path.exists() else []

    def close(self) -> None:
        """Leave nothing behind, whatever the test did."""
        for pid in self.processes():
            _kill(pid)
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if any(word.startswith(f"{self.folder}/".encode()) for word in words):
                    _kill(int(name))


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, 9)


class SimulatedWorld:
    host = "host-0"

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "engine.sock"
        self.pid = ensure_server(self.socket, Options(seed=1), idle_exit_secs=30)

    def engine(self, on_fenced: Callable[[int], None] | None = None, *, cluster: str = "test") -> SimulatedEngine:
        return SimulatedEngine(self.socket, cluster=cluster, on_fenced=on_fenced)

    def config(self, kind: str) -> TaskConfig:
        told = {"service": "", "stubborn": "ignore_term", "crash": "crash_after_ms=100", "batch": "finish_after_ms=10"}
        return command("unused", metadata=(Metadata("simulate", told[kind]),))

    async def is_stubborn(self, task_id: str) -> None:
        """It was asked when the server has answered a later question, which the test puts itself."""

    def living(self) -> int:
        return 0

    def runs(self) -> list[str]:
        return []

    def close(self) -> None:
        stop_server(self.socket)
        if self.pid:
            os.waitpid(self.pid, 0)
