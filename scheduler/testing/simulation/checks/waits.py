"""Every update that has not ended waits for something that can be named, and that will come.

The same words tell who waits for what when an update does not end in time.
"""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.core.records import TaskStatus
from scheduler.core.transaction import DeadlineKind
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import AWAITING, END_ASKED, PAUSED, UpdateRow

_NOTHING = "nothing"


class Waits(Check):
    rule = "waits for something"

    def swept(self, witness: Witness) -> None:
        for update in witness.ledger.active.values():
            for sentence in reasons(witness, update, self.world.engine.tasks):
                if sentence.endswith(_NOTHING):
                    raise Broken(self.rule, f"{update.key}, {update.status.name}: {sentence}")


def reasons(witness: Witness, update: UpdateRow, engine_tasks: object) -> Iterator[str]:
    """Who waits for what; a sentence that ends with "nothing" is a mistake."""
    if update.status in PAUSED:
        ends_ms = witness.said_of(update.key).pause_until_ms
        if ends_ms is None:
            yield "waits for a person"
        elif (DeadlineKind.RESUME, update.key) in witness.controller.deadlines:
            yield f"waits for the end of its pause at {ends_ms}"
        else:
            yield "its pause is to end by itself, and that waits for nothing"
        return
    if update.status in AWAITING:
        yield "waits for a heartbeat"
        return
    deadlines = witness.controller.deadlines
    if update.timeout_ms and (DeadlineKind.PULSE, update.key) not in deadlines:
        yield "nobody watches for its silence: that waits for nothing"
    if update.notes.override is not None and (DeadlineKind.OVERRIDE, update.key) not in deadlines:
        yield "nobody watches for the end of its override: that waits for nothing"
    if "thesan.progress_deadline" in update.wishes and (DeadlineKind.PROGRESS, update.key) not in deadlines:
        yield "nobody watches whether it moves: that waits for nothing"
    working = [instance for instance in update.rows if update.in_progress(instance)]
    if not working:
        yield "rolls, no instance is in progress, and it waits for nothing"
    for instance in working:
        yield f"instance {instance} waits for {_instance(witness, update, instance, engine_tasks)}"


def _instance(witness: Witness, update: UpdateRow, instance: int, engine_tasks: object) -> str:
    state, deadlines = witness.controller.state, witness.controller.deadlines
    task = state.tasks.active.get(update.key.job, {}).get(instance)
    if task is None:
        return _NOTHING
    name = f"{task.task_id}, {task.status.name}"
    if task.status is TaskStatus.PENDING:
        if len(state.hosts) and task.config not in state.pending_reasons:
            return f"{name}, which waits for a host without a reason: for {_NOTHING}"
        return f"{name}, which waits for a host: {state.pending_reasons.get(task.config) or 'there is none'}"
    if task.status is TaskStatus.THROTTLED:
        armed = (DeadlineKind.THROTTLE, task.task_id) in deadlines
        return f"{name}, which waits for {'the end of its penalty' if armed else _NOTHING}"
    if task.status in END_ASKED:
        armed = (DeadlineKind.KILL, task.task_id) in deadlines
        return f"{name}, which waits for {'its end' if armed else _NOTHING}"
    if task.status is TaskStatus.ASSIGNED:
        armed = (DeadlineKind.TRANSIENT, task.task_id) in deadlines
        return f"{name}, which waits for {'the engine' if armed else _NOTHING}"
    target = update.target(instance)
    if task.status is TaskStatus.RUNNING and target == task.config:
        armed = (DeadlineKind.WATCH, (update.key, instance)) in deadlines
        return f"{name}, which waits for {'the end of its watch window' if armed else _NOTHING}"
    if target != task.config:
        return f"{name}, which is to be ended and waits for {_NOTHING}"
    assert isinstance(engine_tasks, dict)
    there = engine_tasks.get(task.task_id)
    return f"{name}, which waits for the engine, where it is {there.status if there is not None else 'unknown'}"
