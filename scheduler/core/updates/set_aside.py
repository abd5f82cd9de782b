"""Instances set aside while the others go on: left out of an update, or taken up again, with who and why on the record.

An instance that is taken up again waits for its turn like any other, so groups stay as small as they were asked to be;
it comes first, since it stands earlier in the plan. One that is left out counts as done and not as failed, so it gives
back what it took of the failures the update tolerates.

Source of the rules: `docs/monitors.md`, "One instance at a time".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from scheduler.core import ops
from scheduler.core.answers import Answer, Code, Refused, invalid
from scheduler.core.tasks.table import END_ASKED_STATES
from scheduler.core.transaction import Transaction
from scheduler.core.updates import progress, requests, status as table
from scheduler.core.updates.expiring import Until
from scheduler.core.updates.noting import event_ms, note, remark
from scheduler.core.updates.records import InstanceAction, InstanceEvent, InstanceProgress, JobUpdate, Phase, UpdateKey
from scheduler.core.updates.updater import guarded, look_again, plan_of

TAKEN_UP: Final = "Taken up again by"
LEFT_OUT: Final = "Left out by"
_NO_PROGRESS: Final = InstanceProgress()
_MOST_NAMED: Final = 20


def retry(tx: Transaction, key: UpdateKey, instances: Iterable[int], user: str, reason: str | None) -> Answer:
    """Take up instances again that failed or were left out: their turn comes anew."""
    return _alone(tx, key, _retry, instances, user, reason)


def _retry(tx: Transaction, key: UpdateKey, instances: Iterable[int], user: str, reason: str | None) -> Answer:
    update, ids = _asked(tx, key, instances, reason, "retry")
    _refuse_unless(tx, update, ids, {Phase.FAILED, Phase.SKIPPED}, "only what failed or was left out can be taken up")
    shown = table.RECORDED_ACTION[Phase.WORKING, update.is_rolling_back]
    outcomes = [table.RECORDED_ACTION[phase, update.is_rolling_back] for phase in (Phase.SUCCEEDED, Phase.FAILED)]
    forget = sum(1 << action for action in outcomes)
    for instance in ids:
        recorded = _progress(tx, key, instance).recorded & ~forget | 1 << shown
        _record(tx, update, instance, shown, _sentence(TAKEN_UP, user, reason))
        tx.apply(ops.MoveInstance(key, instance, InstanceProgress(Phase.AGAIN, recorded=recorded)))
    tx.say(key, f"{user} takes up again {_named(ids)}: {reason}")
    return _look(tx, key, had_work=False)


def skip(tx: Transaction, key: UpdateKey, instances: Iterable[int], user: str, reason: str | None) -> Answer:
    """Leave instances out, whether their turn has come or not: they stay as they are, and count as done.

    One that is just being replaced cannot be left out: nobody would put anything in its place.
    """
    return _alone(tx, key, _skip, instances, user, reason)


def _skip(tx: Transaction, key: UpdateKey, instances: Iterable[int], user: str, reason: str | None) -> Answer:
    update, ids = _asked(tx, key, instances, reason, "skip")
    _refuse_unless(tx, update, ids, set(Phase) - {Phase.SUCCEEDED}, "what is done cannot be left out")
    gaps = [instance for instance in ids if _leaves_a_gap(tx, update, instance)]
    if gaps:
        return invalid(f"instances: {_named(gaps)} being replaced just now; leave it out when its new task is there")
    shown = table.RECORDED_ACTION[Phase.FAILED, update.is_rolling_back]
    had_work = bool(tx.state.progress.tally(key).working)
    left = [instance for instance in ids if _progress(tx, key, instance).phase is not Phase.SKIPPED]
    for instance in left:
        recorded = _progress(tx, key, instance).recorded | 1 << shown
        _record(tx, update, instance, shown, _sentence(LEFT_OUT, user, reason))
        tx.apply(ops.MoveInstance(key, instance, InstanceProgress(Phase.SKIPPED, recorded=recorded)))
    if left:
        tx.say(key, f"{user} leaves out {_named(left)}: {reason}")
    else:
        remark(tx, key, user, f"Asked again to leave out {_named(ids)}: {reason}")
    return _look(tx, key, had_work=had_work)


def _alone(tx: Transaction, key: UpdateKey, part: Callable[..., Answer], *args: Any) -> Answer:
    """`part(tx, key, *args)`; an update that raises in it is ended alone, and whoever asked is told so.

    The answer is no refusal: a refusal has no effect, and this has one.
    """
    answers: list[Answer] = []
    refusals: list[Refused] = []

    def asked(tx: Transaction, key: UpdateKey) -> None:
        try:
            answers.append(part(tx, key, *args))
        except Refused as refused:
            refusals.append(refused)

    guarded(tx, key, asked)
    if refusals:
        raise refusals[0]
    if answers:
        return answers[0]
    ended = tx.state.updates[key]
    return Answer(
        Code.OK, (f"It could not be done, and the update has ended: {ended.events[-1].message}",), Until(ended.status)
    )


def _asked(
    tx: Transaction, key: UpdateKey, instances: Iterable[int], reason: str | None, verb: str
) -> tuple[JobUpdate, list[int]]:
    """The update and the instances, if they can be meant. Raises Refused."""
    update = requests.required(tx, key, reason, "Update does not exist %s")
    ids = sorted(set(instances))
    if update.status in table.TERMINAL_UPDATE_STATES:
        raise Refused(invalid(f"Cannot {verb} instances of an update that is {update.status.name}"))
    if reason is None:
        raise Refused(invalid("reason: say why; it is kept with your name"))
    if not ids:
        raise Refused(invalid("instances: name at least one"))
    plan = plan_of(tx, update)
    foreign = [instance for instance in ids if not plan.concerns(instance)]
    if foreign:
        raise Refused(invalid(f"instances: {_named(foreign)} not in this update"))
    return update, ids


def _refuse_unless(tx: Transaction, update: JobUpdate, ids: list[int], allowed: set[Phase], sentence: str) -> None:
    others = [i for i in ids if _progress(tx, update.key, i).phase not in allowed]
    if others:
        named = ", ".join(f"{i} is {_progress(tx, update.key, i).phase.name}" for i in others[:_MOST_NAMED])
        raise Refused(invalid(f"instances: {sentence}; {named}"))


def _leaves_a_gap(tx: Transaction, update: JobUpdate, instance: int) -> bool:
    """Its old task is asked to end, or has ended, and the new one is not there yet."""
    wanted = plan_of(tx, update).target(instance, back=update.is_rolling_back)
    if wanted is None or _progress(tx, update.key, instance).phase is not Phase.WORKING:
        return False
    task = tx.state.tasks.active.get(update.key.job, {}).get(instance)
    return task is None or task.config != wanted or task.status in END_ASKED_STATES


def _progress(tx: Transaction, key: UpdateKey, instance: int) -> InstanceProgress:
    return tx.state.progress.get((key, instance)) or _NO_PROGRESS


def _named(ids: list[int]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"{', '.join(map(str, ids[:_MOST_NAMED]))}{more}"


def _sentence(verb: str, user: str, reason: str | None) -> str:
    return f"{verb} {user}: {reason}"


def _record(tx: Transaction, update: JobUpdate, instance: int, action: InstanceAction, message: str) -> None:
    event = InstanceEvent(instance, event_ms(tx, update.key), action, message)
    tx.apply(ops.RecordInstance(update.key, event))


def _look(tx: Transaction, key: UpdateKey, *, had_work: bool) -> Answer:
    note(tx, key, progress.moved(tx.state.updates[key], tx.now_ms))
    if tx.state.updates[key].status in table.ROLLING_STATES:
        look_again(tx, key, had_work=had_work)
    return Answer(result=Until(tx.state.updates[key].status))
