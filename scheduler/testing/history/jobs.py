"""Rules about jobs: what was created is there, what was killed is not, each instance once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.history.ledger import Change, Ledger
from scheduler.testing.history.records import Heard, Kind, TaskRow, Violation

_CHANGE_JOBS: Final = frozenset({Kind.CREATE_JOB, Kind.KILL_TASKS, Kind.START_UPDATE})
_ENDED_BY_ITSELF: Final = frozenset({TaskStatus.FINISHED, TaskStatus.FAILED})


def creations(ledger: Ledger) -> Iterator[Violation]:
    """A job is created with all its instances. A task that is killed before it has a host leaves no trace."""
    for change in ledger.changes.values():
        if change.kind is not Kind.CREATE_JOB or not change.may_be:
            continue
        there = {task.instance for task in ledger.tasks_with.get(change.token, [])}
        if not there and change.heard is Heard.UNKNOWN:
            continue
        missing = {i for i in change.call.instances - there if not _may_have_ended(ledger, change, i)}
        if missing:
            rule = "half" if there else "lost"
            yield Violation(rule, change.token, f"{change} of {change.job}: no trace of instances {sorted(missing)}")


def _may_have_ended(ledger: Ledger, made: Change, instance: int) -> bool:
    """Could somebody have taken this instance away since?"""
    return any(
        other.may_be
        and not other.before(made)
        and (other.kind is Kind.START_UPDATE or (other.kind is Kind.KILL_TASKS and other.covers(instance)))
        for other in ledger.of_job[made.job]
    )


def kills(ledger: Ledger) -> Iterator[Violation]:
    """Of what was there before an effective kill and was meant by it, nothing is active without its end being asked."""
    for kill in ledger.changes.values():
        if kill.kind is not Kind.KILL_TASKS:
            continue
        there = ledger.is_there(kill)
        if kill.heard is not Heard.ACKNOWLEDGED and not there:
            continue
        left = [task for task in ledger.tasks_of_job[kill.job] if _survived(ledger, kill, task)]
        if left:
            rule = "half" if there else "lost"
            ids = ", ".join(task.task_id for task in left)
            yield Violation(rule, kill.token, f"{kill} of {kill.job}, and yet active: {ids}")


def _survived(ledger: Ledger, kill: Change, task: TaskRow) -> bool:
    if not task.is_wanted or not kill.covers(task.instance):
        return False
    maker = ledger.changes.get(task.token or "")
    if maker is None or not maker.before(kill):
        return False
    # An update that began later may bring an earlier configuration back when it turns round.
    return not any(
        other.kind is Kind.START_UPDATE and other.may_be and not other.before(kill) for other in ledger.of_job[kill.job]
    )


def instances(ledger: Ledger) -> Iterator[Violation]:
    """One active task for each instance; each task id once."""
    for task_id, count in Counter(task.task_id for task in ledger.world.tasks).items():
        if count > 1:
            yield Violation("twice", task_id, f"is there {count} times")
    wanted = Counter((task.job, task.instance) for task in ledger.world.tasks if task.is_wanted)
    for (job, instance), count in wanted.items():
        if count > 1:
            yield Violation("twice", job, f"instance {instance} has {count} active tasks")


def last_words(ledger: Ledger) -> Iterator[Violation]:
    """Where one call was surely the last to change a job, the job is as that call said."""
    for job, changes in ledger.of_job.items():
        that_count = [one for one in changes if one.kind in _CHANGE_JOBS and one.may_be and not _left_alone(one)]
        if not that_count:
            continue
        last = max(that_count, key=lambda one: one.began)
        if not all(one is last or one.before(last) for one in that_count):
            continue
        if last.heard is Heard.ACKNOWLEDGED or ledger.is_there(last):
            yield from _as_said(ledger, job, last)


def _left_alone(change: Change) -> bool:
    return change.heard is Heard.ACKNOWLEDGED and change.no_effect


def _as_said(ledger: Ledger, job: str, last: Change) -> Iterator[Violation]:
    if last.kind is Kind.KILL_TASKS:
        return  # `kills` has looked at it
    if last.kind is Kind.START_UPDATE:
        row = next(iter(ledger.updates_with.get(last.token, [])), None)
        if row is None or row.status is not UpdateStatus.ROLLED_FORWARD:
            return
    rows = [task for task in ledger.tasks_of_job[job] if task.token == last.token]
    good = {task.instance for task in rows if task.is_wanted or (not last.call.service and _is_done(task))}
    missing = last.call.instances - good
    if missing:
        yield Violation("last word", job, f"after {last} {last.token} instances {sorted(missing)} should be there")
    too_many = {t.instance for t in ledger.tasks_of_job[job] if t.is_wanted and t.token != last.token}
    if too_many:
        yield Violation("last word", job, f"after {last} {last.token} instances {sorted(too_many)} are of another call")


def _is_done(task: TaskRow) -> bool:
    return task.status in _ENDED_BY_ITSELF


def folds(ledger: Ledger) -> Iterator[Violation]:
    """A task's state is its last event's, and time does not go backwards in its history."""
    for task in ledger.world.tasks:
        if not task.events or task.events[-1].status is not task.status:
            last = task.events[-1].status.name if task.events else "nothing"
            yield Violation("fold", task.task_id, f"is {task.status.name}, its last event is {last}")
        stamps = [event.timestamp_ms for event in task.events]
        if stamps != sorted(stamps):
            yield Violation("fold", task.task_id, f"time goes backwards in its history: {stamps}")
