"""Where an update stands, in the few words a monitor needs: what a heartbeat is answered."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from attrs import frozen

from scheduler.core.state import State
from scheduler.core.transaction import Clocks
from scheduler.core.updates import pulses, status as table
from scheduler.core.updates.notes import NO_BEAT, Pause
from scheduler.core.updates.records import JobUpdate, UpdateStatus

MANY: Final = "PROCEEDs in a row"


class Outcome(IntEnum):
    """Names and numbers are those of `HeartbeatOutcome` in `thrift/thesan.thrift`."""

    OK = 1
    PAUSED = 2
    FINISHED = 3
    WAITING = 4


@frozen
class Standing:
    """`status` None: the update is not known. `next_within_ms` 0: no heartbeat is wanted."""

    outcome: Outcome
    status: UpdateStatus | None
    next_within_ms: int = 0
    waits_for: str = ""
    paused_by: str = ""
    paused_why: str = ""


def standing(state: State, clocks: Clocks, update: JobUpdate) -> Standing:
    if update.status in table.TERMINAL_UPDATE_STATES:
        return Standing(Outcome.FINISHED, update.status)
    timeout_ms = update.settings.pulse_timeout_ms
    if update.status in table.PAUSED_STATES:
        pause = pause_of(update)
        waits_for = (
            "its pause to end by itself, or a person to resume it" if pause.until_ms else "a person to resume it"
        )
        return Standing(Outcome.PAUSED, update.status, timeout_ms, waits_for, pause.user, pause.reason)
    if update.status in table.AWAITING_PULSE_STATES or not pulses.is_open(state, update, clocks):
        return Standing(Outcome.WAITING, update.status, timeout_ms, proceeds_missing(state, clocks, update))
    return Standing(Outcome.OK, update.status, timeout_ms)


def pause_of(update: JobUpdate) -> Pause:
    """Who paused it, why, since when: as noted, or as its history says. `user` is empty when it paused by itself."""
    event = update.events[-1]
    found = Pause(0, event.user or "", event.message or "", event.timestamp_ms)
    noted = update.notes.pause
    if noted is None:
        return found
    again = (noted.user, noted.reason) == (found.user, found.reason)
    since = "" if again else f"{noted.reason or 'paused again'} (by {noted.user})"
    return Pause(noted.until_ms, found.user, "; then: ".join(filter(None, (found.reason, since))), found.since_ms)


def streak_of(state: State, clocks: Clocks, update: JobUpdate) -> int:
    """PROCEEDs in a row, if the last of them is recent enough to count."""
    return (state.beats.get(update.key) or NO_BEAT).streak if pulses.is_fresh(state, update, clocks.mono_ms) else 0


def proceeds_missing(state: State, clocks: Clocks, update: JobUpdate) -> str:
    """What lifts the soft pause."""
    needed = update.wishes.proceeds_to_resume
    if needed == 1 or not pulses.must_be_sure(state, update):
        return "the next PROCEED"
    left = needed - streak_of(state, clocks, update)
    return "the next PROCEED" if left == 1 else f"{left} {MANY}"
