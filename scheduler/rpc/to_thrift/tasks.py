"""Tasks and their events."""

from __future__ import annotations

from typing import Any

from scheduler.core.records import Task, TaskEvent
from scheduler.interface import aurora
from scheduler.rpc.to_thrift.jobs import task_config


def scheduled_task(task: Task, *, with_data: bool) -> Any:
    """`with_data` False: without what the executor is told."""
    struct = without_config(task)
    struct.assignedTask.task = task_config(task.config, with_data=with_data)
    return struct


def without_config(task: Task) -> Any:
    """What is the task's own."""
    assigned = aurora.AssignedTask(
        taskId=task.task_id,
        slaveId=task.agent_id,
        slaveHost=task.host,
        assignedPorts=dict(task.ports),
        instanceId=task.instance_id,
    )
    return aurora.ScheduledTask(
        assignedTask=assigned,
        status=task.status,
        failureCount=task.failure_count,
        taskEvents=[_event(event) for event in task.events],
        ancestorId=task.ancestor_id,
        timesPartitioned=task.times_partitioned,
    )


def _event(event: TaskEvent) -> Any:
    return aurora.TaskEvent(
        timestamp=event.timestamp_ms, status=event.status, message=event.message, scheduler=event.scheduler
    )
