"""Why is it not moving? One answer for every update in every status: who or what holds it, why, and what comes next.

Made when it is read, never stored. `_HOLDERS` has a row for every status; a test sees to it.
Source of the words: `docs/monitors.md`, "Why is it not moving?".
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

import attrs
from attrs import frozen

from scheduler.core import views
from scheduler.core.answers import Answer, invalid
from scheduler.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Policy
from scheduler.core.queries import UpdateDetails, UpdateQuery
from scheduler.core.records import Task, TaskStatus
from scheduler.core.state import State
from scheduler.core.tasks.table import END_ASKED_STATES
from scheduler.core.transaction import Clocks
from scheduler.core.updates import pulses, status as table
from scheduler.core.updates.notes import NO_BEAT, Remark
from scheduler.core.updates.records import JobUpdate, UpdateKey, UpdateStatus
from scheduler.core.updates.standing import pause_of, proceeds_missing, streak_of
from scheduler.core.updates.updater import AUTO_PAUSED
from scheduler.core.validation import require_update_key

MOST_NAMED: Final = 3
"""Instances that a sentence names; the rest are counted."""
ITS_SLA: Final = "kept by its SLA"


class HeldBy(IntEnum):
    """Names and numbers are those of `HeldBy` in `thrift/thesan.thrift`."""

    NOBODY = 0
    NEVER_HEARD = 1
    OVERDUE = 2
    FAILOVER = 3
    MONITOR_WAITS = 4
    PERSON = 5
    AUTO_PAUSE = 6
    INSTANCES = 7
    ENGINE = 8
    STORE = 9
    """Said by whoever has no leader to ask (`rpc/to_thrift/explained.py`): an answer of the core is never about it."""
    ENDED = 10
    STREAK = 11


@frozen
class WaitingInstance:
    """An instance in progress. `status` None: it has no task now."""

    instance: int
    status: TaskStatus | None
    since_ms: int
    reason: str = ""


@frozen
class Holder:
    """Who holds an update. `text` begins a sentence and `next` ends it."""

    held_by: HeldBy
    text: str
    next: str
    since_ms: int
    who: str = ""
    why: str = ""
    until_ms: int = 0


@frozen
class Explanation:
    """`heartbeat_age_ms` -1: this leader has heard none. `until_ms` 0: nobody knows."""

    key: UpdateKey
    status: UpdateStatus
    sentence: str
    holder: Holder
    heartbeat_age_ms: int
    heartbeat_source: str
    heartbeat_link: str
    monitor_url: str
    waiting: tuple[WaitingInstance, ...]
    remarks: tuple[Remark, ...]


@frozen
class _Scene:
    """What one explanation is made from."""

    state: State
    policy: Policy
    clocks: Clocks
    update: JobUpdate
    waiting: tuple[WaitingInstance, ...]

    @property
    def since_ms(self) -> int:
        return self.update.events[-1].timestamp_ms

    def ago(self, at_ms: int) -> str:
        return span(self.clocks.now_ms - at_ms)


def explain(state: State, policy: Policy, clocks: Clocks, key: UpdateKey) -> Answer:
    """Why is it not moving?"""
    require_update_key(key)
    update = state.updates.get(key)
    if update is None:
        return invalid(f"Update does not exist {key}")
    return Answer(result=explained(state, policy, clocks, update))


def details(state: State, policy: Policy, clocks: Clocks, key: UpdateKey | None, query: UpdateQuery | None) -> Answer:
    """What `views.update_details` finds; if one update was asked for, with the sentence as one detail more."""
    answer = views.update_details(state, policy, key, query)
    one = query.key if query is not None else key
    found = answer.result
    if one is None or not isinstance(found, UpdateDetails) or len(found.updates) != 1:
        return answer
    sentence = explained(state, policy, clocks, found.updates[0]).sentence
    return attrs.evolve(answer, details=(*answer.details, sentence))


def explained(state: State, policy: Policy, clocks: Clocks, update: JobUpdate) -> Explanation:
    scene = _Scene(state, policy, clocks, update, _waiting(state, update))
    holder = _HOLDERS[update.status](scene)
    beat = state.beats.get(update.key) or NO_BEAT
    hold = update.notes.hold
    age_ms = pulses.age_ms(state, update, clocks.mono_ms)
    return Explanation(
        update.key,
        update.status,
        _sentence(scene, holder),
        holder,
        -1 if age_ms is None else age_ms,
        beat.source or (hold.source if hold is not None else ""),
        beat.link or (hold.link if hold is not None else ""),
        update.wishes.monitor_url,
        scene.waiting,
        state.remarks.get(update.key) or (),
    )


def span(ms: int) -> str:
    """A length of time as people say it: `850 ms`, `1.5 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if ms < SECOND_MS:
        return f"{max(0, ms)} ms"
    for unit, name, part, part_name in (
        (DAY_MS, "d", HOUR_MS, "h"),
        (HOUR_MS, "h", MINUTE_MS, "min"),
        (MINUTE_MS, "min", SECOND_MS, "s"),
    ):
        if ms >= unit:
            rest = ms % unit // part
            return f"{ms // unit} {name} {rest} {part_name}" if rest else f"{ms // unit} {name}"
    return f"{ms // SECOND_MS} s" if ms >= 10 * SECOND_MS else f"{ms // 100 / 10:g} s"


def _sentence(scene: _Scene, holder: Holder) -> str:
    update, state = scene.update, scene.state
    parts = [f"{holder.text}{f': {holder.why}' if holder.why else ''}", holder.next]
    if update.status in table.ACTIVE_UPDATE_STATES:
        override = update.notes.override
        if override is not None and pulses.is_overridden(update, scene.clocks.now_ms):
            left = span(override.until_ms - scene.clocks.now_ms)
            why = f" ({override.reason})" if override.reason else ""
            parts.append(f"{override.user} answers for it in the monitor's place for another {left}{why}")
        if update.is_coordinated or update.notes.hold is not None:
            parts.append(_heartbeat(state, scene.clocks, update))
        if update.wishes.monitor_url:
            parts.append(f"Its monitor: {update.wishes.monitor_url}")
    return " ".join(part if part.endswith((".", "…")) else f"{part}." for part in parts)


def _heartbeat(state: State, clocks: Clocks, update: JobUpdate) -> str:
    age_ms = pulses.age_ms(state, update, clocks.mono_ms)
    if age_ms is None:
        return "This scheduler has heard no heartbeat of it"
    source = (state.beats.get(update.key) or NO_BEAT).source
    return f"Last heartbeat {span(age_ms)} ago{f' from {source}' if source else ''}"


# --- who holds it ----------------------------------------------------------------------------------------------------


def _ended(scene: _Scene) -> Holder:
    event = scene.update.events[-1]
    name = scene.update.status.name
    by = f" by {event.user}" if event.user else ""
    text = f"It ended {scene.ago(event.timestamp_ms)} ago as {name}{by}"
    return Holder(HeldBy.ENDED, text, "Nothing follows", scene.since_ms, event.user or "", event.message or "")


def _paused(scene: _Scene) -> Holder:
    update = scene.update
    pause = pause_of(update)
    when = f"{scene.ago(pause.since_ms)} ago"
    if not pause.user and pause.reason.startswith(AUTO_PAUSED):
        return Holder(
            HeldBy.AUTO_PAUSE,
            f"It paused itself {when}, after a batch",
            "A person must resume it (resumeJobUpdate)",
            pause.since_ms,
        )
    then = "rolls on" if pulses.is_open(scene.state, update, scene.clocks) else "waits for a heartbeat"
    coming = f"When a person resumes it (resumeJobUpdate), it {then}"
    if pause.until_ms:
        left = span(pause.until_ms - scene.clocks.now_ms)
        coming = f"It resumes by itself in {left}, or when a person resumes it, and then {then}"
    by = pause.user or "the scheduler"
    text = f"It was paused by {by} {when}"
    return Holder(HeldBy.PERSON, text, coming, pause.since_ms, by, pause.reason, pause.until_ms)


def _awaiting(scene: _Scene) -> Holder:
    state, update = scene.state, scene.update
    coming = f"It rolls on after {proceeds_missing(state, scene.clocks, update)} (heartbeat or pulseJobUpdate)"
    hold = update.notes.hold
    streak = streak_of(state, scene.clocks, update)
    if streak:
        said = "once" if streak == 1 else f"{streak} times in a row"
        needed = update.wishes.proceeds_to_resume
        text = f"Its monitor has said PROCEED {said}; {needed} times are asked for after a stop"
        why = f"it had said wait ({hold.reason})" if hold is not None else ""
        since_ms = hold.since_ms if hold is not None else scene.since_ms
        return Holder(HeldBy.STREAK, text, coming, since_ms, (state.beats.get(update.key) or NO_BEAT).source, why)
    if hold is not None:
        beat = state.beats.get(update.key)
        told = beat if beat is not None and beat.said_wait else hold  # what is kept may be a minute older
        who = told.source or "its monitor"
        why = " ".join(filter(None, (told.reason, told.link)))
        text = f"{who[0].upper()}{who[1:]} has said wait for {scene.ago(hold.since_ms)}"
        return Holder(HeldBy.MONITOR_WAITS, text, coming, hold.since_ms, told.source, why)
    missing = pulses.missing(state, update)
    if missing is pulses.Missing.NEVER_HEARD:
        started_ms = update.events[0].timestamp_ms
        text = f"It has waited for its first heartbeat since it was started {scene.ago(started_ms)} ago"
        return Holder(HeldBy.NEVER_HEARD, text, coming, scene.since_ms)
    if missing is pulses.Missing.FAILOVER:
        text = f"It waits for a heartbeat since this scheduler took over {scene.ago(state.led_from_ms)} ago"
        return Holder(HeldBy.FAILOVER, text, coming, scene.since_ms)
    text = f"Its heartbeat is overdue, and nothing has started for {scene.ago(scene.since_ms)}"
    return Holder(HeldBy.OVERDUE, text, coming, scene.since_ms)


def _rolling(scene: _Scene) -> Holder:
    update = scene.update
    if not pulses.is_open(scene.state, update, scene.clocks):
        age_ms = pulses.age_ms(scene.state, update, scene.clocks.mono_ms) or 0
        return Holder(
            HeldBy.OVERDUE,
            "Its heartbeat is overdue, and nothing starts until the next one",
            "It rolls on with the next PROCEED (heartbeat or pulseJobUpdate)",
            scene.clocks.now_ms - max(0, age_ms - update.settings.pulse_timeout_ms),
        )
    direction = "back" if update.is_rolling_back else "forward"
    if not scene.waiting:
        return Holder(HeldBy.NOBODY, f"Nothing holds it: it rolls {direction}", "The next step follows", scene.since_ms)
    since_ms = min(one.since_ms for one in scene.waiting)
    named = "; ".join(_named(scene, one) for one in scene.waiting[:MOST_NAMED])
    more = len(scene.waiting) - MOST_NAMED
    named += f"; and {more} more" if more > 0 else ""
    total = len(scene.waiting)
    what = f"{total} instance{'s' if total > 1 else ''} in progress"
    if all(_is_the_engines(one) for one in scene.waiting):
        homeless = any(one.status is TaskStatus.PENDING for one in scene.waiting) and not scene.state.hosts
        why = "no host is offered" if homeless else ""
        text = f"It rolls {direction} and waits for the engine, {what} ({named})"
        return Holder(HeldBy.ENGINE, text, "It goes on when the engine has done it", since_ms, "the engine", why)
    text = f"It rolls {direction} with {what} ({named})"
    return Holder(
        HeldBy.INSTANCES,
        text,
        "The next group starts when its strategy allows",
        since_ms,
        until_ms=_watched_until(scene),
    )


_HOLDERS: Final[dict[UpdateStatus, Callable[[_Scene], Holder]]] = {
    **dict.fromkeys(table.ROLLING_STATES, _rolling),
    **dict.fromkeys(table.AWAITING_PULSE_STATES, _awaiting),
    **dict.fromkeys(table.PAUSED_STATES, _paused),
    **dict.fromkeys(table.TERMINAL_UPDATE_STATES, _ended),
}


# --- instances -------------------------------------------------------------------------------------------------------


def _waiting(state: State, update: JobUpdate) -> tuple[WaitingInstance, ...]:
    """The instances in progress, those that have waited longest first."""
    active = state.tasks.active.get(update.key.job, {})
    found = [_of(state, update, i, active.get(i)) for i in state.progress.tally(update.key).working]
    found.sort(key=lambda one: (one.since_ms, one.instance))
    return tuple(found)


def _of(state: State, update: JobUpdate, instance: int, task: Task | None) -> WaitingInstance:
    if task is None:
        return WaitingInstance(instance, None, update.events[-1].timestamp_ms)
    reason = (state.pending_reasons.get(task.config) or "") if task.status is TaskStatus.PENDING else ""
    refused = state.sla_refusals.get((update.key, instance))
    if refused is not None:
        reason = f"{ITS_SLA}: {refused.why}"
    return WaitingInstance(instance, task.status, task.latest_event_ms, reason)


def _named(scene: _Scene, one: WaitingInstance) -> str:
    if one.status is None:
        return f"{one.instance} has no task"
    how_long = f"{one.status.name} for {scene.ago(one.since_ms)}"
    watch_ms = scene.update.settings.min_wait_in_instance_running_ms
    if one.status is TaskStatus.RUNNING and not one.reason:
        how_long += f" of {span(watch_ms)}"
    return f"{one.instance} {how_long}{f', {one.reason}' if one.reason else ''}"


def _is_the_engines(one: WaitingInstance) -> bool:
    """Is it the engine's turn: to find a host, to start it, to end it?"""
    return one.status in (TaskStatus.PENDING, TaskStatus.ASSIGNED) or one.status in END_ASKED_STATES


def _watched_until(scene: _Scene) -> int:
    """When the last watch window ends; 0: some instance is not even running."""
    if any(one.status is not TaskStatus.RUNNING or one.reason for one in scene.waiting):
        return 0
    return max(one.since_ms for one in scene.waiting) + scene.update.settings.min_wait_in_instance_running_ms
