"""A `World` from what a scheduler answers, or from a state in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scheduler.core.records import Metadata, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.records import UpdateStatus
from scheduler.interface import aurora
from scheduler.testing.asking import CALL, UPDATE_ID, update_query
from scheduler.testing.history.records import TaskEventRow, TaskRow, UpdateEventRow, UpdateRow, World

__all__ = ["NotTold", "from_scheduler", "from_state", "update_row"]


class NotTold(Exception):
    """The scheduler answered, but did not tell: it may be suspended just now."""


def from_scheduler(client: Any, *, role: str = "www") -> World:
    """Everything of one role. Raises what the client raises, NotTold."""
    updates = _told(client.getJobUpdateDetails(None, update_query(role=role))).getJobUpdateDetailsResult
    tasks = _told(client.getTasksWithoutConfigs(aurora.TaskQuery(role=role))).scheduleStatusResult
    return World(map(_task_row, tasks.tasks or ()), map(update_row, updates.detailsList or ()))


def _told(response: Any) -> Any:
    if response.responseCode != aurora.ResponseCode.OK:
        raise NotTold(f"answered with {response.responseCode}: {response.details}")
    return response.result


def _task_row(task: Any) -> TaskRow:
    assigned = task.assignedTask
    return TaskRow(
        task_id=assigned.taskId,
        job=_job(assigned.task.job),
        instance=assigned.instanceId,
        status=TaskStatus(task.status),
        token=_value(assigned.task.metadata, CALL),
        events=tuple(TaskEventRow(e.timestamp, TaskStatus(e.status), e.message) for e in task.taskEvents),
    )


def update_row(details: Any) -> UpdateRow:
    """One update from its JobUpdateDetails."""
    summary, instructions = details.update.summary, details.update.instructions
    desired = instructions.desiredState
    return UpdateRow(
        id=summary.key.id,
        job=_job(summary.key.job),
        status=UpdateStatus(summary.state.status),
        token=_value(summary.metadata, UPDATE_ID),
        desired_token=None if desired is None or desired.task is None else _value(desired.task.metadata, CALL),
        events=tuple(UpdateEventRow(e.timestampMs, UpdateStatus(e.status), e.message) for e in details.updateEvents),
    )


def _job(key: Any) -> str:
    return f"{key.role}/{key.environment}/{key.name}"


def _value(metadata: Iterable[Any] | None, key: str) -> str | None:
    return next((one.value for one in metadata or () if one.key == key), None)


def from_state(state: State) -> World:
    """What is in memory, without a wire in between."""
    tasks = [
        TaskRow(
            task.task_id,
            str(task.config.job),
            task.instance_id,
            task.status,
            _own(task.config.metadata, CALL),
            tuple(TaskEventRow(event.timestamp_ms, event.status, event.message) for event in task.events),
        )
        for task in state.tasks.values()
    ]
    updates = [
        UpdateRow(
            key.id,
            str(key.job),
            update.status,
            _own(update.metadata, UPDATE_ID),
            _own(desired.config.metadata, CALL) if (desired := update.instructions.desired) else None,
            tuple(UpdateEventRow(event.timestamp_ms, event.status, event.message) for event in update.events),
        )
        for key, update in state.updates.items()
    ]
    return World(tasks, updates)


def _own(metadata: Iterable[Metadata], key: str) -> str | None:
    return next((one.value for one in metadata if one.key == key), None)
