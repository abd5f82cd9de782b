"""What an operator may do by hand: forget tasks, force a task's state, compare with the engine.

Source: Aurora's interface, `AuroraAdmin`; `docs/compatibility.md`, "Administration".
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from scheduler.core import ops
from scheduler.core.answers import OK, Answer, error, invalid
from scheduler.core.effects import Forget, Reconcile, Terminate
from scheduler.core.queries import TaskQuery
from scheduler.core.records import ACTIVE_STATES, TERMINAL_STATES, TaskStatus
from scheduler.core.tasks.lifecycle import Outcome, transition
from scheduler.core.transaction import Transaction
from scheduler.core.views import find_tasks

MOST_AT_ONCE: Final = 10_000
"""So that one call is a short decision; who has more to forget calls again."""


def prune(tx: Transaction, query: TaskQuery, user: str) -> Answer:
    """Forget the ended tasks that a query finds, however young; `limit` holds, `offset` does not."""
    active = sorted(status.name for status in query.statuses & ACTIVE_STATES)
    if active:
        return error(f"Only ended tasks can be pruned; query.statuses has {', '.join(active)}")
    found = find_tasks(tx.state, evolve(query, statuses=query.statuses or TERMINAL_STATES))
    wanted = min(query.limit, len(found)) if query.limit > 0 else len(found)
    doomed = tuple(task.task_id for task in found[: min(wanted, MOST_AT_ONCE)])
    if not doomed:
        return OK
    tx.apply(ops.RemoveTasks(doomed))
    tx.effect(Forget(doomed))
    tx.say("history", f"{len(doomed)} ended tasks forgotten, as {user} asked")
    left = wanted - len(doomed)
    return Answer(details=(f"{len(doomed)} tasks were pruned and {left} are left: call again",)) if left else OK


def force(tx: Transaction, task_id: str, status: TaskStatus, user: str) -> Answer:
    """Bring a task to a state, if the table of states allows it. OK in any case, as in Aurora; told if not."""
    if not task_id or task_id.isspace():
        return error("taskId may not be blank")
    task = tx.state.tasks.get(task_id)
    if task is None:
        return Answer(details=(f"Nothing was done: there is no task {task_id}",))
    if status is TaskStatus.ASSIGNED and task.host is None:
        return Answer(details=("Nothing was done: a task is assigned by giving it a host",))
    outcome = transition(tx, task_id, status, f"Transition forced by {user}")
    if outcome is not Outcome.SUCCESS:
        return Answer(details=(f"Nothing was done: a task that is {task.status.name} cannot become {status.name}",))
    if status in TERMINAL_STATES and task.host is not None:
        tx.effect(Terminate(task_id, hard=True, host=task.host))  # whatever it is said to be, it must not go on running
    tx.say(task_id, f"{task.status.name} -> {status.name}, forced by {user}")
    return OK


def reconcile_explicitly(tx: Transaction, batch_size: int | None, user: str) -> Answer:
    """Look now whether everything runs that should, so many tasks at a time."""
    if batch_size is not None and batch_size <= 0:
        return invalid(f"settings.batchSize is {batch_size}; it must be above 0, or unset")
    tx.effect(Reconcile(unwanted=False, batch_size=batch_size))
    tx.say("engine", f"asked whether everything runs that should, as {user} wished")
    return OK


def reconcile_implicitly(tx: Transaction, user: str) -> Answer:
    """Look now whether anything runs that should not."""
    tx.effect(Reconcile(wanted=False))
    tx.say("engine", f"asked whether anything runs that should not, as {user} wished")
    return OK
