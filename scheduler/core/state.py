"""The state: what the log amounts to. `apply` folds one op into it, `dump` writes it out as ops again.

`apply` is the only code that changes logged tables: deciding, replaying, following and loading a base all run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from scheduler.core import ops
from scheduler.core.cron.records import CronJob
from scheduler.core.history import History
from scheduler.core.maintenance.records import Maintenance
from scheduler.core.placement.memory import Memory
from scheduler.core.placement.reservations import ReservationTable
from scheduler.core.records import JobKey, MaintenanceMode, Quota, Task, TaskConfig
from scheduler.core.tables import ConfigTable, CronTable, HostTable, ProgressTable, Table, TaskTable, UpdateTable
from scheduler.core.updates.folding import with_event, with_instance_event
from scheduler.core.updates.notes import Beat, Remark, with_remark
from scheduler.core.updates.records import (
    InstanceProgress,
    Instructions,
    JobUpdate,
    SlaRefusal,
    UpdateKey,
    UpdateStatus,
)
from scheduler.core.updates.status import TERMINAL_UPDATE_STATES

Journal = list[tuple[Table[Any, Any], Any, Any]]


class State:
    """All tables. Changes are journaled while `journal` is a list, so that a decision can be undone."""

    def __init__(self) -> None:
        self.configs = ConfigTable()
        self.config_uses: Table[bytes, int] = Table()
        """How many records hold a configuration; at none it is dropped."""
        self.tasks = TaskTable()
        self.updates = UpdateTable()
        self.progress = ProgressTable()
        self.quotas: Table[str, Quota] = Table()
        """By role. A role without one may take nothing."""
        self.remarks: Table[UpdateKey, tuple[Remark, ...]] = Table()
        """What was done to updates beside their histories, the oldest first. Absent: nothing."""
        self.cron_jobs = CronTable()
        self.maintenance: Table[str, Maintenance] = Table()
        """By host. A host without a record is in service."""
        self.epoch = 0

        # Not logged: what only this leader knows. The next one begins without it.
        self.hosts = HostTable()
        """Machines the engine offers now."""
        self.absent_hosts = HostTable()
        """Machines it offered before, as they were then, while tasks are on them: limits count those too."""
        self.reservations = ReservationTable()
        self.pulses: Table[UpdateKey, int] = Table()
        """When each coordinated update was last heard of, on the clock that never jumps. Absent: never, by us."""
        self.beats: Table[UpdateKey, Beat] = Table()
        """What monitors last said, where they said more than that they are there."""
        self.sla_refusals: Table[tuple[UpdateKey, int], SlaRefusal] = Table()
        """Instances in progress whose tasks may not be ended yet."""
        self.pending_reasons: Table[TaskConfig, str] = Table()
        """Why pending tasks of a configuration have no host yet."""
        self.last_ports: Table[str, int] = Table()
        """The port each host gave out last."""
        self.next_cron_runs: Table[JobKey, int] = Table()
        """When each cron job runs next, as its schedule says and its deadline is armed."""
        self.led_from_ms = 0
        """When this leader took over; a cron run that was due before was missed."""
        self.placement = Memory()
        """Derived, and hints; see `placement/memory.py`."""

        self.journal: Journal | None = None

    @property
    def logged_tables(self) -> tuple[Table[Any, Any], ...]:
        """Whatever `dump` writes out, tables that refer to others first."""
        return (
            self.progress,
            self.remarks,
            self.updates,
            self.tasks,
            self.config_uses,
            self.configs,
            self.quotas,
            self.cron_jobs,
            self.maintenance,
        )

    def replace(self, table: Table[Any, Any], key: Any, new: Any) -> Any:
        """`table.replace`, journaled."""
        old = table.replace(key, new)
        if self.journal is not None:
            self.journal.append((table, key, old))
        return old

    def undo(self, journal: Journal) -> None:
        """Put back, newest first, what `journal` says was there."""
        for table, key, old in reversed(journal):
            table.replace(key, old)

    def digest_of(self, config: TaskConfig) -> bytes:
        return self.configs.digests[config]


def apply(state: State, op: ops.Op) -> None:
    """Fold one op. Ops of the log always fit the state they were decided on; one that does not is a damaged log."""
    _APPLY[type(op)](state, op)


def _hold(state: State, config: TaskConfig) -> None:
    digest = state.configs.digests[config]
    state.replace(state.config_uses, digest, (state.config_uses.get(digest) or 0) + 1)


def _release(state: State, config: TaskConfig) -> None:
    digest = state.configs.digests[config]
    left = state.config_uses[digest] - 1
    state.replace(state.config_uses, digest, left or None)
    if not left:
        state.replace(state.configs, digest, None)


def _epoch_begun(state: State, op: ops.EpochBegun) -> None:
    state.epoch = op.epoch


def _save_config(state: State, op: ops.SaveConfig) -> None:
    state.replace(state.configs, op.digest, op.config)


# --- tasks -----------------------------------------------------------------------------------------------------------


def _save_task(state: State, op: ops.SaveTask) -> None:
    _hold(state, op.task.config)
    state.replace(state.tasks, op.task.task_id, op.task)


def _move_task(state: State, op: ops.MoveTask) -> None:
    old = state.tasks[op.task_id]
    kept = old.events[:-2] if op.compact else old.events
    new = Task(
        old.task_id,
        old.instance_id,
        old.config,
        op.event.status,
        (*kept, op.event),
        op.failure_count,
        old.ancestor_id,
        op.times_partitioned,
        old.host,
        old.agent_id,
        old.ports,
    )
    state.replace(state.tasks, op.task_id, new)


def _assign_task(state: State, op: ops.AssignTask) -> None:
    old = state.tasks[op.task_id]
    new = Task(
        old.task_id,
        old.instance_id,
        old.config,
        op.event.status,
        (*old.events, op.event),
        old.failure_count,
        old.ancestor_id,
        old.times_partitioned,
        op.host,
        op.agent_id,
        op.ports,
    )
    state.replace(state.tasks, op.task_id, new)


def _remove_tasks(state: State, op: ops.RemoveTasks) -> None:
    for task_id in op.task_ids:
        old: Task = state.replace(state.tasks, task_id, None)
        _release(state, old.config)


# --- updates ---------------------------------------------------------------------------------------------------------


def _configs_of(instructions: Instructions) -> Iterator[TaskConfig]:
    for part in instructions.initial:
        yield part.config
    if instructions.desired is not None:
        yield instructions.desired.config


def _start_update(state: State, op: ops.StartUpdate) -> None:
    for config in _configs_of(op.instructions):
        _hold(state, config)
    update = JobUpdate(op.key, op.user, op.instructions, op.metadata, History((op.event,)))
    state.replace(state.updates, op.key, update)


def _move_update(state: State, op: ops.MoveUpdate) -> None:
    old = state.updates[op.key]
    new = JobUpdate(
        old.key,
        old.user,
        old.instructions,
        old.metadata,
        with_event(old, op.event),
        old.instance_events,
        old.notes,
    )
    state.replace(state.updates, op.key, new)
    turned = op.event.status is UpdateStatus.ROLLING_BACK and not old.is_rolling_back
    if op.event.status in TERMINAL_UPDATE_STATES:
        _clear_progress(state, op.key, keep_recorded=False)
    elif turned:
        _clear_progress(state, op.key, keep_recorded=True)


def _clear_progress(state: State, key: UpdateKey, *, keep_recorded: bool) -> None:
    """A new direction starts from nothing, but remembers which events the history has; an ended update has none."""
    for instance, progress in list(state.progress.tally(key).rows.items()):
        kept = InstanceProgress(recorded=progress.recorded) if keep_recorded else None
        state.replace(state.progress, (key, instance), kept)


def _record_instance(state: State, op: ops.RecordInstance) -> None:
    old = state.updates[op.key]
    new = JobUpdate(
        old.key,
        old.user,
        old.instructions,
        old.metadata,
        old.events,
        with_instance_event(old, op.event),
        old.notes,
    )
    state.replace(state.updates, op.key, new)


def _move_instance(state: State, op: ops.MoveInstance) -> None:
    state.replace(state.progress, (op.key, op.instance_id), op.progress)


def _annotate_update(state: State, op: ops.AnnotateUpdate) -> None:
    old = state.updates[op.key]
    new = JobUpdate(old.key, old.user, old.instructions, old.metadata, old.events, old.instance_events, op.notes)
    state.replace(state.updates, op.key, new)


def _record_remark(state: State, op: ops.RecordRemark) -> None:
    state.replace(state.remarks, op.key, with_remark(state.remarks.get(op.key) or (), op.remark))


def _remove_updates(state: State, op: ops.RemoveUpdates) -> None:
    for key in op.keys:
        old: JobUpdate = state.replace(state.updates, key, None)
        state.replace(state.remarks, key, None)
        _clear_progress(state, key, keep_recorded=False)
        for config in _configs_of(old.instructions):
            _release(state, config)


def _save_update(state: State, op: ops.SaveUpdate) -> None:
    for config in _configs_of(op.update.instructions):
        _hold(state, config)
    state.replace(state.updates, op.update.key, op.update)
    for instance, progress in op.progress:
        state.replace(state.progress, (op.update.key, instance), progress)


# --- quota -----------------------------------------------------------------------------------------------------------


def _save_quota(state: State, op: ops.SaveQuota) -> None:
    state.replace(state.quotas, op.role, op.quota)


# --- cron ------------------------------------------------------------------------------------------------------------


def _save_cron_job(state: State, op: ops.SaveCronJob) -> None:
    _hold(state, op.cron.config)
    old: CronJob | None = state.replace(state.cron_jobs, op.cron.key, op.cron)
    if old is not None:
        _release(state, old.config)


def _move_cron_job(state: State, op: ops.MoveCronJob) -> None:
    old = state.cron_jobs[op.key]
    new = CronJob(old.key, old.config, old.instance_count, old.schedule, old.collision_policy, old.owner_user, op.runs)
    state.replace(state.cron_jobs, op.key, new)


def _remove_cron_job(state: State, op: ops.RemoveCronJob) -> None:
    old: CronJob = state.replace(state.cron_jobs, op.key, None)
    _release(state, old.config)


# --- maintenance -----------------------------------------------------------------------------------------------------


def _save_maintenance(state: State, op: ops.SaveMaintenance) -> None:
    row = op.maintenance
    state.replace(state.maintenance, row.host, None if row.mode is MaintenanceMode.NONE else row)
    for table in (state.hosts, state.absent_hosts):
        host = table.get(row.host)
        if host is not None:
            state.replace(table, row.host, attrs.evolve(host, mode=row.mode))


# --- all of it -------------------------------------------------------------------------------------------------------


def _restored(state: State, op: ops.Restored) -> None:
    for table in state.logged_tables:
        for key in list(table):
            state.replace(table, key, None)


_APPLY: Final[dict[type, Callable[[State, Any], None]]] = {
    ops.EpochBegun: _epoch_begun,
    ops.SaveConfig: _save_config,
    ops.SaveTask: _save_task,
    ops.MoveTask: _move_task,
    ops.AssignTask: _assign_task,
    ops.RemoveTasks: _remove_tasks,
    ops.StartUpdate: _start_update,
    ops.MoveUpdate: _move_update,
    ops.RecordInstance: _record_instance,
    ops.MoveInstance: _move_instance,
    ops.AnnotateUpdate: _annotate_update,
    ops.RecordRemark: _record_remark,
    ops.RemoveUpdates: _remove_updates,
    ops.SaveUpdate: _save_update,
    ops.SaveQuota: _save_quota,
    ops.SaveCronJob: _save_cron_job,
    ops.MoveCronJob: _move_cron_job,
    ops.RemoveCronJob: _remove_cron_job,
    ops.SaveMaintenance: _save_maintenance,
    ops.Restored: _restored,
}


def dump(state: State) -> Iterator[ops.Op]:
    """The ops that build this state from an empty one: what a base, a snapshot and a backup hold."""
    yield ops.EpochBegun(state.epoch, "")
    for digest, config in state.configs.items():
        yield ops.SaveConfig(digest, config)
    for task in state.tasks.values():
        yield ops.SaveTask(task)
    for key, update in state.updates.items():
        yield ops.SaveUpdate(update, tuple(state.progress.tally(key).rows.items()))
    for key, remarks in state.remarks.items():
        for remark in remarks:
            yield ops.RecordRemark(key, remark)
    for role, quota in state.quotas.items():
        yield ops.SaveQuota(role, quota)
    for cron in state.cron_jobs.values():
        yield ops.SaveCronJob(cron)
    for row in state.maintenance.values():
        yield ops.SaveMaintenance(row)
