"""A second fold of the log, written apart from the production one, so that the checks do not believe what they check.

It keeps less than the state does, and something the state does not: how often each instance in progress has exited, as
counted here from the tasks' ends alone.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Final

from attrs import define, field, frozen

from scheduler.core import ops
from scheduler.core.maintenance.records import Maintenance
from scheduler.core.records import TERMINAL_STATES, JobKey, MaintenanceMode, TaskConfig, TaskStatus
from scheduler.core.updates.notes import NO_NOTES, Notes, Remark
from scheduler.core.updates.records import (
    InstanceEvent,
    InstanceProgress,
    Phase,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus as U,
)
from scheduler.testing.simulation import cron_rows
from scheduler.testing.simulation.cron_rows import CronChange, CronRow

ROLLING: Final = frozenset({U.ROLLING_FORWARD, U.ROLLING_BACK})
AWAITING: Final = frozenset({U.ROLL_FORWARD_AWAITING_PULSE, U.ROLL_BACK_AWAITING_PULSE})
PAUSED: Final = frozenset({U.ROLL_FORWARD_PAUSED, U.ROLL_BACK_PAUSED})
BACK: Final = frozenset({U.ROLLING_BACK, U.ROLL_BACK_PAUSED, U.ROLL_BACK_AWAITING_PULSE})
END_ASKED: Final = frozenset({TaskStatus.KILLING, TaskStatus.RESTARTING, TaskStatus.DRAINING, TaskStatus.PREEMPTING})
ENDED: Final = frozenset({U.ROLLED_FORWARD, U.ROLLED_BACK, U.ABORTED, U.FAILED, U.ERROR})


@define(eq=False)
class TaskRow:
    task_id: str
    job: JobKey
    instance: int
    config: TaskConfig
    status: TaskStatus
    last_ms: int
    has_ancestor: bool
    killed: bool = False
    """Its end was asked for, for good, at some time."""
    host: str | None = None


@define(eq=False)
class UpdateRow:
    key: UpdateKey
    settings: UpdateSettings
    initial: dict[int, TaskConfig]
    desired: dict[int, TaskConfig]
    events: list[UpdateEvent]
    instance_events: list[InstanceEvent] = field(factory=list)
    rows: dict[int, InstanceProgress] = field(factory=dict)
    exits: dict[int, int] = field(factory=dict)
    """How often each instance exited while it was in progress and exits counted, in this direction."""
    exited: list[int] = field(factory=list)
    """Instances in the order of these exits."""
    last_ms: int = 0
    wishes: dict[str, str] = field(factory=dict)
    """Its metadata."""
    notes: Notes = NO_NOTES
    remarks: list[Remark] = field(factory=list)

    @property
    def status(self) -> U:
        return self.events[-1].status

    @property
    def back(self) -> bool:
        return self.status in BACK

    @property
    def timeout_ms(self) -> int:
        return self.settings.block_if_no_pulses_after_ms or 0

    @property
    def proceeds_needed(self) -> int:
        """PROCEEDs in a row that lift a soft pause."""
        return int(self.wishes.get("thesan.proceeds_to_resume", "1"))

    @property
    def goes_back_unwatched(self) -> bool:
        """Is it on its way back, and asked not to wait for heartbeats there?"""
        return self.back and self.wishes.get("thesan.rollback_gate") == "open"

    def tells_of(self, token: str) -> bool:
        """Is it on its record what the request with this token did?"""
        told: list[UpdateEvent | InstanceEvent | Remark] = [*self.events, *self.instance_events, *self.remarks]
        messages = [one.message or "" for one in told]
        return any(message == token or message.endswith(f": {token}") for message in messages)

    def target(self, instance: int) -> TaskConfig | None:
        return (self.initial if self.back else self.desired).get(instance)

    def in_progress(self, instance: int) -> bool:
        row = self.rows.get(instance)
        return row is not None and row.phase is Phase.WORKING


# --- what one op did -------------------------------------------------------------------------------------------------


@frozen
class Created:
    task: TaskRow


@frozen
class Moved:
    task: TaskRow
    old: TaskStatus
    old_ms: int


@frozen
class Removed:
    tasks: tuple[TaskRow, ...]


@frozen
class Started:
    update: UpdateRow


@frozen
class Turned:
    update: UpdateRow
    old: U
    old_ms: int


@frozen
class Acted:
    update: UpdateRow
    event: InstanceEvent
    old_ms: int


@frozen
class Progressed:
    update: UpdateRow
    instance: int


@frozen
class Noted:
    """What is said beside its history is not what it was."""

    update: UpdateRow


@frozen
class Maintained:
    """What is known of a host's service is not what it was. `old` None: nothing was."""

    row: Maintenance
    old: Maintenance | None


@frozen
class Begun:
    epoch: int


UpdateChange = Started | Turned | Acted | Progressed | Noted
Change = Created | Moved | Removed | UpdateChange | Maintained | Begun | CronChange | None


