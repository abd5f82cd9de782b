"""What clients ask of updates: start, pause, resume, abort, roll back, pulse.

Source: Aurora's documentation, "Job updates" and "Job update details"; `docs/compatibility.md`, "Updates".
"""

from __future__ import annotations

from typing import Final

from scheduler.core import ops, quota
from scheduler.core.answers import OK, Answer, Code, Refused, error, invalid
from scheduler.core.jobs import NO_CRON, check_instance_count, refuse_cron
from scheduler.core.queries import PulseAnswer, StartedUpdate, UpdateRequest
from scheduler.core.records import TaskConfig
from scheduler.core.state import State
from scheduler.core.transaction import Transaction
from scheduler.core.updates import pulses, settings as checks, status as table, wishes
from scheduler.core.updates.beating import proceed
from scheduler.core.updates.diff import Diff, compare
from scheduler.core.updates.notes import Pause
from scheduler.core.updates.noting import annotate, remark
from scheduler.core.updates.records import Instructions, JobUpdate, UpdateEvent, UpdateKey, UpdateSettings, UpdateStatus
from scheduler.core.updates.updater import enter_rolling, move
from scheduler.core.validation import require_update_job, require_update_key, valid_config

NOOP: Final = "Job is unchanged by proposed update."
MAX_MESSAGE_LENGTH: Final = 1024


def start(tx: Transaction, request: UpdateRequest, user: str, message: str | None) -> Answer:
    """Start an update, unless it would change nothing or another one is active."""
    if request.task_config is None:
        return error("request.taskConfig must be set")
    if not request.task_config.is_service:
        return invalid("Updates are not supported for non-service tasks.")
    if request.settings is None:
        return error("request.settings must be set")
    settings = checks.checked(tx.policy, request.settings, request.task_config, request.instance_count)
    config = valid_config(tx.policy, request.task_config, request.instance_count)
    if request.instance_count < 0:
        return invalid(f"Instance count must be between 1 and {tx.policy.max_tasks_per_job} inclusive.")
    refuse_cron(tx.state, config.job, NO_CRON)
    diff = _diff(tx, config, request.instance_count, settings)
    if diff.is_noop:
        return Answer(Code.OK, (NOOP,))
    check_instance_count(tx, request.instance_count)
    quota.check_update(tx, config.job, _instructions(config, diff, settings))
    _check_message(message)
    wishes.check(request.metadata, settings.min_wait_in_instance_running_ms)
    running = tx.state.updates.active.get(config.job)
    if running is not None:
        active = ", ".join(sorted(status.name for status in table.ACTIVE_UPDATE_STATES))
        sentence = (
            "An active update already exists for this job, please terminate it before starting another. "
            f"Active updates are those in states [{active}]"
        )
        result = StartedUpdate(running.key, running.user, running.metadata, running)
        return Answer(Code.INVALID_REQUEST, (sentence,), result)
    update = _save(tx, request, settings, config, diff, user, message)
    if update.status in table.ROLLING_STATES:
        enter_rolling(tx, update)
    return Answer(result=StartedUpdate(update.key, user, update.metadata))


def _diff(tx: Transaction, config: TaskConfig, instance_count: int, settings: UpdateSettings) -> Diff:
    active = tx.state.tasks.active.get(config.job, {})
    wanted, scope = tx.state.configs.canonical(config), settings.update_only_these_instances
    diff = compare(active, wanted, instance_count, scope, tx.policy.max_tasks_per_job + 1)  # more is refused anyway
    if diff.irrelevant:
        ids = ", ".join(map(str, diff.irrelevant))
        raise Refused(
            invalid(
                "The update request attempted to update specific instances, but some are irrelevant to the update "
                f"and current job state: {ids}"
            )
        )
    return diff


def _instructions(config: TaskConfig, diff: Diff, settings: UpdateSettings) -> Instructions:
    return Instructions(diff.initial(), diff.desired(config), settings)


def _save(
    tx: Transaction,
    request: UpdateRequest,
    settings: UpdateSettings,
    config: TaskConfig,
    diff: Diff,
    user: str,
    message: str | None,
) -> JobUpdate:
    key = UpdateKey(config.job, tx.world.new_id())
    # Only what is used is saved: a pure removal has no desired configuration.
    used = tx.intern(config) if diff.added or diff.replaced else config
    instructions = _instructions(used, diff, settings)
    first = UpdateStatus.ROLL_FORWARD_AWAITING_PULSE if settings.pulse_timeout_ms else UpdateStatus.ROLLING_FORWARD
    event = UpdateEvent(first, tx.now_ms, user, message or None)
    tx.apply(ops.StartUpdate(key, user, request.metadata, instructions, event))
    waits = ", waits for its first heartbeat" if settings.pulse_timeout_ms else ""
    tx.say(
        key,
        f"started by {user}: {len(diff.added)} to create, {len(diff.replaced)} to replace, "
        f"{len(diff.removed)} to remove{waits}",
    )
    return tx.state.updates[key]


