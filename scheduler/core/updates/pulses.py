"""Heartbeats: when an update may act.

The gate is strict: from `now - last >= timeout` no instance action starts. The record has a little grace: the status
changes at timeout + grace, or at once when an evaluation was refused, so that a monitor whose beat is as long as the
timeout does not make the history flap. When a heartbeat was heard is never stored: a new leader has heard none.

Source: the update-coordination design thread of Aurora's mailing list (2014); `docs/compatibility.md`, "Heartbeats".
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final

from scheduler.core.policy import HOUR_MS
from scheduler.core.state import State
from scheduler.core.transaction import DeadlineKind, Transaction
from scheduler.core.updates.records import JobUpdate
from scheduler.core.updates.status import AWAITING_PULSE_STATES

TIMED_OUT: Final = "Pulses from external service have timed out."
MANY_STOPS: Final = 5
MOST_COUNTED: Final = 100


def age_ms(state: State, update: JobUpdate, mono_ms: int) -> int | None:
    """How long ago the last heartbeat was heard; None: never by this leader."""
    last = state.pulses.get(update.key)
    return None if last is None else mono_ms - last


def is_fresh(state: State, update: JobUpdate, mono_ms: int) -> bool:
    """May this update act? Always, when no heartbeat gates it."""
    if not update.is_coordinated:
        return True
    age = age_ms(state, update, mono_ms)
    return age is not None and age < update.settings.pulse_timeout_ms


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
