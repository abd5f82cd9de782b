"""Forgetting history: ended tasks and ended updates, by age and by number per job.

A sweep is a row of short decisions (`steps`), however much there is: each looks at some jobs and forgets a bounded
number. What is kept is not looked at, but for the oldest of each job (`ended.py`).

Source: Aurora's documentation, "Scheduler configuration" (history pruning flags); `docs/compatibility.md`, "Pruning".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from scheduler.core import ops
from scheduler.core.effects import Forget
from scheduler.core.records import JobKey
from scheduler.core.state import State
from scheduler.core.transaction import Transaction
from scheduler.core.updates.records import UpdateKey

JOBS_AT_ONCE: Final = 2_000
"""Looked at in one decision."""
TASKS_AT_ONCE: Final = 500
"""Forgotten in one decision."""
UPDATES_AT_ONCE: Final = 50
"""Fewer: an update may have thousands of events."""

Jobs = deque[JobKey]
"""What a sweep has yet to look at. A decision takes away from its left what it is done with."""


def steps(state: State) -> Iterator[tuple[Callable[[Transaction, Jobs], None], Jobs]]:
    """The decisions of one sweep, each with its argument; ask for the next one when that was made."""
    jobs = Jobs(state.tasks.ended.jobs())
    while jobs:
        yield prune_tasks, jobs
    jobs = Jobs(state.updates.ended.jobs())
    while jobs:
        yield prune_updates, jobs


def prune_tasks(tx: Transaction, jobs: Jobs) -> None:
    """Drop ended tasks that are old, or too many for their job. The most recent hour's are always kept."""
    doomed, unfinished = _gather(jobs, lambda job: _doomed_tasks(tx, job), TASKS_AT_ONCE)
    if doomed:
        forgotten = tuple(task_id for _, task_id in doomed)
        tx.apply(ops.RemoveTasks(forgotten))
        tx.effect(Forget(forgotten))
        tx.say("history", f"{len(forgotten)} ended tasks forgotten")
    jobs.extendleft(unfinished)


def _doomed_tasks(tx: Transaction, job: JobKey) -> Iterator[str]:
    policy, ended = tx.policy, tx.state.tasks.ended
    left = ended.count(job)
    for at_ms, task_id in ended.oldest_first(job):
        age_ms = tx.now_ms - at_ms
        too_many = left > policy.history_max_per_job  # the recent ones count, though they are kept
        if age_ms < policy.history_min_retention_ms or not (too_many or age_ms >= policy.history_prune_threshold_ms):
            return  # those that ended later are kept too
        yield task_id
        left -= 1


def prune_updates(tx: Transaction, jobs: Jobs) -> None:
    """Drop ended updates that ended long ago, that are too many for their job, or whose job has no task left."""
    doomed, unfinished = _gather(jobs, lambda job: _doomed_updates(tx, job), UPDATES_AT_ONCE)
    if doomed:
        tx.apply(ops.RemoveUpdates(tuple(UpdateKey(job, update_id) for job, update_id in doomed)))
        tx.say("history", f"{len(doomed)} ended updates forgotten")
    jobs.extendleft(unfinished)


def _doomed_updates(tx: Transaction, job: JobKey) -> Iterator[str]:
    policy, ended = tx.policy, tx.state.updates.ended
    has_tasks = job in tx.state.tasks.by_job
    left = ended.count(job)
    for at_ms, update_id in ended.oldest_first(job):
        # Aurora counts from creation and may drop an update that has only just ended; the end is what counts here.
        too_old = tx.now_ms - at_ms > policy.update_history_prune_threshold_ms
        if has_tasks and not too_old and left <= policy.update_history_per_job:
            return
        yield update_id
        left -= 1


def _gather(
    jobs: Jobs, doomed_of: Callable[[JobKey], Iterator[str]], most: int
) -> tuple[list[tuple[JobKey, str]], list[JobKey]]:
    """At most so many of what is doomed; and the job that may have more of it, if the number was reached.

    That job comes back to `jobs` when the decision is made: one that raises must not be tried for ever.
    """
    found: list[tuple[JobKey, str]] = []
    for _ in range(min(len(jobs), JOBS_AT_ONCE)):
        job = jobs.popleft()
        found += ((job, record_id) for record_id in islice(doomed_of(job), most - len(found)))
        if len(found) == most:
            return found, [job]
    return found, []
