"""A heartbeat that says "go on": what it lifts, and when one is not enough.

Source of the rules: `docs/monitors.md`, "What each verdict does" and "Several in a row".
"""

from __future__ import annotations

import attrs

from scheduler.core.transaction import Transaction
from scheduler.core.updates import pulses, status as table
from scheduler.core.updates.notes import NO_BEAT
from scheduler.core.updates.noting import annotate
from scheduler.core.updates.records import JobUpdate
from scheduler.core.updates.updater import move


def proceed(tx: Transaction, update: JobUpdate) -> None:
    """A heartbeat: it lifts a soft pause and a monitor's WAIT, when it is one of enough in a row, and nothing else."""
    heard_before_ms = tx.state.pulses.get(update.key)
    must_be_sure = pulses.must_be_sure(tx.state, update)  # before this one counts as heard
    tx.state.replace(tx.state.pulses, update.key, tx.mono_ms)
    if update.status not in table.AWAITING_PULSE_STATES and update.notes.hold is None:
        return
    if must_be_sure and not _count(tx, update, heard_before_ms):
        return
    update = annotate(tx, update, hold=None)
    if update.status in table.AWAITING_PULSE_STATES:
        rolling = table.unblock(update.status)
        assert rolling is not None
        move(tx, update, rolling)


def forget_streak(tx: Transaction, update: JobUpdate) -> None:
    beat = tx.state.beats.get(update.key)
    if beat is not None and beat.streak:
        tx.state.replace(tx.state.beats, update.key, attrs.evolve(beat, streak=0))


def _count(tx: Transaction, update: JobUpdate, heard_before_ms: int | None) -> bool:
    """Count one of several; a gap as long as the timeout begins anew. Is it the last one that was missing?"""
    beat = tx.state.beats.get(update.key) or NO_BEAT
    timeout_ms = update.settings.pulse_timeout_ms
    gap = heard_before_ms is None or (timeout_ms > 0 and tx.mono_ms - heard_before_ms >= timeout_ms)
    streak = 1 if gap else beat.streak + 1
    enough = streak >= update.wishes.proceeds_to_resume
    tx.state.replace(tx.state.beats, update.key, attrs.evolve(beat, streak=0 if enough else streak))
    return enough
