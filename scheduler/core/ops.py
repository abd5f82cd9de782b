"""The changes of state, as they stand in the log. Each is a delta; `state.apply` carries it out.

A decision is recorded as a list of ops. Replaying the ops of all entries in order gives the state, so an op says what
became, never why it was decided, and applying it needs nothing but the state before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from scheduler.core.cron.records import CronJob, Runs
from scheduler.core.maintenance.records import Maintenance
from scheduler.core.records import JobKey, Metadata, Quota, Task, TaskConfig, TaskEvent
from scheduler.core.updates.notes import Notes, Remark
from scheduler.core.updates.records import (
    InstanceEvent,
    InstanceProgress,
    Instructions,
    JobUpdate,
    UpdateEvent,
    UpdateKey,
)


@frozen
class EpochBegun:
    """A scheduler took over. The first op of its first entry."""

    epoch: int
    scheduler: str


@frozen
class SaveConfig:
    """A task configuration, once, before its first use. It is dropped with the last record that uses it."""

    digest: bytes
    config: TaskConfig


@frozen
class SaveTask:
    """A whole task: a new one, or any one in a base."""

    task: Task


@frozen
class MoveTask:
    """A task came to `event.status`. `compact` drops the last two events first (partition flapping)."""

    task_id: str
    event: TaskEvent
    failure_count: int
    times_partitioned: int = 0
    compact: bool = False


@frozen
class AssignTask:
    """A task was given a host and ports, and became ASSIGNED."""

    task_id: str
    event: TaskEvent
    host: str
    agent_id: str
    ports: tuple[tuple[str, int], ...]


@frozen
class RemoveTasks:
    task_ids: tuple[str, ...]


@frozen
class StartUpdate:
    """A new update with its first event."""

    key: UpdateKey
    user: str
    metadata: tuple[Metadata, ...]
    instructions: Instructions
    event: UpdateEvent


@frozen
class MoveUpdate:
    """An update came to `event.status`."""

    key: UpdateKey
    event: UpdateEvent


@frozen
class RecordInstance:
    """An instance event, shown in Aurora's history."""

    key: UpdateKey
    event: InstanceEvent


@frozen
class MoveInstance:
    """Progress of one instance, never shown in Aurora's history."""

    key: UpdateKey
    instance_id: int
    progress: InstanceProgress


@frozen
class AnnotateUpdate:
    """What is said about an update beside its history, all of it; never shown in Aurora's history."""

    key: UpdateKey
    notes: Notes


@frozen
class RecordRemark:
    """What was done to an update without changing its status; never shown in Aurora's history."""

    key: UpdateKey
    remark: Remark


@frozen
class RemoveUpdates:
    keys: tuple[UpdateKey, ...]


@frozen
class SaveUpdate:
    """A whole update with its histories and progress. Stands in a base, and behind a `Restored`."""

    update: JobUpdate
    progress: tuple[tuple[int, InstanceProgress], ...]


@frozen
class SaveQuota:
    """A role's quota, in place of the one before."""

    role: str
    quota: Quota


@frozen
class SaveCronJob:
    """A whole cron job: a new one, one with another template, or any one in a base."""

    cron: CronJob


@frozen
class MoveCronJob:
    """The runs of a cron job stand elsewhere; `why` is a sentence, or empty."""

    key: JobKey
    runs: Runs
    why: str = ""


@frozen
class RemoveCronJob:
    key: JobKey


@frozen
class SaveMaintenance:
    """A host's mode and what was asked for it, in place of what was there. Mode NONE: nothing is kept."""

    maintenance: Maintenance


@frozen
class Restored:
    """Everything before is forgotten, but not which epoch it is. The ops behind it in its entry build what is now."""

    backup_id: str


Op = (
    EpochBegun
    | SaveConfig
    | SaveTask
    | MoveTask
    | AssignTask
    | RemoveTasks
    | StartUpdate
    | MoveUpdate
    | RecordInstance
    | MoveInstance
    | AnnotateUpdate
    | RecordRemark
    | RemoveUpdates
    | SaveUpdate
    | SaveQuota
    | SaveCronJob
    | MoveCronJob
    | RemoveCronJob
    | SaveMaintenance
    | Restored
)

FORMAT_LEVEL: Final = 2
"""The newest format level: which ops there are and what they say (`thrift/storage.thrift`)."""

SINCE: Final[Mapping[type, int]] = dict.fromkeys(
    (SaveQuota, SaveCronJob, MoveCronJob, RemoveCronJob, SaveMaintenance, Restored, RecordRemark), 2
)
"""Ops that came after the first level. A leader decides none that another scheduler of its cluster cannot read yet."""


def level_of(ops: Iterable[Op]) -> int:
    """The lowest format level whose readers understand all of these."""
    return max((SINCE.get(type(op), 1) for op in ops), default=1)
