"""From a `Body` of `thrift/storage.thrift` to the ops of the core.

Tasks and updates get the one TaskConfig object their digest names, and repeated texts are one string object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from itertools import starmap
from sys import intern
from typing import Any, Final, TypeVar

from scheduler.changelog.config_from_thrift import (
    UnknownBranch,
    config_from_thrift,
    metadata_from_thrift,
    sla_policy_from_thrift,
)
from scheduler.changelog.configs import Configs
from scheduler.core import ops
from scheduler.core.cron.records import CollisionPolicy, CronJob, Runs
from scheduler.core.history import History
from scheduler.core.maintenance.records import Drain, Maintenance
from scheduler.core.records import JobKey, MaintenanceMode, Quota, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.updates.notes import NO_NOTES, Hold, Notes, Override, Pause, Remark
from scheduler.core.updates.records import (
    BatchStrategy,
    InstanceAction,
    InstanceConfigs,
    InstanceEvent,
    InstanceProgress,
    Instructions,
    JobUpdate,
    Phase,
    QueueStrategy,
    Range,
    Strategy,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
    VariableBatchStrategy,
)

__all__ = ["BodyReader"]

E = TypeVar("E", bound=IntEnum)


class _Names(dict[int, E]):
    """Numbers of an enum. A number without a name is newer than this version. Ten times as fast as the enum."""

    def __init__(self, kind: type[E]) -> None:
        super().__init__((member.value, member) for member in kind)
        self._kind = kind.__name__

    def __missing__(self, number: int) -> E:
        raise UnknownBranch(f"{self._kind} {number} is unknown")


_TASK_STATUS: Final = _Names(TaskStatus)
_UPDATE_STATUS: Final = _Names(UpdateStatus)
_ACTION: Final = _Names(InstanceAction)
_PHASE: Final = _Names(Phase)
_COLLISION: Final = _Names(CollisionPolicy)
_MODE: Final = _Names(MaintenanceMode)


class BodyReader:
    """Reads one body. Raises UnknownBranch for what is newer, and LookupError or TypeError for what makes no sense."""

    def __init__(self, body: Any, configs: Configs) -> None:
        self._ops = body.ops or ()
        self._texts = [intern(text) for text in body.texts or ()]
        self._updates = [_update_key(key) for key in body.updates or ()]
        self._digests: list[bytes] = body.configs or []
        self._configs = configs
        self._resolved: dict[int, TaskConfig] = {}

    def read(self) -> list[ops.Op]:
        return [self._op(record) for record in self._ops]

    def _op(self, record: Any) -> ops.Op:
        for name, read in _READERS:
            value = getattr(record, name)
            if value is not None:
                return read(self, value)
        raise UnknownBranch("a record of unknown kind")

    # --- tables ---

    def _text(self, at: int | None) -> str | None:
        return None if at is None else self._texts[at]

    def _texts_of(self, refs: list[int] | None, count: int) -> list[str | None]:
        """A column of `count` texts."""
        texts = self._texts
        return [None] * count if refs is None else [None if ref < 0 else texts[ref] for ref in refs]

    def _config(self, at: int) -> TaskConfig:
        config = self._resolved.get(at)
        if config is None:
            # Only now: the SaveConfig may stand earlier in this body.
            config = self._resolved[at] = self._configs.config_of(self._digests[at])
        return config

    # --- tasks ---

    def _epoch_begun(self, op: Any) -> ops.Op:
        return ops.EpochBegun(op.epoch, op.scheduler)

    def _save_config(self, op: Any) -> ops.Op:
        return ops.SaveConfig(op.digest, self._configs.remember(op.digest, config_from_thrift(op.config)))

    def _task_event(self, event: Any) -> TaskEvent:
        return TaskEvent(
            event.timestampMs, _TASK_STATUS[event.status], self._text(event.message), self._text(event.scheduler)
        )

    def _task_history(self, history: Any) -> tuple[TaskEvent, ...]:
        if history is None:
            return ()
        statuses = [_TASK_STATUS[status] for status in history.statuses]
        messages = self._texts_of(history.messages, len(statuses))
        schedulers = self._texts_of(history.schedulers, len(statuses))
        return tuple(starmap(TaskEvent, zip(history.timestampsMs, statuses, messages, schedulers, strict=True)))

    def _ports(self, ports: Iterable[Any] | None) -> tuple[tuple[str, int], ...]:
        return tuple([(self._texts[port.name], port.number) for port in ports or ()])

    def _save_task(self, op: Any) -> ops.Op:
        task = Task(
            op.taskId,
            op.instance,
            self._config(op.config),
            _TASK_STATUS[op.status],
            self._task_history(op.history),
            op.failureCount or 0,
            op.ancestorId,
            op.timesPartitioned or 0,
            self._text(op.host),
            self._text(op.agent),
            self._ports(op.ports),
        )
        return ops.SaveTask(task)

    def _move_task(self, op: Any) -> ops.Op:
        event = TaskEvent(op.timestampMs, _TASK_STATUS[op.status], self._text(op.message), self._text(op.scheduler))
        return ops.MoveTask(op.taskId, event, op.failureCount or 0, op.timesPartitioned or 0, bool(op.compact))

    def _assign_task(self, op: Any) -> ops.Op:
        return ops.AssignTask(
            op.taskId,
            self._task_event(op.event),
            self._texts[op.host],
            self._texts[op.agent],
            self._ports(op.ports),
        )

    def _remove_tasks(self, op: Any) -> ops.Op:
        return ops.RemoveTasks(tuple(op.taskIds))

    # --- updates ---

    def _instance_configs(self, part: Any) -> InstanceConfigs:
        return InstanceConfigs(self._config(part.config), _ranges(part.instances))

    def _instructions(self, instructions: Any) -> Instructions:
        desired = instructions.desired
        return Instructions(
            tuple([self._instance_configs(part) for part in instructions.initial or ()]),
            None if desired is None else self._instance_configs(desired),
            _settings(instructions.settings),
        )

    def _update_event(self, event: Any) -> UpdateEvent:
        return UpdateEvent(
            _UPDATE_STATUS[event.status], event.timestampMs, self._text(event.user), self._text(event.message)
        )

    def _instance_history(self, history: Any) -> History[InstanceEvent]:
        if history is None:
            return History()
        actions = [_ACTION[action] for action in history.actions]
        messages = self._texts_of(history.messages, len(actions))
        rows = zip(history.instances, history.timestampsMs, actions, messages, strict=True)
        return History(starmap(InstanceEvent, rows))

    def _start_update(self, op: Any) -> ops.Op:
        return ops.StartUpdate(
            self._updates[op.update],
            self._texts[op.user],
            metadata_from_thrift(op.metadata),
            self._instructions(op.instructions),
            self._update_event(op.event),
        )

    def _move_update(self, op: Any) -> ops.Op:
        return ops.MoveUpdate(self._updates[op.update], self._update_event(op.event))

    def _record_instance(self, op: Any) -> ops.Op:
        event = InstanceEvent(op.instance, op.timestampMs, _ACTION[op.action], self._text(op.message))
        return ops.RecordInstance(self._updates[op.update], event)

    def _move_instance(self, op: Any) -> ops.Op:
        return ops.MoveInstance(self._updates[op.update], op.instance, _progress(op))

    def _notes(self, notes: Any) -> Notes:
        if notes is None:
            return NO_NOTES
        hold, override, pause = notes.hold, notes.gateOverride, notes.pause
        texts = self._texts
        return Notes(
            hold and Hold(texts[hold.reason], texts[hold.link], texts[hold.source], hold.sinceMs, hold.recordedMs),
            override and Override(override.untilMs, texts[override.user], texts[override.reason]),
            pause and Pause(pause.untilMs or 0, texts[pause.user], texts[pause.reason], pause.sinceMs),
            notes.progressUsedMs or 0,
            notes.progressFromMs or 0,
        )

    def _annotate_update(self, op: Any) -> ops.Op:
        return ops.AnnotateUpdate(self._updates[op.update], self._notes(op.notes))

    def _record_remark(self, op: Any) -> ops.Op:
        remark = Remark(op.timestampMs, self._text(op.user) or "", self._texts[op.message])
        return ops.RecordRemark(self._updates[op.update], remark)

    def _remove_updates(self, op: Any) -> ops.Op:
        return ops.RemoveUpdates(tuple([self._updates[at] for at in op.updates]))

    def _save_update(self, op: Any) -> ops.Op:
        update = JobUpdate(
            self._updates[op.update],
            self._texts[op.user],
            self._instructions(op.instructions),
            metadata_from_thrift(op.metadata),
            History(self._update_event(event) for event in op.events or ()),
            self._instance_history(op.instanceHistory),
            self._notes(op.notes),
        )
        return ops.SaveUpdate(update, tuple([(p.instance, _progress(p)) for p in op.progress or ()]))

    # --- quota ---

    def _save_quota(self, op: Any) -> ops.Op:
        return ops.SaveQuota(op.role, Quota(op.cpus or 0.0, op.ramMb or 0, op.diskMb or 0))

    # --- cron ---

    def _save_cron_job(self, op: Any) -> ops.Op:
        cron = CronJob(
            _job_key(op.key),
            self._config(op.config),
            op.instanceCount,
            op.schedule,
            _COLLISION[op.collisionPolicy or 0],
            op.ownerUser,
            _runs(op.runs),
        )
        return ops.SaveCronJob(cron)

    def _move_cron_job(self, op: Any) -> ops.Op:
        return ops.MoveCronJob(_job_key(op.key), _runs(op.runs), op.why or "")

    def _remove_cron_job(self, op: Any) -> ops.Op:
        return ops.RemoveCronJob(_job_key(op.key))

    # --- maintenance ---

    def _save_maintenance(self, op: Any) -> ops.Op:
        drain = None
        if op.policy is not None:
            drain = Drain(sla_policy_from_thrift(op.policy), op.timeoutSecs or 0, op.createdMs)
        return ops.SaveMaintenance(Maintenance(op.host, _MODE[op.mode], drain))

    # --- all of it ---

    def _restored(self, op: Any) -> ops.Op:
        return ops.Restored(op.backupId)


def _job_key(job: Any) -> JobKey:
    return JobKey(job.role, job.environment, job.name)


def _update_key(key: Any) -> UpdateKey:
    return UpdateKey(_job_key(key.job), key.id)


def _runs(runs: Any) -> Runs:
    return Runs(
        runs.followedToMs,
        runs.lastRunMs or 0,
        runs.waitingMs or 0,
        runs.missed or 0,
        runs.lastMissedMs or 0,
        runs.heldBack or 0,
    )


def _progress(op: Any) -> InstanceProgress:
    return InstanceProgress(_PHASE[op.phase or 0], op.failures or 0, op.exitSeq or 0, op.recorded or 0)


def _ranges(ranges: Iterable[Any] | None) -> tuple[Range, ...]:
    return tuple([Range(r.first, r.last) for r in ranges or ()])


def _strategy(strategy: Any) -> Strategy:
    queue, batch, variable = strategy.queue, strategy.batch, strategy.variableBatch
    if queue is not None:
        return QueueStrategy(queue.groupSize)
    if batch is not None:
        return BatchStrategy(batch.groupSize, bool(batch.autopauseAfterBatch))
    if variable is not None:
        return VariableBatchStrategy(tuple(variable.groupSizes), bool(variable.autopauseAfterBatch))
    raise UnknownBranch("an update strategy of unknown kind")


def _settings(settings: Any) -> UpdateSettings:
    return UpdateSettings(
        strategy=_strategy(settings.strategy),
        update_group_size=settings.updateGroupSize or 0,
        wait_for_batch_completion=bool(settings.waitForBatchCompletion),
        max_per_instance_failures=settings.maxPerInstanceFailures or 0,
        max_failed_instances=settings.maxFailedInstances or 0,
        min_wait_in_instance_running_ms=settings.minWaitInInstanceRunningMs or 0,
        rollback_on_failure=bool(settings.rollbackOnFailure),
        update_only_these_instances=_ranges(settings.updateOnlyTheseInstances),
        block_if_no_pulses_after_ms=settings.blockIfNoPulsesAfterMs,
        sla_aware=settings.slaAware,
    )


# The commonest first: they are tried in this order.
_READERS: Final[tuple[tuple[str, Callable[[BodyReader, Any], ops.Op]], ...]] = (
    ("moveTask", BodyReader._move_task),
    ("moveInstance", BodyReader._move_instance),
    ("recordInstance", BodyReader._record_instance),
    ("saveTask", BodyReader._save_task),
    ("assignTask", BodyReader._assign_task),
    ("moveUpdate", BodyReader._move_update),
    ("removeTasks", BodyReader._remove_tasks),
    ("saveConfig", BodyReader._save_config),
    ("startUpdate", BodyReader._start_update),
    ("saveUpdate", BodyReader._save_update),
    ("annotateUpdate", BodyReader._annotate_update),
    ("recordRemark", BodyReader._record_remark),
    ("removeUpdates", BodyReader._remove_updates),
    ("epochBegun", BodyReader._epoch_begun),
    ("moveCronJob", BodyReader._move_cron_job),
    ("saveQuota", BodyReader._save_quota),
    ("saveCronJob", BodyReader._save_cron_job),
    ("removeCronJob", BodyReader._remove_cron_job),
    ("saveMaintenance", BodyReader._save_maintenance),
    ("restored", BodyReader._restored),
)
