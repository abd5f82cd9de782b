"""How far an update is, read from its details: pure functions, shared by everything that shows it."""

from __future__ import annotations

from enum import Enum
from heapq import merge
from typing import Any, Final

from attrs import evolve, frozen

from scheduler.client.keys import path_of
from scheduler.interface import aurora
from scheduler.visible import visible

_STATUS: Final = aurora.JobUpdateStatus
_ACTION: Final = aurora.JobUpdateAction

ROLLING: Final = frozenset({_STATUS.ROLLING_FORWARD, _STATUS.ROLLING_BACK})
PAUSED: Final = frozenset({_STATUS.ROLL_FORWARD_PAUSED, _STATUS.ROLL_BACK_PAUSED})
AWAITING_PULSE: Final = frozenset({_STATUS.ROLL_FORWARD_AWAITING_PULSE, _STATUS.ROLL_BACK_AWAITING_PULSE})
ACTIVE: Final = ROLLING | PAUSED | AWAITING_PULSE
TERMINAL: Final = frozenset(_STATUS._VALUES_TO_NAMES) - ACTIVE
GOING_BACK: Final = frozenset(
    {_STATUS.ROLLING_BACK, _STATUS.ROLL_BACK_PAUSED, _STATUS.ROLL_BACK_AWAITING_PULSE, _STATUS.ROLLED_BACK}
)

STATUS_GROUPS: Final = {
    "active": ACTIVE,
    "all": frozenset(_STATUS._VALUES_TO_NAMES),
    "blocked": AWAITING_PULSE,
    "failed": frozenset({_STATUS.ROLLED_BACK, _STATUS.ABORTED, _STATUS.ERROR, _STATUS.FAILED}),
    "inactive": TERMINAL,
    "paused": PAUSED,
    "succeeded": frozenset({_STATUS.ROLLED_FORWARD}),
}
"""Words for several statuses, as Aurora's client has them."""


class Phase(Enum):
    """What an update has done with an instance, in the direction it goes now."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


_FORWARD: Final = {
    _ACTION.INSTANCE_UPDATING: Phase.WORKING,
    _ACTION.INSTANCE_UPDATED: Phase.DONE,
    _ACTION.INSTANCE_UPDATE_FAILED: Phase.FAILED,
}
_BACK: Final = {
    _ACTION.INSTANCE_UPDATING: Phase.WAITING,
    _ACTION.INSTANCE_UPDATED: Phase.WAITING,
    _ACTION.INSTANCE_UPDATE_FAILED: Phase.WAITING,
    _ACTION.INSTANCE_ROLLING_BACK: Phase.WORKING,
    _ACTION.INSTANCE_ROLLED_BACK: Phase.DONE,
    _ACTION.INSTANCE_ROLLBACK_FAILED: Phase.FAILED,
}
_WORDS: Final = {
    _ACTION.INSTANCE_UPDATING: "is being updated",
    _ACTION.INSTANCE_UPDATED: "is updated",
    _ACTION.INSTANCE_UPDATE_FAILED: "failed",
    _ACTION.INSTANCE_ROLLING_BACK: "is being rolled back",
    _ACTION.INSTANCE_ROLLED_BACK: "is rolled back",
    _ACTION.INSTANCE_ROLLBACK_FAILED: "failed to roll back",
}


@frozen
class Event:
    """One line of an update's history, fit for a terminal."""

    timestamp_ms: int
    text: str


@frozen
class Span:
    """How long an update was in one status. `end_ms` 0: it still is."""

    status: int
    start_ms: int
    end_ms: int


