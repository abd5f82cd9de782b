"""The tables of the state: dictionaries of frozen records, each with the indexes its readers need.

Every change goes through `Table.replace(key, new)`, which keeps the indexes and returns the old record; replacing the
old record again undoes it exactly. That one primitive is what makes a decision all-or-nothing (`transaction.py`).
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Generic, TypeVar

from scheduler.core.cron.records import CronJob
from scheduler.core.ended import Ended
from scheduler.core.placement.needs import need_of
from scheduler.core.records import ACTIVE_STATES, TERMINAL_STATES, Host, JobKey, Task, TaskConfig, TaskStatus
from scheduler.core.updates.plan import Plan
from scheduler.core.updates.records import InstanceProgress, JobUpdate, Phase, UpdateKey
from scheduler.core.updates.status import ACTIVE_UPDATE_STATES, TERMINAL_UPDATE_STATES

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """Records by key. Subclasses keep indexes in `_moved`."""

    def __init__(self) -> None:
        self._rows: dict[K, V] = {}

    def replace(self, key: K, new: V | None) -> V | None:
        """Put `new` (None: remove) under `key`; returns what was there. The only way in."""
        old = self._rows.get(key)
        if new is None:
            if old is not None:
                del self._rows[key]
        else:
            self._rows[key] = new
        self._moved(key, old, new)
        return old

    def _moved(self, key: K, old: V | None, new: V | None) -> None:
        """Keep the indexes in step."""

    def get(self, key: K) -> V | None:
        return self._rows.get(key)

    def __getitem__(self, key: K) -> V:
        return self._rows[key]

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[K]:
        return iter(self._rows)

    def values(self) -> ValuesView[V]:
        return self._rows.values()

    def items(self) -> ItemsView[K, V]:
        return self._rows.items()


class ConfigTable(Table[bytes, TaskConfig]):
    """Task configurations by digest, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.digests: dict[TaskConfig, bytes] = {}
        self.version = 0
        """Counts every change."""

    def _moved(self, key: bytes, old: TaskConfig | None, new: TaskConfig | None) -> None:
        self.version += 1
        if old is not None:
            self.digests.pop(old, None)
        if new is not None:
            self.digests[new] = key

    def canonical(self, config: TaskConfig) -> TaskConfig:
        """The object the state already has for this content, or `config` itself."""
        digest = self.digests.get(config)
        return config if digest is None else self[digest]


class Usage:
    """What the active tasks of one host take. CPUs in thousandths, so that sums are exact."""

    __slots__ = ("disk_mb", "gpus", "milli_cpus", "ports", "ram_mb", "tasks")

    def __init__(self) -> None:
        self.milli_cpus = 0
        self.ram_mb = 0
        self.disk_mb = 0
        self.gpus = 0
        self.tasks: dict[str, Task] = {}
        self.ports: dict[int, str] = {}

    def count(self, task: Task, by: int) -> None:
        """Add (`by` 1) or take away (`by` -1) one task."""
        need = need_of(task.config)
        self.milli_cpus += by * need.milli_cpus
        self.ram_mb += by * need.ram_mb
        self.disk_mb += by * need.disk_mb
        self.gpus += by * need.gpus
        for _, port in task.ports:
            if by > 0:
                self.ports[port] = task.task_id
            elif self.ports.get(port) == task.task_id:
                del self.ports[port]


NO_USAGE = Usage()


class HostTable(Table[str, Host]):
    """Hosts by name. `touched`: those that came, changed or went since somebody emptied it."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: set[str] = set()
        self.version = 0

    def _moved(self, key: str, old: Host | None, new: Host | None) -> None:
        self.touched.add(key)
        self.version += 1


class Spread:
    """On which hosts a job's active tasks are, and how many on each."""

    __slots__ = ("departures", "hosts", "version")

    def __init__(self) -> None:
        self.hosts: dict[str, int] = {}
        self.version = 0
        """Counts every change, so that what was made of `hosts` can be kept."""
        self.departures = 0


