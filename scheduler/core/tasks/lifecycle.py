"""Bringing a task to a new state: looks the pair up in the table and carries out its acts."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from scheduler.core import ops
from scheduler.core.effects import Terminate
from scheduler.core.records import TERMINAL_STATES, Task, TaskEvent, TaskStatus
from scheduler.core.tasks import rescheduling
from scheduler.core.tasks.table import (
    END_ASKED_STATES,
    TELL_AGAIN_FROM,
    TELL_AGAIN_WHEN,
    TRANSIENT_STATES,
    TRANSITIONS,
    Act,
)
from scheduler.core.transaction import DeadlineKind, TaskChanged, TaskDeleted, Transaction


class Outcome(Enum):
    """What became of a wish for a transition."""

    SUCCESS = "success"
    NOOP = "noop"  # it is there already
    ILLEGAL = "illegal"
    ILLEGAL_WITH_SIDE_EFFECTS = "illegal with side effects"  # the engine was told again
    INVALID_CAS_STATE = "invalid cas state"  # not in the expected state, or gone


def transition(
    tx: Transaction,
    task_id: str,
    to: TaskStatus,
    message: str | None = None,
    *,
    expected: TaskStatus | None = None,
    at_ms: int | None = None,
) -> Outcome:
    """Bring a task to `to`. `expected`: only from that state. `at_ms`: when it happened, if not now."""
    task = tx.state.tasks.get(task_id)
    if expected is not None and (task is None or task.status is not expected):
        return Outcome.INVALID_CAS_STATE
    if task is None:
        if to in TELL_AGAIN_WHEN:
            tx.effect(Terminate(task_id, hard=True))
            return Outcome.ILLEGAL_WITH_SIDE_EFFECTS
        return Outcome.ILLEGAL
    if task.status is to:
        return Outcome.NOOP
    acts = TRANSITIONS[task.status].get(to)
    if acts is None:
        if task.status in TELL_AGAIN_FROM and to in TELL_AGAIN_WHEN:
            tx.effect(Terminate(task_id, hard=task.status in TERMINAL_STATES, host=task.host))
            return Outcome.ILLEGAL_WITH_SIDE_EFFECTS
        return Outcome.ILLEGAL
    _carry_out(tx, task, to, acts, message, at_ms)
    return Outcome.SUCCESS


def _carry_out(
    tx: Transaction, task: Task, to: TaskStatus, acts: tuple[Act, ...], message: str | None, at_ms: int | None
) -> None:
    if Act.SAVE in acts:
        _save(tx, task, to, message, at_ms, count_failure=Act.COUNT_FAILURE in acts)
    for act in sorted(acts):
        follow_up = _FOLLOW_UPS.get(act)
        if follow_up is not None:
            follow_up(tx, task)


def _save(
    tx: Transaction, task: Task, to: TaskStatus, message: str | None, at_ms: int | None, *, count_failure: bool
) -> None:
    events = task.events
    now_ms = tx.now_ms if at_ms is None else min(at_ms, tx.now_ms)
    event = TaskEvent(max(now_ms, task.latest_event_ms), to, message, tx.world.scheduler)
    partitioned = to is TaskStatus.PARTITIONED
    # X, PARTITIONED, X: the last two go, so that endless flapping keeps a bounded history.
    flapped = (
        partitioned
        and len(events) >= 3
        and events[-2].status is TaskStatus.PARTITIONED
        and events[-1].status is events[-3].status
    )
    tx.apply(
        ops.MoveTask(
            task.task_id,
            event,
            task.failure_count + count_failure,
            task.times_partitioned + partitioned,
            compact=flapped,
        )
    )
    moved = tx.state.tasks[task.task_id]
    tx.changes.append(TaskChanged(moved))
    arm_deadlines(tx, moved)


def arm_deadlines(tx: Transaction, task: Task) -> None:
    """What must be looked at again if nothing is heard. Also run for every task at take-over."""
    if task.status in TRANSIENT_STATES:
        tx.arm(DeadlineKind.TRANSIENT, task.task_id, task.latest_event_ms + tx.policy.transient_task_state_timeout_ms)
    if task.status in END_ASKED_STATES:
        tx.arm(DeadlineKind.KILL, task.task_id, task.latest_event_ms + tx.policy.grace_ms(task.config))
    if task.status is TaskStatus.PARTITIONED:
        patience_ms = rescheduling.partition_patience_ms(task.config)
        if patience_ms is not None:
            tx.arm(DeadlineKind.PARTITION, task.task_id, task.latest_event_ms + patience_ms)
    if task.status is TaskStatus.THROTTLED:
        penalty_ms = rescheduling.penalty_ms(tx, task.ancestor_id)
        tx.arm(DeadlineKind.THROTTLE, task.task_id, task.latest_event_ms + penalty_ms)


def _replace(tx: Transaction, task: Task) -> None:
    add_task(tx, rescheduling.successor(tx, tx.state.tasks[task.task_id]))


def _replace_service(tx: Transaction, task: Task) -> None:
    if task.config.is_service:
        _replace(tx, task)


def _replace_failed(tx: Transaction, task: Task) -> None:
    limit = task.config.max_task_failures
    if task.config.is_service or limit == -1 or task.failure_count < limit - 1:
        _replace(tx, task)


def _replace_unless_killed(tx: Transaction, task: Task) -> None:
    if not task.was(TaskStatus.KILLING):
        _replace(tx, task)


def _lose(tx: Transaction, task: Task) -> None:
    transition(tx, task.task_id, TaskStatus.LOST)


def _kill(tx: Transaction, task: Task) -> None:
    tx.effect(Terminate(task.task_id, host=task.host))


def _delete(tx: Transaction, task: Task) -> None:
    tx.apply(ops.RemoveTasks((task.task_id,)))
    if task.config not in tx.state.tasks.pending:
        tx.state.replace(tx.state.pending_reasons, task.config, None)
    if task.status not in TERMINAL_STATES:
        tx.changes.append(TaskDeleted(task))


_FOLLOW_UPS: Final[dict[Act, Callable[[Transaction, Task], None]]] = {
    Act.REPLACE: _replace,
    Act.REPLACE_SERVICE: _replace_service,
    Act.REPLACE_FAILED: _replace_failed,
    Act.REPLACE_UNLESS_KILLED: _replace_unless_killed,
    Act.LOSE: _lose,
    Act.KILL: _kill,
    Act.DELETE: _delete,
}


def add_task(tx: Transaction, task: Task) -> None:
    """Put a new task into the state."""
    tx.apply(ops.SaveTask(task))
    tx.changes.append(TaskChanged(task))
    arm_deadlines(tx, task)
