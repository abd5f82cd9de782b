"""Moving an update along: what one look at it decides, and what is recorded of that.

One look (`evaluate`) is: heartbeat gate, judge the instances that changed, start the next group, record. It runs inside
somebody else's decision, so whatever it decides is durable together with what made it look. Whoever asks for a look, it
is guarded: an update that raises is set aside alone (ERROR, with the reason in its history) and the decision goes on.

Progress of each instance is folded from internal records; a look needs only what changed and a few counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import islice

from attrs import define, field, frozen

from scheduler.core import ops
from scheduler.core.answers import Refused, invalid
from scheduler.core.placement.holding import keep_for_successor
from scheduler.core.records import TERMINAL_STATES, Task
from scheduler.core.sla.removal import Removals
from scheduler.core.tasks import actions
from scheduler.core.transaction import DeadlineKind, Transaction
from scheduler.core.updates import progress, pulses, status as table
from scheduler.core.updates.instances import Verdict, judge, was_killed
from scheduler.core.updates.noting import event_ms, note, notes_after
from scheduler.core.updates.plan import Plan, make_plan
from scheduler.core.updates.records import (
    InstanceEvent,
    InstanceProgress,
    JobUpdate,
    Phase,
    UpdateEvent,
    UpdateKey,
    UpdateStatus,
)
from scheduler.core.updates.sla_kills import forget, may_kill
from scheduler.core.updates.strategies import Counts, next_group_size, pauses_between_groups

AUTO_PAUSED = "Update auto paused"


class Overall(Enum):
    WORKING = "working"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@frozen
class Seen:
    """An instance and the task to judge it by: the one in the event, or the active one, or none."""

    instance: int
    task: Task | None


@frozen
class Step:
    """What one look decided for one instance: the phases it went through, and what to do."""

    instance: int
    phases: tuple[Phase, ...]
    progress: InstanceProgress
    verdict: Verdict
    task: Task | None


@define
class Look:
    """One look at one update, as it is being made. Nothing is recorded until it is complete."""

    tx: Transaction
    update: JobUpdate
    plan: Plan
    back: bool
    started: int
    working: int
    failed: int
    steps: list[Step] = field(factory=list)
    overall: Overall = Overall.WORKING
    auto_pause: bool = False
    last_failed: int | None = None

    @property
    def total(self) -> int:
        return len(self.plan.forward_order)


def plan_of(tx: Transaction, update: JobUpdate) -> Plan:
    plans = tx.state.updates.plans
    plan = plans.get(update.key)
    if plan is None:
        plan = plans[update.key] = make_plan(update.instructions)
    return plan


# --- looking ---------------------------------------------------------------------------------------------------------


def look_at(tx: Transaction, key: UpdateKey, seen: Iterable[Seen]) -> None:
    """These instances changed: an update that rolls acts on it, one in a soft pause notes exits, others do not care."""
    guarded(tx, key, _look_at, list(seen))


def _look_at(tx: Transaction, key: UpdateKey, seen: list[Seen]) -> None:
    update = tx.state.updates[key]
    if update.status in table.EXITS_COUNT_NOW:
        plan = plan_of(tx, update)
        if any(plan.concerns(one.instance) for one in seen):
            evaluate(tx, update, seen)
    elif update.status in table.EXITS_COUNT_LATER:
        note_exits(tx, key, seen)


def guarded(tx: Transaction, key: UpdateKey, part: Callable[..., None], *args: object) -> None:
    """Run one update's part of a decision, `part(tx, key, *args)`; if it raises, only that part is taken back.

    The update is then at ERROR. Everything that makes an update think passes here, so none can stop the others.
    """
    before = tx.savepoint()
    try:
        part(tx, key, *args)
    except Exception as failure:  # whatever it is, it is this update's alone
        tx.rollback(before)
        reason = f"Internal scheduler error: {type(failure).__name__}: {failure}"
        move(tx, tx.state.updates[key], UpdateStatus.ERROR, message=reason)


def look_again(tx: Transaction, key: UpdateKey, *, had_work: bool) -> None:
    """A person changed what is to be done. `had_work`: something was in progress before that."""

    def part(tx: Transaction, key: UpdateKey) -> None:
        evaluate(tx, tx.state.updates[key], (), had_work=had_work)

    guarded(tx, key, part)


def evaluate(tx: Transaction, update: JobUpdate, seen: Iterable[Seen], *, had_work: bool = False) -> None:
    """Look at a rolling update after `seen` changed, and carry on as far as its strategy and heartbeat allow."""
    if not pulses.is_open(tx.state, update, tx.clocks):
        block(tx, update, pulses.why_closed(update))
        note_exits(tx, update.key, seen)
        return
    tally = tx.state.progress.tally(update.key)
    look = Look(
        tx=tx,
        update=update,
        plan=plan_of(tx, update),
        back=update.is_rolling_back,
        started=tally.started,
        working=len(tally.working),
        failed=tally.failed,
    )
    was_working = had_work or look.working > 0
    for one in seen:
        progress = tally.rows.get(one.instance)
        if progress is not None and progress.phase is Phase.WORKING and not _ended_before(tx, update.key, one):
            _judge(look, one, progress, phases=())
    _weigh(look)
    look.auto_pause = was_working and _should_pause(look)
    if look.overall is Overall.WORKING and not look.auto_pause:
        _start_groups(look)
    _record(look)


def _ended_before(tx: Transaction, key: UpdateKey, one: Seen) -> bool:
    """Did the task end by itself before its instance was taken up? One decision may tell of several tasks."""
    if one.task is None or one.task.status not in TERMINAL_STATES or was_killed(one.task):
        return False
    return (key, one.instance) in tx.begun


def _judge(look: Look, one: Seen, progress: InstanceProgress, phases: tuple[Phase, ...]) -> None:
    """Judge one working instance; `phases` are those it already went through in this look."""
    settings = look.update.settings
    failures = progress.failures
    counted = progress.exit_seq > 0  # an exit of a soft pause, counted when it happened and weighed now
    verdict = judge(
        look.plan.target(one.instance, back=look.back),
        one.task,
        now_ms=look.tx.now_ms,
        watch_ms=settings.min_wait_in_instance_running_ms,
    )
    if verdict is Verdict.EXITED:
        failures += 1
        counted = True
    phase = Phase.WORKING
    if counted and failures > settings.max_per_instance_failures:
        phase, verdict = Phase.FAILED, Verdict.EXITED
        look.last_failed = one.instance
        look.failed += 1
        look.tx.say(
            look.update.key,
            f"instance {one.instance} failed: exits {failures}, tolerated {settings.max_per_instance_failures}; "
            f"failed instances {look.failed}, tolerated {settings.max_failed_instances}",
        )
    elif verdict is Verdict.SUCCEEDED:
        phase = Phase.SUCCEEDED
    if phase is not Phase.WORKING:
        look.working -= 1
        phases = (*phases, phase)
    elif verdict is Verdict.WAIT and not phases and not progress.exit_seq:
        return  # it is on its way still
    new = InstanceProgress(phase, failures, 0, progress.recorded)
    look.steps.append(Step(one.instance, phases, new, verdict, one.task))


def _weigh(look: Look) -> None:
    if look.failed > look.update.settings.max_failed_instances:
        look.overall = Overall.FAILED
    elif look.started == look.total and look.working == 0:
        look.overall = Overall.SUCCEEDED


def _should_pause(look: Look) -> bool:
    """A batch has just ended, all of it, and the update is to wait for a person before the next one."""
    if look.back or look.working or not pauses_between_groups(look.update.settings.strategy):
        return False
    if look.overall is Overall.SUCCEEDED:
        return look.tx.policy.autopause_after_last_batch
    return look.overall is Overall.WORKING


def _start_groups(look: Look) -> None:
    """Start groups until something is left to wait for. Groups whose members all were done already cost nothing."""
    size = _group_size(look)
    if not size:
        return  # so ends nearly every look
    active = look.tx.state.tasks.active.get(look.update.key.job, {})
    rows = look.tx.state.progress.tally(look.update.key).rows
    turns = _whose_turn(look)
    waiting = False
    while size and look.overall is Overall.WORKING and not waiting:
        for instance in islice(turns, size):
            look.started += 1
            look.working += 1
            look.tx.begun.add((look.update.key, instance))
            idle = rows.get(instance) or InstanceProgress()
            _judge(look, Seen(instance, active.get(instance)), idle, phases=(Phase.WORKING,))
            waiting = waiting or look.steps[-1].progress.phase is Phase.WORKING
        _weigh(look)
        size = _group_size(look)


def _group_size(look: Look) -> int:
    counts = Counts(look.total, look.started, look.working)
    return next_group_size(look.update.settings.strategy, counts, back=look.back)


def _whose_turn(look: Look) -> Iterator[int]:
    """The instances not started yet, in the plan's order."""
    order = look.plan.order(back=look.back)
    tally = look.tx.state.progress.tally(look.update.key)
    if tally.in_order:
        return islice(order, look.started, None)
    phases = ((i, tally.rows[i].phase if i in tally.rows else Phase.IDLE) for i in order)
    return (i for i, phase in phases if phase in (Phase.IDLE, Phase.AGAIN))