class TaskTable(Table[str, Task]):
    """Tasks by id; by job, by status, by host, and the one active task of each instance."""

    def __init__(self) -> None:
        super().__init__()
        self.by_job: dict[JobKey, dict[str, Task]] = {}
        self.active: dict[JobKey, dict[int, Task]] = {}
        self.by_status: dict[TaskStatus, dict[str, Task]] = {status: {} for status in TaskStatus}
        self.ended = Ended()
        self.pending: dict[TaskConfig, dict[str, Task]] = {}
        """Tasks that wait for a host, by configuration, in the order in which they came."""
        self.by_host: dict[str, Usage] = {}
        """Active tasks that have a host, and what they take of it."""
        self.spread: dict[JobKey, Spread] = {}
        self.touched: set[str] = set()
        """Hosts whose use changed since somebody emptied it."""
        self.counts: dict[str, dict[JobKey, dict[TaskConfig, int]]] = {}
        """How many active tasks of each configuration, by role and job: what quota is counted by."""

    def _moved(self, key: str, old: Task | None, new: Task | None) -> None:
        was_active = old is not None and old.status in ACTIVE_STATES
        is_active = new is not None and new.status in ACTIVE_STATES
        if old is not None:
            self.by_status[old.status].pop(key, None)
            if was_active:
                _drop(self.active, old.config.job, old.instance_id, old)
            if old.status is TaskStatus.PENDING:
                _drop(self.pending, old.config, key, old)
            if old.status in TERMINAL_STATES:
                self.ended.drop(old.config.job, old.latest_event_ms, key)
            if new is None:
                _drop(self.by_job, old.config.job, key, old)
        if new is not None:
            job = new.config.job
            self.by_job.setdefault(job, {})[key] = new
            self.by_status[new.status][key] = new
            if is_active:
                self.active.setdefault(job, {})[new.instance_id] = new
            if new.status is TaskStatus.PENDING:
                self.pending.setdefault(new.config, {})[key] = new
            if new.status in TERMINAL_STATES:
                self.ended.add(job, new.latest_event_ms, key)
        if was_active is not is_active:
            self._count((new or old).config, +1 if is_active else -1)  # type: ignore[union-attr]
        self._occupy(key, old, new)

    def _count(self, config: TaskConfig, by: int) -> None:
        jobs = self.counts.setdefault(config.job.role, {})
        counts = jobs.setdefault(config.job, {})
        counts[config] = counts.get(config, 0) + by
        if not counts[config]:
            del counts[config]
            if not counts:
                del jobs[config.job]
                if not jobs:
                    del self.counts[config.job.role]

    def _occupy(self, key: str, old: Task | None, new: Task | None) -> None:
        """Keep `by_host`; a change of state on the same host costs one dictionary write."""
        left = old.host if old is not None and old.status in ACTIVE_STATES else None
        taken = new.host if new is not None and new.status in ACTIVE_STATES else None
        if left is not None and left != taken:
            assert old is not None
            usage = self.by_host[left]
            usage.count(old, -1)
            del usage.tasks[key]
            if not usage.tasks:
                del self.by_host[left]
            self._spread(old.config.job, left, -1)
        if taken is not None:
            assert new is not None
            usage = self.by_host.get(taken) or self.by_host.setdefault(taken, Usage())
            if left != taken:
                usage.count(new, +1)
                self._spread(new.config.job, taken, +1)
            usage.tasks[key] = new

    def _spread(self, job: JobKey, host: str, by: int) -> None:
        self.touched.add(host)
        spread = self.spread.get(job) or self.spread.setdefault(job, Spread())
        left = spread.hosts.get(host, 0) + by
        spread.version += 1
        spread.departures += by < 0
        if left:
            spread.hosts[host] = left
        else:
            del spread.hosts[host]
            if not spread.hosts:
                del self.spread[job]


def _drop(index: dict[K, dict[V, Task]], outer: K, inner: V, task: Task) -> None:
    """Take `task` out of a two-level index, if it is what stands there, and an emptied inner level with it."""
    rows = index.get(outer)
    if rows is not None and rows.get(inner) is task:
        del rows[inner]
        if not rows:
            del index[outer]


