"""One instance: what is to be done, given what is wanted and what is there. A pure function of its arguments.

Source: Aurora's documentation, "Job update details"; `docs/compatibility.md`, section "One instance".
"""

from __future__ import annotations

from enum import Enum

from scheduler.core.records import ACTIVE_STATES, Task, TaskConfig, TaskStatus


class Verdict(Enum):
    """What one look at an instance finds."""

    ADD = "add"  # nothing is there: create the task
    KILL = "kill"  # the wrong thing is there: end it
    WAIT = "wait"  # on its way; the next event decides
    WATCH = "watch"  # running, but not for long enough
    EXITED = "exited"  # the wanted task ended by itself: one failure
    SUCCEEDED = "succeeded"


def is_killable(task: Task) -> bool:
    return task.status in ACTIVE_STATES and task.status is not TaskStatus.KILLING


def was_killed(task: Task) -> bool:
    """Somebody asked for its end and it has ended: as good as absent."""
    return task.status is not TaskStatus.KILLING and task.was(TaskStatus.KILLING)


def judge(wanted: TaskConfig | None, task: Task | None, *, now_ms: int, watch_ms: int) -> Verdict:
    """`wanted` None: the instance is to be gone. `task` None: it is. `watch_ms`: how long it must have been RUNNING."""
    if task is not None and was_killed(task):
        task = None
    if wanted is None:
        if task is None:
            return Verdict.SUCCEEDED
        return Verdict.KILL if is_killable(task) else Verdict.WAIT
    if task is None:
        return Verdict.ADD
    if task.config is not wanted and task.config != wanted:
        return Verdict.KILL if is_killable(task) else Verdict.WAIT
    if task.status is TaskStatus.RUNNING:
        stable = now_ms - task.latest_event_ms >= watch_ms
        return Verdict.SUCCEEDED if stable else Verdict.WATCH
    return Verdict.WAIT if task.status in ACTIVE_STATES else Verdict.EXITED
