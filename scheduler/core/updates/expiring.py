"""What a person does to an update for a while: a pause that ends by itself, an override of the heartbeat.

Both are noted beside the history with who and why, both survive a failover, and both undo themselves at a deadline.
Source of the rules: `docs/monitors.md`, "While the monitor is down".
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from scheduler.core.answers import Answer, Code, Refused, invalid
from scheduler.core.policy import DAY_MS, SECOND_MS
from scheduler.core.transaction import DeadlineKind, Transaction
from scheduler.core.updates import pulses, requests, status as table
from scheduler.core.updates.notes import Override, Pause
from scheduler.core.updates.noting import annotate, remark
from scheduler.core.updates.records import JobUpdate, UpdateKey, UpdateStatus
from scheduler.core.updates.updater import block, move

LEAST_MS: Final = SECOND_MS
MOST_MS: Final = 30 * DAY_MS


@frozen
class Until:
    """What was done, and when it ends by itself; `until_ms` 0: nothing does."""

    status: UpdateStatus
    until_ms: int = 0


def pause_for(tx: Transaction, key: UpdateKey, duration_ms: int, user: str, message: str | None) -> Answer:
    """A hard pause that ends by itself, or earlier by a resume. Asked again, it moves its end."""
    update = requests.required(tx, key, message, "Update does not exist %s")
    _check(duration_ms, "durationMs")
    paused = table.pause(update.status)
    if paused is None:
        return invalid(f"Cannot pause an update that is {update.status.name}")
    again = paused is update.status
    if again:
        noted = update.notes.pause
        if noted is None or not noted.until_ms:
            by = update.events[-1].user
            return invalid(
                f"It is paused{f' by {by}' if by else ''} until a person resumes it: "
                "a pause that ends by itself would lift that"
            )
    else:
        move(tx, update, paused, user=user, message=message)
    until_ms = tx.now_ms + duration_ms
    annotate(tx, tx.state.updates[key], pause=Pause(until_ms, user, message or "", tx.now_ms))
    if again:
        said = f": {message}" if message else ""
        remark(tx, key, user, f"Its pause now ends by itself after {duration_ms / 1000:g} s{said}")
    arm(tx, tx.state.updates[key])
    return Answer(result=Until(paused, until_ms))


def override(tx: Transaction, key: UpdateKey, duration_ms: int, user: str, reason: str | None) -> Answer:
    """Let an update act without its monitor until a time; 0 ends that. Who answers for it, and why, is kept."""
    update = requests.required(tx, key, reason, "Update does not exist %s")
    if update.status in table.TERMINAL_UPDATE_STATES:
        return invalid(f"Cannot override the heartbeat of an update that is {update.status.name}")
    if duration_ms == 0:
        return _end_override(tx, update, user, reason)
    _check(duration_ms, "durationMs")
    if reason is None:
        return invalid("reason: say why nobody needs to watch; it is kept with your name")
    until_ms = tx.now_ms + duration_ms
    update = annotate(tx, update, override=Override(until_ms, user, reason))
    arm(tx, update)
    what = f"{pulses.OVERRIDDEN} {duration_ms / 1000:g} s: {reason}"
    if update.status in table.AWAITING_PULSE_STATES:
        rolling = table.unblock(update.status)
        assert rolling is not None
        move(tx, update, rolling, user=user, message=what)
    else:
        remark(tx, key, user, what)
    return Answer(result=Until(tx.state.updates[key].status, until_ms))


def _end_override(tx: Transaction, update: JobUpdate, user: str, reason: str | None) -> Answer:
    if update.notes.override is None:
        return Answer(Code.OK, ("There is no override to end.",), Until(update.status))
    because = f": {reason}" if reason else ""
    update = annotate(tx, update, override=None)
    if _gate_closes(tx, update):
        block(tx, update, f"The override was ended by {user}{because}")
    else:
        remark(tx, update.key, user, f"Heartbeat no longer overridden{because}")
    return Answer(result=Until(tx.state.updates[update.key].status))


def _gate_closes(tx: Transaction, update: JobUpdate) -> bool:
    """An override has gone: if there is no heartbeat either, nothing more starts."""
    return update.status in table.ROLLING_STATES and not pulses.is_open(tx.state, update, tx.clocks)


def _check(duration_ms: int, field: str) -> None:
    if not LEAST_MS <= duration_ms <= MOST_MS:
        raise Refused(invalid(f"{field} is {duration_ms}; it must be from {LEAST_MS} to {MOST_MS} (30 days)"))


# --- deadlines -------------------------------------------------------------------------------------------------------


def arm(tx: Transaction, update: JobUpdate) -> None:
    """Be woken when what is noted ends. Called when it is noted, and by every new leader."""
    notes = update.notes
    if notes.override is not None:
        tx.arm(DeadlineKind.OVERRIDE, update.key, notes.override.until_ms)
    if notes.pause is not None and notes.pause.until_ms:
        tx.arm(DeadlineKind.RESUME, update.key, notes.pause.until_ms)


def override_due(tx: Transaction, key: UpdateKey) -> None:
    update = tx.state.updates.get(key)
    if update is None or update.notes.override is None:
        return
    if pulses.is_overridden(update, tx.now_ms):
        arm(tx, update)
        return
    ended, why = f"The override by {update.notes.override.user} has ended.", pulses.why_closed(update)
    update = annotate(tx, update, override=None)
    if _gate_closes(tx, update):
        block(tx, update, why)
    else:
        remark(tx, key, "", ended)


def resume_due(tx: Transaction, key: UpdateKey) -> None:
    update = tx.state.updates.get(key)
    pause = None if update is None else update.notes.pause
    if update is None or pause is None or not pause.until_ms:
        return
    if tx.now_ms < pause.until_ms:
        arm(tx, update)
        return
    to = table.resume(update.status, fresh=pulses.is_open(tx.state, update, tx.clocks))
    assert to is not None
    asked_ms = pause.until_ms - pause.since_ms
    move(tx, update, to, message=f"The pause of {asked_ms / 1000:g} s by {pause.user} has ended.")