class UpdateTable(Table[UpdateKey, JobUpdate]):
    """Updates by key and by job, and the one active update a job may have."""

    def __init__(self) -> None:
        super().__init__()
        self.by_job: dict[JobKey, dict[UpdateKey, JobUpdate]] = {}
        self.active: dict[JobKey, JobUpdate] = {}
        self.ended = Ended()
        self.plans: dict[UpdateKey, Plan] = {}
        """What `updater.plan_of` has derived from their instructions, which never change. It goes as the update goes or
        ends, and as its start is undone: so nobody needs to think of it."""

    def _moved(self, key: UpdateKey, old: JobUpdate | None, new: JobUpdate | None) -> None:
        if old is not None:
            if self.active.get(key.job) is old:
                del self.active[key.job]
            if old.status in TERMINAL_UPDATE_STATES:
                self.ended.drop(key.job, old.last_modified_ms, key.id)
            if new is None:
                rows = self.by_job[key.job]
                del rows[key]
                if not rows:
                    del self.by_job[key.job]
        if new is not None:
            self.by_job.setdefault(key.job, {})[key] = new
            if new.status in ACTIVE_UPDATE_STATES:
                self.active[key.job] = new
                return
            self.ended.add(key.job, new.last_modified_ms, key.id)
        self.plans.pop(key, None)


class CronTable(Table[JobKey, CronJob]):
    """Cron jobs by key and by role."""

    def __init__(self) -> None:
        super().__init__()
        self.by_role: dict[str, dict[JobKey, CronJob]] = {}

    def _moved(self, key: JobKey, old: CronJob | None, new: CronJob | None) -> None:
        if new is not None:
            self.by_role.setdefault(key.role, {})[key] = new
        elif old is not None:
            rows = self.by_role[key.role]
            del rows[key]
            if not rows:
                del self.by_role[key.role]


class Tally:
    """One update's progress counted: what a strategy needs to know without looking at every instance."""

    __slots__ = ("again", "exit_seq", "failed", "rows", "skipped", "succeeded", "working")

    def __init__(self) -> None:
        self.rows: dict[int, InstanceProgress] = {}
        self.working: dict[int, None] = {}
        self.failed = 0
        self.succeeded = 0
        self.skipped = 0
        self.again = 0
        self.exit_seq = 0
        """The highest exit number given out."""

    @property
    def started(self) -> int:
        """Whose turn has come, or will not come any more."""
        return len(self.working) + self.failed + self.succeeded + self.skipped

    @property
    def in_order(self) -> bool:
        """Are the first so many of the plan those that were started? Not when some were set aside."""
        return not (self.skipped or self.again)


EMPTY_TALLY = Tally()


class ProgressTable(Table[tuple[UpdateKey, int], InstanceProgress]):
    """Progress by (update, instance), with a tally per update."""

    def __init__(self) -> None:
        super().__init__()
        self.tallies: dict[UpdateKey, Tally] = {}

    def tally(self, key: UpdateKey) -> Tally:
        return self.tallies.get(key, EMPTY_TALLY)

    def _moved(self, key: tuple[UpdateKey, int], old: InstanceProgress | None, new: InstanceProgress | None) -> None:
        update, instance = key
        tally = self.tallies.get(update)
        if tally is None:
            tally = self.tallies[update] = Tally()
        if old is not None:
            _count(tally, instance, old.phase, -1)
        if new is not None:
            _count(tally, instance, new.phase, +1)
            tally.rows[instance] = new
            tally.exit_seq = max(tally.exit_seq, new.exit_seq)
        else:
            tally.rows.pop(instance, None)
            if not tally.rows:
                del self.tallies[update]


def _count(tally: Tally, instance: int, phase: Phase, by: int) -> None:
    if phase is Phase.WORKING:
        if by > 0:
            tally.working[instance] = None
        else:
            tally.working.pop(instance, None)
    elif phase is Phase.FAILED:
        tally.failed += by
    elif phase is Phase.SUCCEEDED:
        tally.succeeded += by
    elif phase is Phase.SKIPPED:
        tally.skipped += by
    elif phase is Phase.AGAIN:
        tally.again += by
