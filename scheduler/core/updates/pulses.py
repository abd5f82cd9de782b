"""Heartbeats: when an update may act.

The gate is strict: from `now - last >= timeout` no instance action starts. The record has a little grace: the status
changes at timeout + grace, or at once when an evaluation was refused, so that a monitor whose beat is as long as the
timeout does not make the history flap. When a heartbeat was heard is never stored: a new leader has heard none.

What a person or the monitor said goes before silence (`is_open`): an override opens the gate, a WAIT closes it.

Source: the update-coordination design thread of Aurora's mailing list (2014); `docs/compatibility.md`, "Heartbeats".
"""

from __future__ import annotations

from enum import Enum
from itertools import takewhile
from typing import Final

from scheduler.core.policy import HOUR_MS
from scheduler.core.state import State
from scheduler.core.transaction import Clocks, DeadlineKind, Transaction
from scheduler.core.updates.notes import MONITOR_SAYS
from scheduler.core.updates.records import JobUpdate, UpdateEvent
from scheduler.core.updates.status import AWAITING_PULSE_STATES, ROLLING_STATES

TIMED_OUT: Final = "Pulses from external service have timed out."
FAILED_OVER: Final = "A new scheduler leads: waiting for a heartbeat."
OVERRIDDEN: Final = "Heartbeat overridden for"
MANY_STOPS: Final = 5
MOST_COUNTED: Final = 100


def age_ms(state: State, update: JobUpdate, mono_ms: int) -> int | None:
    """How long ago the last heartbeat was heard; None: never by this leader."""
    last = state.pulses.get(update.key)
    return None if last is None else mono_ms - last


def is_fresh(state: State, update: JobUpdate, mono_ms: int) -> bool:
    """Is its heartbeat not overdue? Always so, when it has none."""
    if not update.is_coordinated:
        return True
    age = age_ms(state, update, mono_ms)
    return age is not None and age < update.settings.pulse_timeout_ms


def is_overridden(update: JobUpdate, now_ms: int) -> bool:
    """Does a person answer for it in the monitor's place?"""
    override = update.notes.override
    return override is not None and now_ms < override.until_ms


def is_open(state: State, update: JobUpdate, clocks: Clocks) -> bool:
    """May this update act? The gate: every instance action passes here."""
    if is_overridden(update, clocks.now_ms):
        return True
    if update.notes.hold is not None:
        return False
    if update.is_rolling_back and update.wishes.rollback_gate_open:
        return True
    return is_fresh(state, update, clocks.mono_ms)


def why_closed(update: JobUpdate) -> str:
    """The sentence of the record, for a gate that has closed."""
    override = update.notes.override
    if override is not None:
        return f"The override by {override.user} has ended: waiting for a heartbeat."
    hold = update.notes.hold
    if hold is not None:
        return " ".join(filter(None, (f"The monitor said wait: {hold.reason}", hold.link)))
    return TIMED_OUT


class Missing(Enum):
    """Why an update that waits for a heartbeat has none."""

    NEVER_HEARD = "none yet"
    FAILOVER = "none since this leader took over"
    OVERDUE = "they have stopped"


def missing(state: State, update: JobUpdate) -> Missing:
    """What this leader has heard goes first; of what others heard before it, the history tells."""
    if update.key in state.pulses:
        return Missing.OVERDUE
    events = list(update.events)
    while len(events) > 1:
        event = events.pop()
        if event.message == TIMED_OUT and event.user is None:
            before = events.pop()
            if before.timestamp_ms < event.timestamp_ms:
                return Missing.OVERDUE
            # Else somebody turned it, or let it roll on, and it was stopped at that instant: no heartbeat did that.
        elif _was_heard(event):
            return Missing.FAILOVER
    return Missing.NEVER_HEARD


def _was_heard(event: UpdateEvent) -> bool:
    """Does it show that some leader had heard a heartbeat?"""
    said = event.message or ""
    return said.startswith(MONITOR_SAYS) or (event.status in ROLLING_STATES and not said.startswith(OVERRIDDEN))


def must_be_sure(state: State, update: JobUpdate) -> bool:
    """Are several heartbeats in a row asked for? After a stop they are; not at the start, nor after a failover."""
    if update.wishes.proceeds_to_resume == 1:
        return False
    return update.notes.hold is not None or missing(state, update) is Missing.OVERDUE


def infer(tx: Transaction, update: JobUpdate) -> None:
    """Take the newest status change for the last heartbeat, unless that was its absence."""
    if update.is_coordinated and update.status not in AWAITING_PULSE_STATES:
        age_ms = max(0, tx.now_ms - update.events[-1].timestamp_ms)
        tx.state.replace(tx.state.pulses, update.key, tx.mono_ms - age_ms)


def stops_within_an_hour(update: JobUpdate, now_ms: int) -> int:
    """How often its heartbeat stopped lately: a monitor that hardly keeps up."""
    lately = takewhile(lambda event: event.timestamp_ms > now_ms - HOUR_MS, reversed(update.events[-MOST_COUNTED:]))
    return sum(event.message == TIMED_OUT for event in lately)


def record_due_ms(tx: Transaction, update: JobUpdate) -> int:
    """The moment, on the clock that never jumps, at which silence is recorded."""
    last = tx.state.pulses.get(update.key)
    timeout_ms = update.settings.pulse_timeout_ms
    return tx.mono_ms if last is None else last + timeout_ms + tx.policy.pulse_grace_ms(timeout_ms)


def arm(tx: Transaction, update: JobUpdate) -> None:
    """Watch for silence. Only while rolling: see `PULSE_CLOCK_RUNS` in `status.py`."""
    if update.is_coordinated:
        tx.arm_mono(DeadlineKind.PULSE, update.key, record_due_ms(tx, update))
