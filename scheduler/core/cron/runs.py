"""Runs of cron jobs: which are due, which were missed, what stands in a run's way, and how it begins.

The instant up to which a schedule was followed is recorded together with what came of it, before any task starts. So
an instant that was acted on is behind every later leader, and one that nobody acted on is found by the next.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import attrs

from scheduler.core import ops
from scheduler.core.cron.records import CollisionPolicy, CronJob, Runs
from scheduler.core.cron.schedule import WrongSchedule, parse
from scheduler.core.policy import MINUTE_MS
from scheduler.core.records import JobKey
from scheduler.core.tasks import actions
from scheduler.core.transaction import DeadlineKind, Transaction

MOST_COUNTED: Final = 100
"""Instants of a schedule that passed unfollowed are counted up to here: each costs a tenth of a millisecond."""
LOOK_EVERY_MS: Final = MINUTE_MS
"""Schedules go by the wall's clock, deadlines by one that never jumps: they are compared at least this often."""
KILLED_BY_CRON: Final = "Killed by cron"


def arm(tx: Transaction, cron: CronJob) -> None:
    """Find the next run and be woken for it."""
    try:
        next_ms = tx.policy.next_run(parse(cron.schedule), cron.runs.followed_to_ms)
    except WrongSchedule as wrong:  # an earlier version took it
        tx.say(cron.key, f"its schedule cannot be followed: {wrong}")
        next_ms = None
    tx.state.replace(tx.state.next_cron_runs, cron.key, next_ms)
    if next_ms is not None:
        _wake(tx, cron.key, next_ms)


def _wake(tx: Transaction, key: JobKey, next_ms: int) -> None:
    tx.arm(DeadlineKind.CRON, key, min(next_ms, tx.now_ms + LOOK_EVERY_MS))


def take_over(tx: Transaction) -> None:
    """Every schedule is looked at soon, in slices: what was missed is found there."""
    tx.state.led_from_ms = tx.now_ms
    for key in tx.state.cron_jobs:
        tx.arm(DeadlineKind.CRON, key, tx.now_ms)


def due(tx: Transaction, key: JobKey) -> None:
    """The deadline: begin what is due, and tell what was missed."""
    cron = tx.state.cron_jobs.get(key)
    if cron is None:
        return
    next_ms = tx.state.next_cron_runs.get(key)
    if next_ms is None:
        arm(tx, cron)
        next_ms = tx.state.next_cron_runs.get(key)
    if next_ms is None:
        return
    if next_ms > tx.now_ms:
        _wake(tx, key, next_ms)
        return
    _follow(tx, cron, next_ms)


def _follow(tx: Transaction, cron: CronJob, first_ms: int) -> None:
    """At least one instant has passed: one run begins for all of them, or none if nobody led."""
    passed = _passed(tx, cron, first_ms)
    unled = sum(at_ms <= tx.state.led_from_ms for at_ms in passed)
    begins = unled < len(passed) or tx.policy.cron_catch_up
    missed = len(passed) - begins
    runs = attrs.evolve(cron.runs, followed_to_ms=max(passed[-1], tx.now_ms))
    why = ""
    if missed:
        last_ms = passed[-1 - begins]
        runs = attrs.evolve(runs, missed=runs.missed + missed, last_missed_ms=last_ms)
        why = _missed(missed, last_ms, unled=unled > 0, caught_up=begins and unled == len(passed))
    elif unled:
        why = f"a run was due at {_at(passed[-1])} while no scheduler led: caught up"
    save(tx, cron, runs, why)
    if begins:
        begin(tx, tx.state.cron_jobs[cron.key], f"due at {_at(passed[-1])}")
    arm(tx, tx.state.cron_jobs[cron.key])


def _passed(tx: Transaction, cron: CronJob, first_ms: int) -> list[int]:
    """The instants that have passed, the first and the last among them; no more than are counted."""
    schedule = parse(cron.schedule)
    found = [first_ms]
    while len(found) < MOST_COUNTED:
        next_ms = tx.policy.next_run(schedule, found[-1])
        if next_ms is None or next_ms > tx.now_ms:
            return found
        found.append(next_ms)
    # Too many to be counted; the last of them is looked for by halves.
    beyond_ms = tx.now_ms
    while beyond_ms - found[-1] > MINUTE_MS:
        middle_ms = (found[-1] + beyond_ms) // 2
        next_ms = tx.policy.next_run(schedule, middle_ms)
        if next_ms is None or next_ms > tx.now_ms:
            beyond_ms = middle_ms
        else:
            found[-1] = next_ms
    return found


def _missed(count: int, last_ms: int, *, unled: bool, caught_up: bool) -> str:
    which = "a run was" if count == 1 else f"{count} runs were"
    if count >= MOST_COUNTED - 1:
        which = f"{count} runs or more were"
    why = "while no scheduler led" if unled else "while the scheduler could not act, or its clock was put forward"
    return f"{which} missed {why}, the last at {_at(last_ms)}" + (": caught up with one" if caught_up else "")


def begin(tx: Transaction, cron: CronJob, why: str) -> str:
    """A run, now, if nothing stands in its way; otherwise returns a sentence that says what does."""
    active = tx.state.tasks.active.get(cron.key, {})
    if cron.runs.waiting_ms:
        return _hold_back(tx, cron, f"a run ({why}) was not begun: one waits already for the one before it to end")
    if not active:
        _create(tx, cron, why)
        return ""
    if cron.collision_policy is not CollisionPolicy.KILL_EXISTING:
        policy = cron.collision_policy.name
        return _hold_back(tx, cron, f"a run ({why}) was not begun: {many(len(active), 'task')} active, {policy}")
    for task in list(active.values()):
        actions.kill(tx, task, KILLED_BY_CRON)
    if not tx.state.tasks.active.get(cron.key):  # none of them had begun
        _create(tx, cron, why)
        return ""
    waits = f"a run ({why}) waits for the end of the one before it: {many(len(active), 'task')} killed"
    save(tx, cron, attrs.evolve(cron.runs, waiting_ms=tx.now_ms), waits)
    return waits


def task_left(tx: Transaction, key: JobKey) -> None:
    """A task of this job changed: the run that waits for the last of them begins."""
    cron = tx.state.cron_jobs.get(key)
    if cron is not None and cron.runs.waiting_ms and not tx.state.tasks.active.get(key):
        _create(tx, cron, f"had waited since {_at(cron.runs.waiting_ms)}")


def _create(tx: Transaction, cron: CronJob, why: str) -> None:
    begun = f"a run begins ({why}): {many(cron.instance_count, 'instance')}"
    save(tx, cron, attrs.evolve(cron.runs, last_run_ms=tx.now_ms, waiting_ms=0), begun)
    for instance in range(cron.instance_count):
        actions.create(tx, cron.config, instance)


def _hold_back(tx: Transaction, cron: CronJob, why: str) -> str:
    save(tx, cron, attrs.evolve(cron.runs, held_back=cron.runs.held_back + 1), why)
    return why


def save(tx: Transaction, cron: CronJob, runs: Runs, why: str) -> None:
    """Record where the runs stand, with the sentence that says why."""
    tx.apply(ops.MoveCronJob(cron.key, runs, why))
    if why:
        tx.say(cron.key, why)


def _at(instant_ms: int) -> str:
    """An instant for people."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def many(count: int, what: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