class Ledger:
    """What the ops so far amount to."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskRow] = {}
        self.updates: dict[UpdateKey, UpdateRow] = {}
        self.active: dict[JobKey, UpdateRow] = {}
        self.crons: dict[JobKey, CronRow] = {}
        self.maintenance: dict[str, Maintenance] = {}
        self.epoch = 0

    def copy(self) -> Ledger:
        """One that can go its own way."""
        other = Ledger()
        other.tasks = {task_id: copy(row) for task_id, row in self.tasks.items()}
        for key, row in self.updates.items():
            twin = other.updates[key] = copy(row)
            twin.events, twin.instance_events = list(row.events), list(row.instance_events)
            twin.rows, twin.exits, twin.exited = dict(row.rows), dict(row.exits), list(row.exited)
            if row.status not in ENDED:
                other.active[key.job] = twin
        other.crons = {key: copy(row) for key, row in self.crons.items()}
        other.maintenance = dict(self.maintenance)
        other.epoch = self.epoch
        return other

    def fold(self, op: ops.Op) -> Change:
        return _FOLD[type(op)](self, op)


def _epoch(ledger: Ledger, op: ops.EpochBegun) -> Change:
    ledger.epoch = op.epoch
    return Begun(op.epoch)


def _nothing(ledger: Ledger, op: object) -> Change:
    return None


def _save_task(ledger: Ledger, op: ops.SaveTask) -> Change:
    task = op.task
    row = TaskRow(
        task.task_id,
        task.config.job,
        task.instance_id,
        task.config,
        task.status,
        task.events[-1].timestamp_ms,
        task.ancestor_id is not None,
    )
    ledger.tasks[task.task_id] = row
    return Created(row)


def _move_task(ledger: Ledger, op: ops.MoveTask) -> Change:
    row = ledger.tasks[op.task_id]
    change = Moved(row, row.status, row.last_ms)
    row.status, row.last_ms = op.event.status, op.event.timestamp_ms
    if row.status is TaskStatus.KILLING:
        row.killed = True
    elif row.status in TERMINAL_STATES and not row.killed:
        _count_exit(ledger, row)
    return change


def _count_exit(ledger: Ledger, task: TaskRow) -> None:
    """The task ended and nobody had asked for it: does an update count that?"""
    update = ledger.active.get(task.job)
    if update is None or update.status in PAUSED or not update.in_progress(task.instance):
        return
    target = update.target(task.instance)
    if target is task.config or target == task.config:
        update.exits[task.instance] = update.exits.get(task.instance, 0) + 1
        update.exited.append(task.instance)


def _assign_task(ledger: Ledger, op: ops.AssignTask) -> Change:
    row = ledger.tasks[op.task_id]
    change = Moved(row, row.status, row.last_ms)
    row.status, row.last_ms, row.host = op.event.status, op.event.timestamp_ms, op.host
    return change


def _remove_tasks(ledger: Ledger, op: ops.RemoveTasks) -> Change:
    return Removed(tuple(ledger.tasks.pop(task_id) for task_id in op.task_ids))


def _start_update(ledger: Ledger, op: ops.StartUpdate) -> Change:
    told = op.instructions
    initial = {i: part.config for part in told.initial for r in part.instances for i in range(r.first, r.last + 1)}
    desired = {}
    if told.desired is not None:
        desired = {i: told.desired.config for r in told.desired.instances for i in range(r.first, r.last + 1)}
    row = UpdateRow(op.key, told.settings, initial, desired, [op.event], last_ms=op.event.timestamp_ms)
    row.wishes = {item.key: item.value for item in op.metadata}
    ledger.updates[op.key] = row
    ledger.active[op.key.job] = row
    return Started(row)


def _move_update(ledger: Ledger, op: ops.MoveUpdate) -> Change:
    row = ledger.updates[op.key]
    change = Turned(row, row.status, row.last_ms)
    row.events.append(op.event)
    row.last_ms = op.event.timestamp_ms
    if op.event.status in ENDED:
        del ledger.active[op.key.job]
    if op.event.status in ENDED or (change.old not in BACK and row.back):
        row.rows, row.exits, row.exited = {}, {}, []
    return change


def _record_instance(ledger: Ledger, op: ops.RecordInstance) -> Change:
    row = ledger.updates[op.key]
    change = Acted(row, op.event, row.last_ms)
    row.instance_events.append(op.event)
    row.last_ms = op.event.timestamp_ms
    return change


def _move_instance(ledger: Ledger, op: ops.MoveInstance) -> Change:
    row = ledger.updates[op.key]
    row.rows[op.instance_id] = op.progress
    if op.progress.phase in (Phase.AGAIN, Phase.SKIPPED) and row.exits.pop(op.instance_id, 0):
        # A person set it aside: what it did before counts no longer.
        row.exited = [instance for instance in row.exited if instance != op.instance_id]
    return Progressed(row, op.instance_id)


def _annotate_update(ledger: Ledger, op: ops.AnnotateUpdate) -> Change:
    row = ledger.updates[op.key]
    row.notes = op.notes
    return Noted(row)


def _record_remark(ledger: Ledger, op: ops.RecordRemark) -> Change:
    ledger.updates[op.key].remarks.append(op.remark)
    return None


def _remove_updates(ledger: Ledger, op: ops.RemoveUpdates) -> Change:
    for key in op.keys:
        del ledger.updates[key]
    return None


def _save_maintenance(ledger: Ledger, op: ops.SaveMaintenance) -> Change:
    row = op.maintenance
    old = ledger.maintenance.pop(row.host, None)
    if row.mode is not MaintenanceMode.NONE:
        ledger.maintenance[row.host] = row
    return Maintained(row, old)


_FOLD: Final[dict[type, Callable[[Ledger, Any], Change]]] = {
    ops.EpochBegun: _epoch,
    ops.SaveConfig: _nothing,
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
    ops.SaveQuota: _nothing,
    ops.SaveCronJob: lambda ledger, op: cron_rows.saved(ledger.crons, op),
    ops.MoveCronJob: lambda ledger, op: cron_rows.moved(ledger.crons, op),
    ops.RemoveCronJob: lambda ledger, op: cron_rows.removed(ledger.crons, op),
    ops.SaveMaintenance: _save_maintenance,
}