# --- recording -------------------------------------------------------------------------------------------------------


def _record(look: Look) -> None:
    tx, key = look.tx, look.update.key
    if look.auto_pause:
        move(tx, look.update, UpdateStatus.ROLL_FORWARD_PAUSED, message=AUTO_PAUSED)
    for step in look.steps:
        _record_step(look, step)
    update = tx.state.updates[key]
    if update.wishes.progress_deadline_ms and any(step.phases for step in look.steps):
        note(tx, key, progress.moved(update, tx.now_ms))
    if look.auto_pause:
        return
    if look.overall is Overall.SUCCEEDED:
        move(tx, update, UpdateStatus.ROLLED_BACK if look.back else UpdateStatus.ROLLED_FORWARD)
    elif look.overall is Overall.FAILED:
        turn = update.settings.rollback_on_failure and not look.back
        why = f"Latest failure: instance {look.last_failed} exited."
        move(tx, update, UpdateStatus.ROLLING_BACK if turn else UpdateStatus.FAILED, message=why)
    else:
        removals = Removals(tx)
        for step in look.steps:
            _act(look, step, removals)


def _record_step(look: Look, step: Step) -> None:
    """The events the history shows, each once per instance and update, then the progress only we see."""
    tx, key = look.tx, look.update.key
    recorded = step.progress.recorded
    silent = step.phases == (Phase.WORKING, Phase.SUCCEEDED) and not recorded  # it was fine already
    for phase in () if silent else step.phases:
        action = table.RECORDED_ACTION[phase, look.back]
        if not recorded & 1 << action:
            recorded |= 1 << action
            tx.apply(ops.RecordInstance(key, InstanceEvent(step.instance, event_ms(tx, key), action)))
    progress = InstanceProgress(step.progress.phase, step.progress.failures, 0, recorded)
    if tx.state.progress.get((key, step.instance)) != progress:
        tx.apply(ops.MoveInstance(key, step.instance, progress))


