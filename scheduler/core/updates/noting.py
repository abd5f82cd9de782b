"""Changing what is noted about an update, and what is left of it in the next status."""

from __future__ import annotations

from typing import Any

import attrs

from scheduler.core import ops
from scheduler.core.transaction import Transaction
from scheduler.core.updates import progress, status as table
from scheduler.core.updates.notes import NO_NOTES, Notes, Remark
from scheduler.core.updates.records import JobUpdate, UpdateKey, UpdateStatus


def event_ms(tx: Transaction, key: UpdateKey) -> int:
    """Recorded time never goes backwards within a history."""
    return max(tx.now_ms, tx.state.updates[key].last_modified_ms)


def note(tx: Transaction, key: UpdateKey, notes: Notes) -> None:
    """Put these in the place of an update's notes; recorded if that changes anything."""
    if tx.state.updates[key].notes != notes:
        tx.apply(ops.AnnotateUpdate(key, notes))


def remark(tx: Transaction, key: UpdateKey, user: str, message: str) -> None:
    """Put on the record what was done to an update that comes to no other status by it. `user` empty: nobody did it."""
    before = tx.state.remarks.get(key)
    at_ms = max(tx.now_ms, tx.state.updates[key].last_modified_ms, before[-1].timestamp_ms if before else 0)
    if tx.world.format_level >= ops.SINCE[ops.RecordRemark]:  # else it is only said: nothing may fail for want of it
        tx.apply(ops.RecordRemark(key, Remark(at_ms, user, message)))
    tx.say(key, message)


def notes_after(update: JobUpdate, to: UpdateStatus, now_ms: int) -> Notes:
    """What is left of the notes when it comes to another status: none outlives what it was said about."""
    notes = update.notes
    if notes == NO_NOTES or to in table.TERMINAL_UPDATE_STATES:
        return NO_NOTES
    turns = to is UpdateStatus.ROLLING_BACK and not update.is_rolling_back
    return attrs.evolve(
        notes,
        hold=None if turns and update.wishes.rollback_gate_open else notes.hold,
        override=None if to in table.AWAITING_PULSE_STATES else notes.override,
        pause=None if to not in table.PAUSED_STATES else notes.pause,
        **progress.stopped(update, to, now_ms),
    )


def annotate(tx: Transaction, update: JobUpdate, **changes: Any) -> JobUpdate:
    """Change some of an update's notes; recorded if that changes anything. Returns the update as it is then."""
    note(tx, update.key, attrs.evolve(update.notes, **changes))
    return tx.state.updates[update.key]
