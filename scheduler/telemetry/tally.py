"""Counts what durable entries say: transitions, what was forgotten, runs of cron jobs. Names are Aurora's where it has
them; an entry costs a look at each of its ops, and the figures are made when somebody asks.

What is counted is what this process wrote as the leader. So over several schedulers a sum counts nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import evolve

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.cron.records import CronJob, Runs
from scheduler.core.deadlines import TIMED_OUT
from scheduler.core.records import JobKey, TaskStatus
from scheduler.core.updates.records import InstanceAction, UpdateStatus

__all__ = ["Tally"]


class Tally:
    """Of one process, over all its terms as the leader."""

    def __init__(self) -> None:
        self._tasks: Counter[TaskStatus] = Counter()
        self._updates: Counter[UpdateStatus] = Counter()
        self._instances: Counter[InstanceAction] = Counter()
        self._others: Counter[str] = Counter(dict.fromkeys(_OTHERS, 0))
        self._runs: dict[JobKey, Runs] = {}
        """Where the runs of each cron job stand: what an op says is compared with it."""

    def begin(self, crons: Iterable[CronJob]) -> None:
        """A term begins, with these cron jobs."""
        self._runs = {cron.key: cron.runs for cron in crons}

    def committed(self, entry: Entry) -> None:
        for op in entry.ops:
            count = _COUNTED.get(type(op))
            if count is not None:
                count(self, op)
            elif type(op) is ops.Restored:  # what follows builds what was; nothing of it happens now
                return

    def figures(self) -> Mapping[str, int]:
        """For /vars."""
        found = {f"task_transition_{status.name}": self._tasks[status] for status in TaskStatus}
        found |= {f"update_transition_{status.name}": self._updates[status] for status in UpdateStatus}
        found |= {f"update_instance_transition_{action.name}": self._instances[action] for action in InstanceAction}
        return found | self._others

    def _new_task(self, op: ops.SaveTask) -> None:
        self._tasks[op.task.status] += 1

    def _task(self, op: ops.MoveTask | ops.AssignTask) -> None:
        self._tasks[op.event.status] += 1
        if op.event.message == TIMED_OUT and op.event.status is TaskStatus.LOST:
            self._others["timed_out_tasks"] += 1

    def _forgot_tasks(self, op: ops.RemoveTasks) -> None:
        self._others["tasks_pruned"] += len(op.task_ids)

    def _update(self, op: ops.StartUpdate | ops.MoveUpdate) -> None:
        self._updates[op.event.status] += 1

    def _instance(self, op: ops.RecordInstance) -> None:
        self._instances[op.event.action] += 1

    def _forgot_updates(self, op: ops.RemoveUpdates) -> None:
        self._others["job_updates_pruned"] += len(op.keys)

    def _new_cron(self, op: ops.SaveCronJob) -> None:
        self._runs[op.cron.key] = op.cron.runs

    def _cron(self, op: ops.MoveCronJob) -> None:
        before, now = self._runs.get(op.key), op.runs
        self._runs[op.key] = now
        if before is None:  # of a backup that was just restored: this leader is about to begin anew
            return
        held_back = now.held_back - before.held_back
        collided = held_back + (now.waiting_ms > before.waiting_ms)
        began = now == evolve(before, last_run_ms=now.last_run_ms)  # two runs may begin in one millisecond
        self._others["cron_job_triggers"] += collided + began
        self._others["cron_job_collisions"] += collided
        self._others["cron_job_misfires"] += now.missed - before.missed

    def _forgot_cron(self, op: ops.RemoveCronJob) -> None:
        self._runs.pop(op.key, None)


_OTHERS: Final = (
    "cron_job_collisions",
    "cron_job_misfires",
    "cron_job_triggers",
    "job_updates_pruned",
    "tasks_pruned",
    "timed_out_tasks",
)

_COUNTED: Final[dict[type, Callable[[Tally, Any], None]]] = {
    ops.SaveTask: Tally._new_task,
    ops.MoveTask: Tally._task,
    ops.AssignTask: Tally._task,
    ops.RemoveTasks: Tally._forgot_tasks,
    ops.StartUpdate: Tally._update,
    ops.MoveUpdate: Tally._update,
    ops.RecordInstance: Tally._instance,
    ops.RemoveUpdates: Tally._forgot_updates,
    ops.SaveCronJob: Tally._new_cron,
    ops.MoveCronJob: Tally._cron,
    ops.RemoveCronJob: Tally._forgot_cron,
}