@frozen
class Progress:
    """Where an update stands. `phases`: instance id to phase, ascending."""

    job: str
    update_id: str
    status: int
    user: str
    started_ms: int
    modified_ms: int
    phases: dict[int, Phase]
    events: tuple[Event, ...]
    pulse_timeout_ms: int
    spans: tuple[Span, ...] = ()

    @property
    def status_name(self) -> str:
        return status_name(self.status)

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    @property
    def going_back(self) -> bool:
        return self.status in GOING_BACK

    @property
    def done(self) -> int:
        return sum(phase is Phase.DONE for phase in self.phases.values())

    @property
    def sentence(self) -> str:
        """What it is doing, in words."""
        total = len(self.phases)
        where = f"{self.done} of {total} instance{'' if total == 1 else 's'} {'back' if self.going_back else 'updated'}"
        if self.status in AWAITING_PULSE:
            return f"waits for a heartbeat; {where}"
        if self.status in PAUSED:
            return f"paused, `thesan update resume` lets it go on; {where}"
        return where


def status_name(status: int) -> str:
    return str(_STATUS._VALUES_TO_NAMES.get(status, status))


def progress_of(details: Any) -> Progress:
    """From a JobUpdateDetails struct."""
    summary, instructions = details.update.summary, details.update.instructions
    state = summary.state
    back = state.status in GOING_BACK
    phases = dict.fromkeys(sorted(_instances(instructions)), Phase.DONE if back else Phase.WAITING)
    for event in details.instanceEvents or ():
        phase = (_BACK if back else _FORWARD).get(event.action)
        if phase is not None and event.instanceId in phases:
            phases[event.instanceId] = phase
    if state.status == _STATUS.ROLLED_FORWARD:
        phases = {i: Phase.FAILED if phase is Phase.FAILED else Phase.DONE for i, phase in phases.items()}
    return Progress(
        job=path_of(summary.key.job),
        update_id=summary.key.id,
        status=state.status,
        user=summary.user or "",
        started_ms=state.createdTimestampMs,
        modified_ms=state.lastModifiedTimestampMs,
        phases=phases,
        events=events_of(details),
        pulse_timeout_ms=instructions.settings.blockIfNoPulsesAfterMs or 0,
        spans=spans_of(details),
    )


def spans_of(details: Any) -> tuple[Span, ...]:
    """The statuses one after the other, each once in a row; the last has no end."""
    found: list[Span] = []
    for event in details.updateEvents or ():
        if found and found[-1].status == event.status:
            continue
        if found:
            found[-1] = evolve(found[-1], end_ms=event.timestampMs)
        found.append(Span(event.status, event.timestampMs, 0))
    return tuple(found)


def _instances(instructions: Any) -> set[int]:
    """All that the update adds, replaces or removes."""
    parts = [*(instructions.initialState or ())]
    if instructions.desiredState is not None:
        parts.append(instructions.desiredState)
    return {i for part in parts for r in part.instances for i in range(r.first, r.last + 1)}


_BEGINS: Final = frozenset({_ACTION.INSTANCE_UPDATING, _ACTION.INSTANCE_ROLLING_BACK})


def events_of(details: Any) -> tuple[Event, ...]:
    """Both histories in one, oldest first, each in its own order.

    Of one moment: what was done with an instance, then what that made of the update, then what it began to do next.
    """
    instances, updates = list(details.instanceEvents or ()), list(details.updateEvents or ())
    found: list[Event] = []
    while instances or updates:
        if updates and (not instances or _stands_before(updates[0], instances[0])):
            event = updates.pop(0)
            by = f" by {event.user}" if event.user else ""
            text = f"{status_name(event.status)}{by}"
        else:
            event = instances.pop(0)
            text = f"instance {event.instanceId} {_WORDS.get(event.action, event.action)}"
        found.append(Event(event.timestampMs, visible(f"{text}: {event.message}" if event.message else text)))
    return tuple(found)


def with_remarks(events: tuple[Event, ...], remarks: tuple[Event, ...]) -> tuple[Event, ...]:
    """A history together with what was done beside it, in the order of time."""
    return tuple(merge(events, remarks, key=lambda event: event.timestamp_ms)) if remarks else events


def _stands_before(update: Any, instance: Any) -> bool:
    if update.timestampMs != instance.timestampMs:
        return bool(update.timestampMs < instance.timestampMs)
    return update.status in ROLLING and instance.action in _BEGINS
