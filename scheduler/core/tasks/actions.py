"""What requests and updates ask of tasks: create one, end one."""

from __future__ import annotations

from scheduler.core.records import Task, TaskConfig, TaskStatus
from scheduler.core.tasks.lifecycle import Outcome, add_task, transition
from scheduler.core.tasks.rescheduling import new_task
from scheduler.core.transaction import Transaction


def create(tx: Transaction, config: TaskConfig, instance: int) -> Task:
    """A new PENDING task for an instance that has no active one."""
    assert instance not in tx.state.tasks.active.get(config.job, {}), (config.job, instance)
    task = new_task(tx, tx.intern(config), instance)
    add_task(tx, task)
    return task


def kill(tx: Transaction, task: Task, message: str) -> Outcome:
    """Ask for a task's end, for good. One without a host just goes."""
    return transition(tx, task.task_id, TaskStatus.KILLING, message)
