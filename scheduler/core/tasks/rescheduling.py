"""Successors of tasks that ended, the penalty of those that keep dying young, and patience with silent hosts.

Source: Aurora's documentation, "Task lifecycle", sections on flapping tasks and on partitions.
"""

from __future__ import annotations

import re
from typing import Final

from scheduler.core.records import ACTIVE_STATES, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.transaction import Transaction

_NOT_IN_IDS: Final = re.compile(r"[^\w\-]", re.ASCII)
_ASKED: Final = (TaskStatus.RESTARTING, TaskStatus.KILLING, TaskStatus.DRAINING)


def task_id(config: TaskConfig, instance: int, unique: str) -> str:
    """`<role>-<env>-<name>-<instance>-<uuid>`, everything but word characters and dashes turned into dashes."""
    job = config.job
    return _NOT_IN_IDS.sub("-", f"{job.role}-{job.environment}-{job.name}-{instance}-{unique}")


def new_task(tx: Transaction, config: TaskConfig, instance: int) -> Task:
    """A first PENDING task of an instance. `config` must be interned."""
    event = TaskEvent(tx.now_ms, TaskStatus.PENDING, None, tx.world.scheduler)
    return Task(task_id(config, instance, tx.world.new_id()), instance, config, TaskStatus.PENDING, (event,))


def successor(tx: Transaction, task: Task) -> Task:
    """The task that follows one that ended: PENDING, or THROTTLED when its forebears flapped too."""
    throttled_ms = penalty_ms(tx, task.ancestor_id)
    status = TaskStatus.THROTTLED if throttled_ms else TaskStatus.PENDING
    why = f"Rescheduled, penalized for {throttled_ms} ms for flapping" if throttled_ms else "Rescheduled"
    return Task(
        task_id(task.config, task.instance_id, tx.world.new_id()),
        task.instance_id,
        task.config,
        status,
        (TaskEvent(tx.now_ms, status, why, tx.world.scheduler),),
        failure_count=task.failure_count,
        ancestor_id=task.task_id,
    )


def partition_patience_ms(config: TaskConfig) -> int | None:
    """How long a task may be PARTITIONED before it is LOST and replaced; None: for ever, its policy says so."""
    policy = config.partition_policy
    if policy is None:
        return 0
    return (policy.delay_secs or 0) * 1000 if policy.reschedule else None


def penalty_ms(tx: Transaction, ancestor_id: str | None) -> int:
    """How long a task with these ancestors is held back: 0 when the nearest did not flap.

    Each flapping ancestor adds between once and twice what stands already, up to the cap.
    """
    policy = tx.policy
    penalty = 0
    while ancestor_id is not None and penalty < policy.max_flapping_task_delay_ms:
        ancestor = tx.state.tasks.get(ancestor_id)
        if ancestor is None or not has_flapped(ancestor, policy.flapping_task_threshold_ms):
            break
        step = penalty or policy.initial_flapping_task_delay_ms
        penalty = min(policy.max_flapping_task_delay_ms, step + int(tx.world.random() * step))
        ancestor_id = ancestor.ancestor_id
    return penalty


def has_flapped(task: Task, threshold_ms: int) -> bool:
    """It ended by itself and soon: from its last active event to its end in less than the threshold."""
    if task.was(*_ASKED) or not task.events:
        return False
    active = [event.timestamp_ms for event in task.events if event.status in ACTIVE_STATES]
    return bool(active) and task.latest_event_ms - active[-1] < threshold_ms
