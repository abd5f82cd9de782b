"""Histories that stay bounded: a heartbeat that comes and goes for weeks must not fill memory and every answer.

An update may be softly paused and go on as often as it likes; each time is two events. As long as a history is short it
shows all of them. In a long one, a pause and its end after which nothing happened to any instance give way to the next
pause: what stands before and after them is unchanged, and so is every transition the table allows.
"""

from __future__ import annotations

from typing import Final

from scheduler.core.history import History
from scheduler.core.updates.records import JobUpdate, UpdateEvent
from scheduler.core.updates.status import AWAITING_PULSE_STATES, ROLLING_STATES

LONG: Final = 200
"""Events of an update, before pauses fold."""


def with_event(update: JobUpdate, event: UpdateEvent) -> History[UpdateEvent]:
    """The update's history and one event more."""
    if len(update.events) >= LONG and _repeats(update, event):
        return History(update.events[:-2]).appended(event)
    return update.events.appended(event)


def _repeats(update: JobUpdate, event: UpdateEvent) -> bool:
    """Is it the same soft pause again, with nothing between but its end?"""
    paused, ended = update.events[-2:]
    nobody_acted = not (paused.user or ended.user or event.user)
    same = event.status in AWAITING_PULSE_STATES and paused.status is event.status and ended.status in ROLLING_STATES
    idle = not update.instance_events or update.instance_events[-1].timestamp_ms < paused.timestamp_ms
    return nobody_acted and same and idle