def _act(look: Look, step: Step, removals: Removals) -> None:
    tx, update = look.tx, look.update
    if step.progress.phase is not Phase.WORKING:
        return
    if step.verdict is Verdict.KILL:
        current = tx.state.tasks.active.get(update.key.job, {}).get(step.instance)
        wanted = look.plan.target(step.instance, back=look.back)
        if current is not None and may_kill(tx, update, wanted, current, removals):
            tx.say(update.key, f"instance {step.instance} is ended, to be replaced or removed")
            keep_for_successor(tx, current, wanted)
            actions.kill(tx, current, f"Killed for job update {update.key.id}")
    elif step.verdict in (Verdict.ADD, Verdict.EXITED):
        # After an exit the scheduler has replaced the task already, unless it never does: one of a job that is no
        # service, or one that finished while its host was silent. Without this the update would wait for ever.
        if step.instance not in tx.state.tasks.active.get(update.key.job, {}):
            config = look.plan.target(step.instance, back=look.back)
            assert config is not None
            tx.say(update.key, f"instance {step.instance} is created")
            actions.create(tx, config, step.instance)
    elif step.verdict is Verdict.WATCH:
        assert step.task is not None
        until_ms = step.task.latest_event_ms + update.settings.min_wait_in_instance_running_ms
        tx.arm(DeadlineKind.WATCH, (update.key, step.instance), until_ms)


