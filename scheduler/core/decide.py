"""Running one decision: all of it happens or nothing does, and what it changed is followed to the end.

A task that changes may move its job's update, which may change tasks again. Those consequences are part of the same
decision. An update that raises is set aside alone (`updates/updater.py`, `guarded`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler.core.answers import OK, Answer, Refused
from scheduler.core.cron import runs
from scheduler.core.maintenance import draining
from scheduler.core.transaction import TaskChanged, TaskDeleted, Transaction
from scheduler.core.updates import updater
from scheduler.core.updates.records import UpdateKey


def decide(tx: Transaction, decision: Callable[..., Answer | None], *args: Any) -> Answer:
    """`decision(tx, *args)` and its consequences. A refusal or an exception leaves the state as it was."""
    try:
        answer = decision(tx, *args)
        settle(tx)
    except Refused as refused:
        tx.undo()
        return refused.answer
    except BaseException:
        tx.undo()
        raise
    tx.close()
    return answer or OK


def settle(tx: Transaction) -> None:
    """Let updates and cron jobs look at every task that changed, until nothing changes any more."""
    while tx.changes:
        change = tx.changes.popleft()
        update = tx.state.updates.active.get(change.task.job)
        if update is not None:
            _tell(tx, update.key, change)
        runs.task_left(tx, change.task.job)
        draining.finish_if_empty(tx, change.task.host)


def _tell(tx: Transaction, key: UpdateKey, change: TaskChanged | TaskDeleted) -> None:
    task = change.task
    if isinstance(change, TaskChanged):
        if tx.state.tasks.get(task.task_id) is not task:
            return  # it has moved on since; the newer change follows
        seen = updater.Seen(task.instance_id, task)
    else:
        seen = updater.Seen(task.instance_id, tx.state.tasks.active.get(task.job, {}).get(task.instance_id))
    updater.look_at(tx, key, [seen])
