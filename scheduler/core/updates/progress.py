"""The progress deadline: what becomes of an update in which nothing has moved for as long as it allows.

Metadata `thesan.progress_deadline` asks for it. A move is any instance that begins, is done, fails or is set aside. The
clock runs only while the update rolls: a pause and a missing heartbeat do not use it up. How much was used is noted
when the clock stops, so it goes on from there.

Source of the rules: `docs/monitors.md`, "What an update can ask for".
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from scheduler.core.transaction import DeadlineKind, Transaction
from scheduler.core.updates import status as table
from scheduler.core.updates.notes import Notes
from scheduler.core.updates.records import JobUpdate, UpdateStatus
from scheduler.core.updates.wishes import ProgressAction

NOTHING_MOVED: Final = "Nothing has moved for"


def started(update: JobUpdate, now_ms: int) -> Notes:
    """Its clock runs from now on, if it has one and that does not run already."""
    if not update.wishes.progress_deadline_ms or update.notes.progress_from_ms:
        return update.notes
    return attrs.evolve(update.notes, progress_from_ms=now_ms)


def stopped(update: JobUpdate, to: UpdateStatus, now_ms: int) -> dict[str, Any]:
    """The changes of the notes when the update leaves for `to`: its clock stops, or begins anew where it turns."""
    notes = update.notes
    if not notes.progress_from_ms or to in table.TERMINAL_UPDATE_STATES:
        return {}
    if to in table.ROLLING_STATES:
        return {"progress_used_ms": 0, "progress_from_ms": now_ms}
    return {"progress_used_ms": used_ms(notes, now_ms), "progress_from_ms": 0}


def moved(update: JobUpdate, now_ms: int) -> Notes:
    """Something moved: all of the time is there again."""
    notes = update.notes
    if not update.wishes.progress_deadline_ms:
        return notes
    return attrs.evolve(notes, progress_used_ms=0, progress_from_ms=now_ms if notes.progress_from_ms else 0)


def taken_over(update: JobUpdate, now_ms: int) -> Notes:
    """A new leader. When the one before ended is not known, so its clock goes on; but a time without any scheduler, in
    which nothing could move, is not to end the update: if it were due by that, its clock goes on from where it began.
    """
    due = used_ms(update.notes, now_ms) >= update.wishes.progress_deadline_ms > 0
    return (
        attrs.evolve(update.notes, progress_from_ms=now_ms) if due and update.notes.progress_from_ms else update.notes
    )


def used_ms(notes: Notes, now_ms: int) -> int:
    running_ms = max(0, now_ms - notes.progress_from_ms) if notes.progress_from_ms else 0
    return notes.progress_used_ms + running_ms


def arm(tx: Transaction, update: JobUpdate) -> None:
    left_ms = update.wishes.progress_deadline_ms - used_ms(update.notes, tx.now_ms)
    tx.arm(DeadlineKind.PROGRESS, update.key, tx.now_ms + left_ms)


def end_of(update: JobUpdate) -> UpdateStatus:
    """What it comes to when nothing moved. One that is turned already cannot turn: it is paused instead."""
    action = update.wishes.progress_action
    if action is ProgressAction.FAIL:
        return UpdateStatus.FAILED
    if action is ProgressAction.ROLL_BACK and not update.is_rolling_back:
        return UpdateStatus.ROLLING_BACK
    paused = table.pause(update.status)
    assert paused is not None
    return paused