# --- status ----------------------------------------------------------------------------------------------------------


def move(
    tx: Transaction, update: JobUpdate, to: UpdateStatus, *, user: str | None = None, message: str | None = None
) -> None:
    """Bring an update to a new status and do what entering it asks for. Raises Refused when the table forbids it."""
    if to not in table.ALLOWED[update.status]:
        raise Refused(invalid(f"Cannot transition update from {update.status.name} to {to.name}"))
    note(tx, update.key, notes_after(update, to, tx.now_ms))
    forget(tx, update)
    event = UpdateEvent(to, event_ms(tx, update.key), user, message)
    tx.apply(ops.MoveUpdate(update.key, event))
    by = f" by {user}" if user else ""
    tx.say(update.key, f"{update.status.name} -> {to.name}{by}{f': {message}' if message else ''}")
    if to in table.TERMINAL_UPDATE_STATES:
        tx.state.replace(tx.state.pulses, update.key, None)
        tx.state.replace(tx.state.beats, update.key, None)
    elif to in table.ROLLING_STATES:
        enter_rolling(tx, tx.state.updates[update.key])


def block(tx: Transaction, update: JobUpdate, why: str) -> None:
    """The soft pause: nothing starts until the next heartbeat."""
    awaiting = table.block(update.status)
    assert awaiting is not None, update.status
    age_ms = pulses.age_ms(tx.state, update, tx.mono_ms)
    silence = "this scheduler has heard no heartbeat" if age_ms is None else f"no heartbeat for {age_ms / 1000:.0f} s"
    move(tx, update, awaiting, message=why)
    if update.notes.hold is None:
        tx.say(update.key, f"{silence}: nothing starts until the next one")
    stops = pulses.stops_within_an_hour(tx.state.updates[update.key], tx.now_ms)
    if stops >= pulses.MANY_STOPS:
        timeout_s = update.settings.pulse_timeout_ms / 1000
        tx.say(
            update.key, f"its heartbeat stopped {stops} times within an hour: {timeout_s:g} s may be too short for it"
        )


def enter_rolling(tx: Transaction, update: JobUpdate) -> None:
    """An update began to roll, or rolls on under a new leader: look at everything in progress, then go on."""
    if table.PULSE_CLOCK_RUNS[update.status]:
        pulses.arm(tx, update)
    if update.wishes.progress_deadline_ms:
        note(tx, update.key, progress.started(update, tx.now_ms))
        progress.arm(tx, tx.state.updates[update.key])
    guarded(tx, update.key, _look_at_all)


def _look_at_all(tx: Transaction, key: UpdateKey) -> None:
    update = tx.state.updates[key]
    active = tx.state.tasks.active.get(key.job, {})
    rows = tx.state.progress.tally(key).rows
    working = [i for i, progress in rows.items() if progress.phase is Phase.WORKING]
    working.sort(key=lambda i: rows[i].exit_seq)  # exits of a soft pause are weighed in the order they happened
    evaluate(tx, update, [Seen(i, active.get(i)) for i in working])


def note_exits(tx: Transaction, key: UpdateKey, seen: Iterable[Seen]) -> None:
    """Count exits that happen during a soft pause; they are weighed, in order, when it lifts."""
    update = tx.state.updates[key]
    tally = tx.state.progress.tally(key)
    for one in seen:
        progress = tally.rows.get(one.instance)
        if progress is None or progress.phase is not Phase.WORKING:
            continue
        target = plan_of(tx, update).target(one.instance, back=update.is_rolling_back)
        if judge(target, one.task, now_ms=tx.now_ms, watch_ms=0) is Verdict.EXITED:
            noted = InstanceProgress(Phase.WORKING, progress.failures + 1, tally.exit_seq + 1, progress.recorded)
            tx.apply(ops.MoveInstance(key, one.instance, noted))
            tx.say(key, f"instance {one.instance} exited while waiting for a heartbeat: weighed when one comes")
