"""Histories that stay bounded: neither a heartbeat that comes and goes for weeks nor a program that pauses and resumes
all day may fill memory and every answer.

As long as a history is short it shows everything. In a long one, a soft pause and its end, after which nothing happened
to any instance, give way to the next soft pause; what people did stays. In a very long one the oldest loop gives way,
whoever caused it: from a status back to the same one. What stands before and after is unchanged in both cases, so every
transition is one that the table allows; and the first event stays, which says when the update was made.

An instance that people leave out and take up again shows the latest of what happened to it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from scheduler.core.history import History
from scheduler.core.updates.records import InstanceEvent, JobUpdate, UpdateEvent
from scheduler.core.updates.status import AWAITING_PULSE_STATES, ROLLING_STATES

LONG: Final = 200
"""Events of an update, before soft pauses fold."""
VERY_LONG: Final = 400
"""Events of an update beyond one for each event of an instance, before the oldest loop gives way: where each batch ends
in a pause, all of the pauses are shown."""
LONG_OF_INSTANCES: Final = 256
"""Events of all instances, before they are looked through. A power of two."""
MOST_OF_ONE: Final = 8
"""Events of one instance in a long history: an update that keeps to SLA records four in each direction."""


def with_event(update: JobUpdate, event: UpdateEvent) -> History[UpdateEvent]:
    """The update's history and one event more."""
    if len(update.events) >= LONG and _repeats(update, event):
        return History(update.events[:-2]).appended(event)
    if len(update.events) >= VERY_LONG + len(update.instance_events):
        return History(_without_oldest_loop(update.events[:])).appended(event)
    return update.events.appended(event)


def _repeats(update: JobUpdate, event: UpdateEvent) -> bool:
    """Is it the same soft pause again, with nothing between but its end?"""
    paused, ended = update.events[-2:]
    nobody_acted = not (paused.user or ended.user or event.user)
    same = event.status in AWAITING_PULSE_STATES and paused.status is event.status and ended.status in ROLLING_STATES
    idle = not update.instance_events or update.instance_events[-1].timestamp_ms < paused.timestamp_ms
    return nobody_acted and same and idle


def _without_oldest_loop(events: list[UpdateEvent]) -> list[UpdateEvent]:
    """A direction has three statuses, so any four events in a row hold a loop: the first few hold one."""
    for first in range(1, len(events)):
        for end in range(first + 1, min(first + 4, len(events))):
            if events[first].status is events[end].status:
                return events[:first] + events[end:]
    return events


def with_instance_event(update: JobUpdate, event: InstanceEvent) -> History[InstanceEvent]:
    """The history of the update's instances and one event more.

    It is looked through each time its length has doubled, so that an event costs the same in any history.
    """
    events = update.instance_events
    if len(events) >= LONG_OF_INSTANCES and len(events) & (len(events) - 1) == 0:
        return History(_latest_of_each(events[:])).appended(event)
    return events.appended(event)


def _latest_of_each(events: list[InstanceEvent]) -> list[InstanceEvent]:
    left = Counter(event.instance_id for event in events)
    kept = []
    for event in events:
        if left[event.instance_id] <= MOST_OF_ONE:
            kept.append(event)
        left[event.instance_id] -= 1
    return kept
