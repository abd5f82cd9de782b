"""An update's history once more, step by step through the tables: it must end where the record ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Final

from attrs import frozen

from scheduler.core.answers import Answer, Code, invalid
from scheduler.core.policy import Policy
from scheduler.core.state import State
from scheduler.core.updates import status as table
from scheduler.core.updates.notes import Remark
from scheduler.core.updates.records import InstanceEvent, JobUpdate, Phase, UpdateEvent, UpdateKey, UpdateStatus
from scheduler.core.updates.rehearsal import named
from scheduler.core.validation import require_update_key

MOST_STEPS: Final = 2000
"""Steps in one answer; the newest are shown."""
_PHASES: Final = {action: phase for (phase, _), action in table.RECORDED_ACTION.items()}
_BEGINS: Final = {action for (phase, _), action in table.RECORDED_ACTION.items() if phase is Phase.WORKING}
_FORWARD: Final = {action for (_, back), action in table.RECORDED_ACTION.items() if not back}


@frozen
class Step:
    timestamp_ms: int
    sentence: str


@frozen
class Replay:
    """`differences`: sentences; none means that the history leads to where the update stands."""

    steps: tuple[Step, ...]
    ends_as: UpdateStatus
    differences: tuple[str, ...]


def replay(state: State, policy: Policy, key: UpdateKey) -> Answer:
    require_update_key(key)
    update = state.updates.get(key)
    if update is None:
        return invalid(f"Update does not exist {key}")
    steps = tuple(_steps(update, state.remarks.get(key) or ()))
    ends_as, wrong = _walk(update)
    found = Replay(steps[-MOST_STEPS:], ends_as, (*wrong, *_progress_differs(state, update)))
    left_out = len(steps) - len(found.steps)
    details = (f"{left_out} older steps are left out.",) if left_out else ()
    return Answer(Code.OK, details, found)


def _walk(update: JobUpdate) -> tuple[UpdateStatus, list[str]]:
    """Where the events lead by the table, and where they leave it. An event that may not follow is not followed."""
    first, *rest = update.events
    at, wrong = first.status, []
    if at not in (table.RF, table.RF_AWAITING):
        wrong.append(f"It begins as {at.name}, which no update does.")
    for event in rest:
        if event.status in table.ALLOWED[at]:
            at = event.status
        else:
            wrong.append(f"{at.name} -> {event.status.name} at {event.timestamp_ms} is not in the table.")
    if at is not update.status:
        wrong.append(f"The history leads to {at.name}, the update is {update.status.name}.")
    return at, wrong


def _progress_differs(state: State, update: JobUpdate) -> Iterator[str]:
    """The phases that the instance events show against those that are kept. An instance without events is not shown."""
    if update.status in table.TERMINAL_UPDATE_STATES:
        return
    last: dict[int, InstanceEvent] = {}
    for event in update.instance_events:
        if (event.action in _FORWARD) is not update.is_rolling_back:
            last[event.instance_id] = event
    rows = state.progress.tally(update.key).rows
    for instance, event in last.items():
        shown = _PHASES[event.action]
        kept = rows[instance].phase if instance in rows else Phase.IDLE
        alike = {kept, {Phase.SKIPPED: Phase.FAILED, Phase.AGAIN: Phase.WORKING}.get(kept, kept)}
        if shown not in alike:
            yield f"Instance {instance}: the history says {shown.name}, kept is {kept.name}."


_Row = tuple[int, int, Step]
"""When, in which place among what happened at that instant, and what."""
_DONE, _ROLLS, _BEGUN, _STANDS, _BESIDE = range(5)
"""Of one instant: what was done with instances, an update that rolls because of that, what it begins then, and where it
stands at last. The records do not say it; causes come before what they cause."""


def _steps(update: JobUpdate, remarks: Iterable[Remark]) -> Iterator[Step]:
    """All that is on record in the order of time; what happened to several instances at once is one step."""
    beside = ((one.timestamp_ms, _BESIDE, Step(one.timestamp_ms, _remark_sentence(one))) for one in remarks)
    for _, _, step in merge(_job_steps(update), _instance_steps(update), beside, key=lambda row: row[:2]):
        yield step


def _job_steps(update: JobUpdate) -> Iterator[_Row]:
    events = list(update.events)
    last_rolling = {event.timestamp_ms: n for n, event in enumerate(events) if event.status in table.ROLLING_STATES}
    for n, event in enumerate(events):
        place = _ROLLS if n <= last_rolling.get(event.timestamp_ms, -1) else _STANDS
        yield event.timestamp_ms, place, Step(event.timestamp_ms, _job_sentence(event))


def _instance_steps(update: JobUpdate) -> Iterator[_Row]:
    together: list[InstanceEvent] = []
    for event in update.instance_events:
        if together and _alike(together[-1]) != _alike(event):
            yield _event_step(together)
            together = []
        together.append(event)
    if together:
        yield _event_step(together)


def _alike(event: InstanceEvent) -> tuple[object, ...]:
    return event.timestamp_ms, event.action, event.message


def _event_step(together: list[InstanceEvent]) -> _Row:
    event = together[0]
    ids = named([one.instance_id for one in together])
    what = event.action.name.removeprefix("INSTANCE_")
    plural = "s" if len(together) > 1 else ""
    sentence = f"Instance{plural} {ids}: {what}{f', {event.message}' if event.message else ''}"
    place = _BEGUN if event.action in _BEGINS else _DONE
    return event.timestamp_ms, place, Step(event.timestamp_ms, sentence)


def _remark_sentence(remark: Remark) -> str:
    return f"{remark.message}{f' (by {remark.user})' if remark.user else ''}"


def _job_sentence(event: UpdateEvent) -> str:
    by = f" by {event.user}" if event.user else ""
    return f"{event.status.name}{by}{f': {event.message}' if event.message else ''}"
