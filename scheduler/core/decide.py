"""Running one decision: all of it happens or nothing does, and what it changed is followed to the end.

A task that changes may move its job's update, which may change tasks again. Those consequences are part of the same
decision. An update that raises is set aside alone: ERROR, with the reason in its history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler.core.answers import OK, Answer, Refused
from scheduler.core.records import Task
from scheduler.core.transaction import TaskChanged, TaskDeleted, Transaction
from scheduler.core.updates import status as table, updater
from scheduler.core.updates.records import JobUpdate, UpdateKey, UpdateStatus


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
    """Let updates look at every task that changed, until nothing changes any more."""
    while tx.changes:
        change = tx.changes.popleft()
        update = tx.state.updates.active.get(change.task.job)
        if update is not None:
            guarded(tx, update.key, _look, update.key, change)


def guarded(tx: Transaction, key: UpdateKey, look: Callable[..., None], *args: Any) -> None:
    """Run one update's part of a decision; if it raises, take that part back and set the update aside."""
    before = tx.savepoint()
    try:
        look(tx, *args)
    except Exception as failure:  # whatever it is, it is this update's alone
        tx.rollback(before)
        reason = f"Internal scheduler error: {type(failure).__name__}: {failure}"
        updater.move(tx, tx.state.updates[key], UpdateStatus.ERROR, message=reason)


def _look(tx: Transaction, key: UpdateKey, change: TaskChanged | TaskDeleted) -> None:
    update = tx.state.updates[key]
    task = change.task
    active: Task | None = tx.state.tasks.active.get(task.job, {}).get(task.instance_id)
    if isinstance(change, TaskChanged):
        if tx.state.tasks.get(task.task_id) is not task:
            return  # it has moved on since; the newer change follows
        seen = updater.Seen(task.instance_id, task)
    else:
        seen = updater.Seen(task.instance_id, active)
    _tell(tx, update, seen)


def _tell(tx: Transaction, update: JobUpdate, seen: updater.Seen) -> None:
    if update.status in table.EXITS_COUNT_NOW:
        updater.evaluate(tx, update, [seen])
    elif update.status in table.EXITS_COUNT_LATER:
        updater.note_exits(tx, update.key, [seen])
