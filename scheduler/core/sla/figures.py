"""How well service jobs are kept up: Aurora's SLA figures, as functions of tasks and an instant.

*Job uptime*: what so many percent of a job's running instances have reached. *Platform uptime*: how much of the time in
which an instance should have been up it was, as far as that is the platform's doing. *Medians*: how long a task took
from PENDING to ASSIGNED, STARTING and RUNNING. Source: Aurora's documentation, "SLA measurement".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from math import ceil
from statistics import median
from typing import Final

from attrs import define, field, frozen

from scheduler.core.records import ResourceKind, Task, TaskConfig, TaskStatus as T


class Category(Enum):
    """The names are those of the flags."""

    JOB_UPTIMES = "JOB_UPTIMES"
    PLATFORM_UPTIME = "PLATFORM_UPTIME"
    MEDIANS = "MEDIANS"


PERCENTILES: Final = (50, 75, 90, 95, 99)
SHARES: Final[dict[str, T]] = {"mtta": T.ASSIGNED, "mtts": T.STARTING, "mttr": T.RUNNING}
"""Median time to assigned, to starting, to running."""

_GB: Final = 1024
_SIZES: Final[dict[str, tuple[ResourceKind, tuple[float, ...]]]] = {
    "cpu": (ResourceKind.CPUS, (1, 4, 8, 16)),
    "ram": (ResourceKind.RAM_MB, (1 * _GB, 8 * _GB, 16 * _GB, 32 * _GB)),
    "disk": (ResourceKind.DISK_MB, (4 * _GB, 16 * _GB, 32 * _GB, 64 * _GB)),
}
SIZE_NAMES: Final = ("small", "medium", "large", "xlarge", "xxlarge")


class _Condition(Enum):
    UP = "up"
    DOWN = "down"
    REMOVED = "removed"


_UP, _DOWN, _REMOVED = _Condition.UP, _Condition.DOWN, _Condition.REMOVED
_AFTER: Final[dict[T, _Condition]] = {
    **dict.fromkeys((T.LOST, T.DRAINING, T.PREEMPTING), _DOWN),
    **dict.fromkeys((T.RUNNING, T.PARTITIONED), _UP),
    **dict.fromkeys((T.THROTTLED, T.FINISHED, T.RESTARTING, T.FAILED, T.KILLING), _REMOVED),
}
"""What a status says of the platform. The others depend on what was before."""


def _after(before: _Condition, status: T) -> _Condition:
    if status is T.KILLED:
        return _DOWN if before is _UP else before
    known = _AFTER.get(status)
    if known is not None:
        return known
    return _DOWN if before is _DOWN else _REMOVED


@frozen
class Window:
    """From `begin_ms`, exclusive, to `end_ms`."""

    begin_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.begin_ms


@define
class Uptime:
    """Milliseconds, summed over instances."""

    up_ms: int = 0
    counted_ms: int = 0
    """In which they should have been up."""

    def add(self, other: Uptime) -> None:
        self.up_ms += other.up_ms
        self.counted_ms += other.counted_ms

    @property
    def percent(self) -> float:
        return 100 * self.up_ms / self.counted_ms if self.counted_ms else 100.0


def by_instance(tasks: Iterable[Task]) -> Iterable[list[Task]]:
    """Of one job: the tasks of each instance, ended ones too."""
    found: dict[int, list[Task]] = {}
    for task in tasks:
        found.setdefault(task.instance_id, []).append(task)
    return found.values()


def platform_uptime(tasks: Sequence[Task], window: Window) -> Uptime:
    """Of one instance: all its tasks that are known."""
    if len(tasks) == 1 and tasks[0].status is T.RUNNING and tasks[0].latest_event_ms <= window.begin_ms:
        return Uptime(window.length_ms, window.length_ms)  # as nearly all are
    found = Uptime()
    condition, since_ms = _REMOVED, window.begin_ms
    events = sorted((event for task in tasks for event in task.events), key=lambda event: event.timestamp_ms)
    for at_ms, status in (*((event.timestamp_ms, event.status) for event in events), (window.end_ms, None)):
        lasted_ms = min(at_ms, window.end_ms) - since_ms
        if lasted_ms > 0:
            found.up_ms += lasted_ms * (condition is _UP)
            found.counted_ms += lasted_ms * (condition is not _REMOVED)
            since_ms += lasted_ms
        if status is not None:
            condition = _after(condition, status)
    return found


def job_uptimes(tasks: Iterable[Task], now_ms: int) -> Mapping[int, int]:
    """By percentile: seconds that so many percent of the running tasks have reached; 0 when none runs."""
    running = sorted((now_ms - task.latest_event_ms for task in tasks if task.status is T.RUNNING), reverse=True)
    if not running:
        return dict.fromkeys(PERCENTILES, 0)
    return {share: max(0, running[ceil(len(running) * share / 100) - 1]) // 1000 for share in PERCENTILES}


@define
class Times:
    """How long tasks took, by where to: milliseconds each, of those that arrived within the window."""

    taken_ms: dict[str, list[int]] = field(factory=lambda: {name: [] for name in SHARES})

    def add(self, other: Times) -> None:
        for name, found in other.taken_ms.items():
            self.taken_ms[name] += found

    def medians(self) -> Mapping[str, int]:
        """0 for what nobody reached."""
        return {name: int(median(found)) if found else 0 for name, found in self.taken_ms.items()}


def times_of(task: Task, window: Window) -> Times | None:
    """None: the task arrived nowhere within the window."""
    if task.latest_event_ms <= window.begin_ms:
        return None
    pending_ms = next((event.timestamp_ms for event in task.events if event.status is T.PENDING), None)
    if pending_ms is None:
        return None
    found = Times()
    for name, status in SHARES.items():
        arrived = [event.timestamp_ms for event in task.events if event.status is status]
        if arrived and window.begin_ms < arrived[-1] <= window.end_ms:
            found.taken_ms[name].append(arrived[-1] - pending_ms)
    return found


def sizes_of(config: TaskConfig) -> Iterable[str]:
    """`cpu_small`, `ram_xxlarge`, ...: the classes a task counts for."""
    for name, (kind, bounds) in _SIZES.items():
        amount = config.amount(kind)
        yield f"{name}_{SIZE_NAMES[sum(amount > bound for bound in bounds)]}"
