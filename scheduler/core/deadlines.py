"""What a deadline does when it is reached, and which deadlines a state asks for.

A deadline is only a reason to look: everything is decided anew from the state, so one that fires late, twice or for
something that has gone does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from scheduler.core.cron import runs
from scheduler.core.effects import Terminate
from scheduler.core.maintenance import draining
from scheduler.core.placement import holding
from scheduler.core.records import TaskStatus
from scheduler.core.tasks import lifecycle, rescheduling, silence
from scheduler.core.tasks.table import END_ASKED_STATES, TRANSIENT_STATES
from scheduler.core.transaction import Deadline, DeadlineKind, Transaction
from scheduler.core.updates import expiring, progress, pulses, status as table
from scheduler.core.updates.noting import note
from scheduler.core.updates.records import UpdateKey
from scheduler.core.updates.updater import Seen, block, look_at, move

TIMED_OUT: Final = "Task timed out"


def reached(tx: Transaction, deadline: Deadline) -> None:
    """Decide what follows now that `deadline` is reached."""
    kind, key = deadline
    _REACHED[kind](tx, key)


def _pulse(tx: Transaction, key: UpdateKey) -> None:
    update = tx.state.updates.get(key)
    if update is None or not table.PULSE_CLOCK_RUNS[update.status]:
        return
    if tx.mono_ms < pulses.record_due_ms(tx, update):
        pulses.arm(tx, update)
        return
    if pulses.is_open(tx.state, update, tx.clocks):  # by an override, or because it rolls back without a monitor
        tx.arm_mono(DeadlineKind.PULSE, key, tx.mono_ms + update.settings.pulse_timeout_ms)
        return
    block(tx, update, pulses.why_closed(update))


def _progress(tx: Transaction, key: UpdateKey) -> None:
    update = tx.state.updates.get(key)
    if update is None or not update.notes.progress_from_ms:
        return
    allowed_ms = update.wishes.progress_deadline_ms
    if progress.used_ms(update.notes, tx.now_ms) < allowed_ms:
        progress.arm(tx, update)
        return
    note(tx, key, progress.moved(update, tx.now_ms))  # whoever resumes it gives it all of the time again
    update = tx.state.updates[key]
    message = f"{progress.NOTHING_MOVED} {allowed_ms / 1000:g} s (thesan.progress_deadline)."
    move(tx, update, progress.end_of(update), message=message)


def _watch(tx: Transaction, key: tuple[UpdateKey, int]) -> None:
    update_key, instance = key
    update = tx.state.updates.get(update_key)
    if update is not None and update.status in table.ROLLING_STATES:
        task = tx.state.tasks.active.get(update_key.job, {}).get(instance)
        look_at(tx, update_key, [Seen(instance, task)])


def _throttle(tx: Transaction, task_id: str) -> None:
    lifecycle.transition(tx, task_id, TaskStatus.PENDING, expected=TaskStatus.THROTTLED)


def _kill(tx: Transaction, task_id: str) -> None:
    """TERM was sent and the task is still there: KILL, and again after twice as long each time."""
    task = tx.state.tasks.get(task_id)
    if task is None or task.status not in END_ASKED_STATES:
        return
    asked_for_ms = tx.now_ms - task.latest_event_ms
    grace_ms = tx.policy.grace_ms(task.config)
    tx.effect(Terminate(task_id, hard=asked_for_ms >= grace_ms, host=task.host))
    tx.say(task_id, f"asked to end for {asked_for_ms / 1000:.0f} s and still there: asked again")
    wait_ms = min(max(asked_for_ms, grace_ms), tx.policy.max_kill_retry_delay_ms)
    tx.arm(DeadlineKind.KILL, task_id, tx.now_ms + wait_ms)


def _transient(tx: Transaction, task_id: str) -> None:
    task = tx.state.tasks.get(task_id)
    if task is None or task.status not in TRANSIENT_STATES:
        return
    if tx.now_ms - task.latest_event_ms < tx.policy.transient_task_state_timeout_ms:
        lifecycle.arm_deadlines(tx, task)
        return
    tx.say(task_id, f"nothing heard of it in {task.status.name} for too long: LOST")
    lifecycle.transition(tx, task_id, TaskStatus.LOST, TIMED_OUT, expected=task.status)


def _partition(tx: Transaction, task_id: str) -> None:
    task = tx.state.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.PARTITIONED:
        return
    patience_ms = rescheduling.partition_patience_ms(task.config)
    if patience_ms is None or tx.now_ms - task.latest_event_ms < patience_ms:
        lifecycle.arm_deadlines(tx, task)  # it was healed, and is partitioned anew
        return
    tx.say(task_id, f"PARTITIONED for {patience_ms // 1000} s, as long as its policy allows: LOST")
    lifecycle.transition(tx, task_id, TaskStatus.LOST, "Host is partitioned", expected=TaskStatus.PARTITIONED)


def _place(tx: Transaction, nothing: None) -> None:
    tx.wants_placement = True


def _preempt(tx: Transaction, nothing: None) -> None:
    tx.state.placement.search_wanted = True
    tx.state.placement.search_due_ms = None
    tx.wants_placement = True


_REACHED: Final[dict[DeadlineKind, Callable[[Transaction, Any], None]]] = {
    DeadlineKind.PULSE: _pulse,
    DeadlineKind.OVERRIDE: expiring.override_due,
    DeadlineKind.PROGRESS: _progress,
    DeadlineKind.RESUME: expiring.resume_due,
    DeadlineKind.WATCH: _watch,
    DeadlineKind.THROTTLE: _throttle,
    DeadlineKind.KILL: _kill,
    DeadlineKind.TRANSIENT: _transient,
    DeadlineKind.PARTITION: _partition,
    DeadlineKind.HOST: silence.due,
    DeadlineKind.RESERVATION: holding.expired,
    DeadlineKind.PREEMPT: _preempt,
    DeadlineKind.PLACE: _place,
    DeadlineKind.DRAIN: draining.due,
    DeadlineKind.DEPARTURE: draining.departs,
    DeadlineKind.CRON: runs.due,
}
