"""From the ops of the core to the bytes of a `Body` of `thrift/storage.thrift`.

One `BodyWriter` makes one body: it collects the strings, update keys and configurations that the ops refer to. The
commonest ops are packed at once (`packed.py`), the others become structs that thriftpy2 encodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from struct import Struct
from typing import Any, Final

from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyMemoryBuffer

from scheduler.changelog import packed
from scheduler.changelog.config_to_thrift import config_to_thrift, metadata_to_thrift, sla_policy_to_thrift
from scheduler.changelog.configs import Configs
from scheduler.changelog.packed import Tables
from scheduler.changelog.settings_to_thrift import ranges_to_thrift, settings_to_thrift
from scheduler.core import ops
from scheduler.core.cron.records import Runs
from scheduler.core.records import JobKey, TaskConfig, TaskEvent
from scheduler.core.updates.notes import NO_NOTES, Notes
from scheduler.core.updates.records import (
    InstanceConfigs,
    InstanceEvent,
    InstanceProgress,
    Instructions,
    UpdateEvent,
)
from scheduler.interface import aurora, storage

__all__ = ["BodyWriter"]


def _branch(name: str) -> Any:
    """A class of records that are an Op with this branch set.

    thriftpy2 asks a record for its fields one after another; this one has no others. What is written is the same as
    from `storage.Op`, in two thirds of the time.
    """
    specs = {fid: spec for fid, spec in storage.Op.thrift_spec.items() if spec[1] == name}

    def init(self: Any, value: Any) -> None:
        setattr(self, name, value)

    return type(name, (), {"__slots__": (name,), "thrift_spec": specs, "__init__": init})


_EpochBegun = _branch("epochBegun")
_SaveConfig = _branch("saveConfig")
_SaveTask = _branch("saveTask")
_RemoveTasks = _branch("removeTasks")
_StartUpdate = _branch("startUpdate")
_RemoveUpdates = _branch("removeUpdates")
_SaveUpdate = _branch("saveUpdate")
_AnnotateUpdate = _branch("annotateUpdate")
_SaveQuota = _branch("saveQuota")
_RecordRemark = _branch("recordRemark")
_SaveCronJob = _branch("saveCronJob")
_MoveCronJob = _branch("moveCronJob")
_RemoveCronJob = _branch("removeCronJob")
_SaveMaintenance = _branch("saveMaintenance")
_Restored = _branch("restored")

_OPS: Final = Struct(">3sci")

# Absent means 0, false or empty on disk, so `x or None` leaves those out.
# The structs of ops that occur in masses are built by position, in the order of the IDL: that is twice as fast.


class BodyWriter(Tables):
    """Add ops in their order, then take `to_bytes()`."""

    def __init__(self, configs: Configs) -> None:
        super().__init__()
        self._configs = configs
        self._ops: list[Any] = []
        """Bytes, or a struct with one branch set."""
        self._config_refs: dict[TaskConfig, int] = {}

    def add(self, told: Iterable[ops.Op]) -> None:
        """Raises KeyError when a record uses a configuration that no SaveConfig named."""
        self._ops += [_WRITERS[type(op)](self, op) for op in told]

    def to_bytes(self) -> bytes:
        """Raises whatever thriftpy2 or struct raise for a value of a wrong type or size."""
        buffer = TCyMemoryBuffer()
        # The type stubs know only the slow protocol of the same shape.
        protocol: Any = TCyBinaryProtocol(buffer)  # type: ignore[no-untyped-call]
        buffer.write(_OPS.pack(b"\x0f\0\x01", b"\x0c", len(self._ops)))  # field 1 is a list of structs
        for kind, records in groupby(self._ops, type):
            if kind is bytes:
                buffer.write(b"".join(records))
            else:
                for record in records:
                    protocol.write_struct(record)
        protocol.write_struct(self._tables())
        data: bytes = buffer.getvalue()
        return data

    def _tables(self) -> Any:
        """The body without its ops, which come first."""
        return storage.Body(
            texts=list(self.texts) or None,
            updates=[
                storage.UpdateKey(aurora.JobKey(key.job.role, key.job.environment, key.job.name), key.id)
                for key in self.updates
            ]
            or None,
            configs=[self._configs.digest_of(config) for config in self._config_refs] or None,
        )

    # --- tables ---

    def _text(self, text: str | None) -> int | None:
        return None if text is None else self.texts[text]

    def _config(self, config: TaskConfig) -> int:
        at = self._config_refs.get(config)
        if at is None:
            self._configs.digest_of(config)
            at = self._config_refs[config] = len(self._config_refs)
        return at

    def _texts_of(self, texts: Iterable[str | None]) -> list[int] | None:
        """A column; None when it has nothing but gaps."""
        refs = [-1 if text is None else self.texts[text] for text in texts]
        return refs if any(ref >= 0 for ref in refs) else None

    # --- tasks ---

    def _epoch_begun(self, op: ops.EpochBegun) -> Any:
        return _EpochBegun(storage.EpochBegun(op.epoch, op.scheduler))

    def _save_config(self, op: ops.SaveConfig) -> Any:
        self._configs.remember(op.digest, op.config)
        return _SaveConfig(storage.SaveConfig(op.digest, config_to_thrift(op.config)))

    def _task_history(self, events: Sequence[TaskEvent]) -> Any:
        if not events:
            return None
        return storage.TaskHistory(
            [event.status for event in events],
            [event.timestamp_ms for event in events],
            self._texts_of(event.message for event in events),
            self._texts_of(event.scheduler for event in events),
        )

    def _ports(self, ports: Iterable[tuple[str, int]]) -> list[Any] | None:
        return [storage.Port(self._text(name), number) for name, number in ports] or None

    def _save_task(self, op: ops.SaveTask) -> Any:
        task = op.task
        return _SaveTask(
            storage.Task(
                task.task_id,
                task.instance_id,
                self._config(task.config),
                task.status,
                self._task_history(task.events),
                task.failure_count or None,
                task.ancestor_id,
                task.times_partitioned or None,
                self._text(task.host),
                self._text(task.agent_id),
                self._ports(task.ports),
            )
        )

    def _remove_tasks(self, op: ops.RemoveTasks) -> Any:
        return _RemoveTasks(storage.RemoveTasks(op.task_ids))

    # --- updates ---

    def _instance_configs(self, part: InstanceConfigs) -> Any:
        return storage.InstanceConfigs(self._config(part.config), ranges_to_thrift(part.instances))

    def _instructions(self, instructions: Instructions) -> Any:
        desired = instructions.desired
        return storage.Instructions(
            initial=[self._instance_configs(part) for part in instructions.initial] or None,
            desired=None if desired is None else self._instance_configs(desired),
            settings=settings_to_thrift(instructions.settings),
        )

    def _update_event(self, event: UpdateEvent) -> Any:
        return storage.UpdateEvent(event.status, event.timestamp_ms, self._text(event.user), self._text(event.message))

    def _instance_history(self, events: Sequence[InstanceEvent]) -> Any:
        if not events:
            return None
        return storage.InstanceHistory(
            [event.instance_id for event in events],
            [event.action for event in events],
            [event.timestamp_ms for event in events],
            self._texts_of(event.message for event in events),
        )

    def _start_update(self, op: ops.StartUpdate) -> Any:
        return _StartUpdate(
            storage.StartUpdate(
                update=self.updates[op.key],
                user=self._text(op.user),
                metadata=metadata_to_thrift(op.metadata),
                instructions=self._instructions(op.instructions),
                event=self._update_event(op.event),
            )
        )

    def _notes(self, notes: Notes) -> Any:
        hold, override, pause = notes.hold, notes.override, notes.pause
        text = self._text
        return storage.Notes(
            hold=hold
            and storage.Hold(text(hold.reason), text(hold.link), text(hold.source), hold.since_ms, hold.recorded_ms),
            gateOverride=override and storage.Override(override.until_ms, text(override.user), text(override.reason)),
            pause=pause and storage.Pause(pause.until_ms or None, text(pause.user), text(pause.reason), pause.since_ms),
            progressUsedMs=notes.progress_used_ms or None,
            progressFromMs=notes.progress_from_ms or None,
        )

    def _annotate_update(self, op: ops.AnnotateUpdate) -> Any:
        return _AnnotateUpdate(storage.AnnotateUpdate(self.updates[op.key], self._notes(op.notes)))

    def _record_remark(self, op: ops.RecordRemark) -> Any:
        told = op.remark
        user, message = self._text(told.user or None), self._text(told.message)
        return _RecordRemark(storage.RecordRemark(self.updates[op.key], told.timestamp_ms, user, message))

    def _remove_updates(self, op: ops.RemoveUpdates) -> Any:
        return _RemoveUpdates(storage.RemoveUpdates([self.updates[key] for key in op.keys]))

    def _save_update(self, op: ops.SaveUpdate) -> Any:
        update = op.update
        return _SaveUpdate(
            storage.Update(
                update=self.updates[update.key],
                user=self._text(update.user),
                metadata=metadata_to_thrift(update.metadata),
                instructions=self._instructions(update.instructions),
                events=[self._update_event(event) for event in update.events] or None,
                instanceHistory=self._instance_history(list(update.instance_events)),
                progress=[_progress(instance, progress) for instance, progress in op.progress] or None,
                notes=None if update.notes == NO_NOTES else self._notes(update.notes),
            )
        )

    # --- quota ---

    def _save_quota(self, op: ops.SaveQuota) -> Any:
        quota = op.quota
        return _SaveQuota(storage.SaveQuota(op.role, quota.cpus or None, quota.ram_mb or None, quota.disk_mb or None))

    # --- cron ---

    def _save_cron_job(self, op: ops.SaveCronJob) -> Any:
        cron = op.cron
        return _SaveCronJob(
            storage.CronJob(
                key=_job_key(cron.key),
                config=self._config(cron.config),
                instanceCount=cron.instance_count,
                schedule=cron.schedule,
                collisionPolicy=cron.collision_policy or None,
                ownerUser=cron.owner_user,
                runs=_runs(cron.runs),
            )
        )

    def _move_cron_job(self, op: ops.MoveCronJob) -> Any:
        return _MoveCronJob(storage.MoveCronJob(_job_key(op.key), _runs(op.runs), op.why or None))

    def _remove_cron_job(self, op: ops.RemoveCronJob) -> Any:
        return _RemoveCronJob(storage.RemoveCronJob(_job_key(op.key)))

    # --- maintenance ---

    def _save_maintenance(self, op: ops.SaveMaintenance) -> Any:
        row = op.maintenance
        struct = storage.Maintenance(row.host, row.mode)
        if row.drain is not None:
            struct.policy = sla_policy_to_thrift(row.drain.policy)
            struct.timeoutSecs = row.drain.timeout_secs or None
            struct.createdMs = row.drain.created_ms
        return _SaveMaintenance(struct)

    # --- all of it ---

    def _restored(self, op: ops.Restored) -> Any:
        return _Restored(storage.Restored(op.backup_id))


def _job_key(key: JobKey) -> Any:
    return aurora.JobKey(key.role, key.environment, key.name)


def _runs(runs: Runs) -> Any:
    return storage.CronRuns(
        runs.followed_to_ms,
        runs.last_run_ms or None,
        runs.waiting_ms or None,
        runs.missed or None,
        runs.last_missed_ms or None,
        runs.held_back or None,
    )


def _progress(instance: int, progress: InstanceProgress) -> Any:
    return storage.InstanceProgress(
        instance,
        progress.phase or None,
        progress.failures or None,
        progress.exit_seq or None,
        progress.recorded or None,
    )


_WRITERS: Final[dict[type, Callable[[BodyWriter, Any], Any]]] = {
    ops.EpochBegun: BodyWriter._epoch_begun,
    ops.SaveConfig: BodyWriter._save_config,
    ops.SaveTask: BodyWriter._save_task,
    ops.MoveTask: packed.move_task,
    ops.AssignTask: packed.assign_task,
    ops.RemoveTasks: BodyWriter._remove_tasks,
    ops.StartUpdate: BodyWriter._start_update,
    ops.MoveUpdate: packed.move_update,
    ops.RecordInstance: packed.record_instance,
    ops.MoveInstance: packed.move_instance,
    ops.AnnotateUpdate: BodyWriter._annotate_update,
    ops.RecordRemark: BodyWriter._record_remark,
    ops.RemoveUpdates: BodyWriter._remove_updates,
    ops.SaveUpdate: BodyWriter._save_update,
    ops.SaveQuota: BodyWriter._save_quota,
    ops.SaveCronJob: BodyWriter._save_cron_job,
    ops.MoveCronJob: BodyWriter._move_cron_job,
    ops.RemoveCronJob: BodyWriter._remove_cron_job,
    ops.SaveMaintenance: BodyWriter._save_maintenance,
    ops.Restored: BodyWriter._restored,
}
