"""A backup that is looked through, and then becomes the state: what Aurora calls a recovery.

What is staged is a state of its own, beside the one that is led by. As in Aurora, only its tasks can be changed.
"""

from __future__ import annotations

from scheduler.core import ops
from scheduler.core.answers import OK, Answer
from scheduler.core.effects import StepDown
from scheduler.core.policy import Policy
from scheduler.core.queries import StagedTasks, TaskQuery
from scheduler.core.state import State, apply, dump
from scheduler.core.transaction import Transaction
from scheduler.core.views import find_tasks

__all__ = ["delete_tasks", "query", "restore"]


def query(state: State, policy: Policy, staged: State, wanted: TaskQuery) -> Answer:
    """The tasks of the staged backup that a query finds; the state that is led by is not looked at."""
    return Answer(result=StagedTasks(tuple(find_tasks(staged, wanted))))


def delete_tasks(state: State, policy: Policy, staged: State, wanted: TaskQuery) -> Answer:
    """Leave these tasks out of what will be restored. The state that is led by does not change."""
    found = tuple(task.task_id for task in find_tasks(staged, wanted))
    if found:
        apply(staged, ops.RemoveTasks(found))
    return OK


def restore(tx: Transaction, backup_id: str, staged: State) -> Answer:
    """The staged state in place of this one, in one entry. Then this leader steps down, for its memory is of another
    world: deadlines, heartbeats and what the engine was asked for.
    """
    tasks, updates = len(tx.state.tasks), len(tx.state.updates)
    tx.apply(ops.Restored(backup_id))
    for op in dump(staged):
        if not isinstance(op, ops.EpochBegun):
            tx.apply(op)
    told = f"{len(staged.tasks)} tasks and {len(staged.updates)} updates, in place of {tasks} and {updates}"
    why = f"the backup {backup_id} was restored: {told}"
    tx.say(backup_id, why)
    tx.effect(StepDown(why))
    return OK
