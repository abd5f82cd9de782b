"""Forgetting history: ended tasks and ended updates, by age and by number per job.

Source: Aurora's documentation, "Scheduler configuration" (history pruning flags); `docs/compatibility.md`, "Pruning".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scheduler.core import ops
from scheduler.core.effects import Forget
from scheduler.core.records import TERMINAL_STATES, Task
from scheduler.core.transaction import Transaction
from scheduler.core.updates.records import JobUpdate
from scheduler.core.updates.status import TERMINAL_UPDATE_STATES

MOST_AT_ONCE: Final = 500
"""So that a sweep is a short decision; the next sweep takes the next ones."""


def prune_tasks(tx: Transaction) -> None:
    """Drop ended tasks that are old, or too many for their job. The most recent hour's are always kept."""
    doomed = [task.task_id for task in _doomed_tasks(tx)][:MOST_AT_ONCE]
    if doomed:
        tx.apply(ops.RemoveTasks(tuple(doomed)))
        tx.effect(Forget(tuple(doomed)))
        tx.say("history", f"{len(doomed)} ended tasks forgotten")


def _doomed_tasks(tx: Transaction) -> Iterator[Task]:
    policy = tx.policy
    by_job: dict[object, list[Task]] = {}
    for status in TERMINAL_STATES:
        for task_id in tx.state.tasks.by_status[status]:
            task = tx.state.tasks[task_id]
            by_job.setdefault(task.job, []).append(task)
    for rows in by_job.values():
        rows.sort(key=lambda task: task.latest_event_ms, reverse=True)
        for position, task in enumerate(rows):
            age_ms = tx.now_ms - task.latest_event_ms
            too_many = position >= policy.history_max_per_job  # the recent ones count, though they are kept
            if age_ms >= policy.history_min_retention_ms and (too_many or age_ms >= policy.history_prune_threshold_ms):
                yield task


def prune_updates(tx: Transaction) -> None:
    """Drop ended updates that ended long ago, that are too many for their job, or whose job has no task left."""
    doomed = [update.key for update in _doomed_updates(tx)][:MOST_AT_ONCE]
    if doomed:
        tx.apply(ops.RemoveUpdates(tuple(doomed)))
        tx.say("history", f"{len(doomed)} ended updates forgotten")


def _doomed_updates(tx: Transaction) -> Iterator[JobUpdate]:
    policy = tx.policy
    for job, rows in tx.state.updates.by_job.items():
        ended = [update for update in rows.values() if update.status in TERMINAL_UPDATE_STATES]
        if job not in tx.state.tasks.by_job:
            yield from ended
            continue
        ended.sort(key=_ended_ms, reverse=True)
        for position, update in enumerate(ended):
            # Aurora counts from creation and may drop an update that has only just ended; the end is what counts here.
            too_old = tx.now_ms - _ended_ms(update) > policy.update_history_prune_threshold_ms
            if too_old or position >= policy.update_history_per_job:
                yield update


def _ended_ms(update: JobUpdate) -> int:
    return update.last_modified_ms