def pause(tx: Transaction, key: UpdateKey, user: str, message: str | None) -> Answer:
    """A hard pause: only a person lifts it."""
    update = required(tx, key, message, "Update does not exist %s")
    noted = update.notes.pause
    if noted is not None and noted.until_ms:
        annotate(tx, update, pause=Pause(0, user, message or "", tx.now_ms))
        remark(tx, key, user, f"Its pause no longer ends by itself{f': {message}' if message else ''}")
    return transition(tx, update, table.pause(update.status), user, message)


def resume(tx: Transaction, key: UpdateKey, user: str, message: str | None) -> Answer:
    """Lift a hard pause. When the heartbeat is overdue the soft pause follows; a resume does not lift that."""
    update = required(tx, key, message, "Update does not exist: %s")
    if update.status in table.AWAITING_PULSE_STATES:
        return Answer(Code.OK, ("The update waits for a heartbeat (pulseJobUpdate); a resume does not replace it.",))
    fresh = pulses.is_open(tx.state, update, tx.clocks)
    return transition(tx, update, table.resume(update.status, fresh=fresh), user, message)


def abort(tx: Transaction, key: UpdateKey, user: str, message: str | None) -> Answer:
    """End an update and leave the job as it is."""
    update = required(tx, key, message, "Update does not exist %s")
    return transition(tx, update, UpdateStatus.ABORTED, user, message)


def rollback(tx: Transaction, key: UpdateKey, user: str, message: str | None) -> Answer:
    """Turn round, or, when already turned, go on."""
    update = required(tx, key, message, "Update does not exist %s")
    return transition(tx, update, UpdateStatus.ROLLING_BACK, user, message)


def pulse(tx: Transaction, key: UpdateKey) -> Answer:
    """A heartbeat. It lifts a soft pause and nothing else; ended, unknown and ungated updates answer FINISHED."""
    require_update_key(key)
    update = tx.state.updates.get(key)
    if update is None or update.status in table.TERMINAL_UPDATE_STATES:
        return FINISHED
    if not update.is_coordinated and update.notes.hold is None:
        return FINISHED
    proceed(tx, update)
    return BEATING


def beat(state: State, key: UpdateKey, mono_ms: int) -> Answer | None:
    """The same for a heartbeat that changes nothing but when it was heard, as nearly all do; None: it takes `pulse`.

    Not to be called within a decision: what it notes is not undone.
    """
    update = state.updates.get(key)
    if update is None:
        return None
    status = update.events[-1].status
    if not (status is _RF or status is _RB or status is _RF_PAUSED or status is _RB_PAUSED):
        return None
    if not update.is_coordinated or update.notes.hold is not None:
        return None
    state.pulses.replace(update.key, mono_ms)
    return BEATING


_RF: Final = table.RF
_RB: Final = table.RB
_RF_PAUSED: Final = table.RF_PAUSED
_RB_PAUSED: Final = table.RB_PAUSED


FINISHED: Final = Answer(result=PulseAnswer(finished=True))
BEATING: Final = Answer(result=PulseAnswer(finished=False))


def required(tx: Transaction, key: UpdateKey, message: str | None, unknown: str) -> JobUpdate:
    require_update_job(key)
    _check_message(message)
    update = tx.state.updates.get(key)
    if update is None:
        raise Refused(invalid(unknown % key))
    return update


def _check_message(message: str | None) -> None:
    if message is not None and len(message) > MAX_MESSAGE_LENGTH:
        raise Refused(error(f"Message is {len(message)} characters long; at most {MAX_MESSAGE_LENGTH} are allowed"))


def transition(tx: Transaction, update: JobUpdate, to: UpdateStatus | None, user: str, message: str | None) -> Answer:
    """Asking for what is already so is no error and leaves no trace."""
    if to is update.status:
        return OK
    if to is None:
        return invalid(f"Cannot transition update from {update.status.name} to null")
    move(tx, update, to, user=user, message=message or None)
    return OK
