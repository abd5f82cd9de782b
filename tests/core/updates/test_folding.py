"""What comes and goes for long, by a heartbeat or by hand, leaves a bounded history."""

from itertools import pairwise

from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.core import invariants, jobs, views
from scheduler.core.history import History
from scheduler.core.queries import SettingsRequest, UpdateQuery, UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.core.updates import requests, set_aside, status as table
from scheduler.core.updates.folding import (
    LONG,
    LONG_OF_INSTANCES,
    MOST_OF_ONE,
    VERY_LONG,
    with_event,
    with_instance_event,
)
from scheduler.core.updates.records import (
    InstanceAction,
    InstanceEvent,
    Instructions,
    JobUpdate,
    QueueStrategy,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
)
from scheduler.core.updates.set_aside import LEFT_OUT, TAKEN_UP
from scheduler.core.updates.sla_kills import CHECKING, PASSED
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")
TIMEOUT_MS = 10_000
FOREVER_MS = 2_000_000_000
"""The watch window: instance 0 runs, and the update waits."""


def started(stage: Stage) -> UpdateKey:
    stage.ask(jobs.create, JobConfiguration(JOB, service(JOB, "old"), 2), "me")
    for instance in range(2):
        stage.run(stage.active(JOB, instance))
    settings = SettingsRequest(
        strategy=QueueStrategy(1), block_if_no_pulses_after_ms=TIMEOUT_MS, min_wait_in_instance_running_ms=FOREVER_MS
    )
    request = UpdateRequest(service(JOB, "new"), 2, settings)
    key: UpdateKey = stage.ask(requests.start, request, "me", None).result.key
    stage.ask(requests.pulse, key)
    stage.report(stage.active(JOB, 0), TaskStatus.KILLED)
    stage.run(stage.active(JOB, 0))
    stage.advance(2 * TIMEOUT_MS)
    return key


def come_and_go(stage: Stage, key: UpdateKey, times: int) -> None:
    for _ in range(times):
        stage.ask(requests.pulse, key)
        stage.advance(2 * TIMEOUT_MS)


def test_a_short_history_shows_every_pause() -> None:
    stage = Stage()
    key = started(stage)

    come_and_go(stage, key, 10)

    assert len(stage.state.updates[key].events) == 1 + 2 * 11


def test_a_long_history_stops_growing_and_still_tells_the_last_pause() -> None:
    stage = Stage(through_codec=True)
    key = started(stage)

    come_and_go(stage, key, LONG)
    update = stage.state.updates[key]

    assert LONG - 1 <= len(update.events) <= LONG + 1
    assert update.status is UpdateStatus.ROLL_FORWARD_AWAITING_PULSE
    assert stage.clock.wall_ms() - update.last_modified_ms < 2 * TIMEOUT_MS
    (found,) = views.find_updates(stage.state, UpdateQuery(key=key))
    assert found.created_ms == update.events[0].timestamp_ms

    kept = list(update.events)
    stage.restart()
    assert list(stage.state.updates[key].events)[: len(kept)] == kept


def test_what_a_person_does_outlives_a_heartbeat_that_comes_and_goes() -> None:
    stage = Stage()
    key = started(stage)
    come_and_go(stage, key, LONG)
    before = len(stage.state.updates[key].events)

    stage.ask(requests.pause, key, "me", "enough")
    stage.ask(requests.resume, key, "me", None)

    statuses = [event.status for event in stage.state.updates[key].events][before:]
    assert UpdateStatus.ROLL_FORWARD_PAUSED in statuses


def test_a_program_that_pauses_and_resumes_all_day_leaves_a_bounded_history_too() -> None:
    stage = Stage(through_codec=True)
    key = started(stage)
    first = stage.state.updates[key].events[0]
    for times in range(VERY_LONG):
        stage.ask(requests.pause, key, "cron", f"night {times}")
        stage.ask(requests.resume, key, "cron", None)
        if times == LONG // 2 - 10:
            assert len(stage.state.updates[key].events) > 2 * times  # a short history shows all of them

    update = stage.state.updates[key]
    assert len(update.events) <= VERY_LONG + len(update.instance_events)
    assert update.events[0] == first
    assert update.events[-2].message == f"night {VERY_LONG - 1}"
    assert all(after.status in table.ALLOWED[before.status] for before, after in pairwise(update.events))
    kept = list(update.events)
    stage.restart()
    assert list(stage.state.updates[key].events)[: len(kept)] == kept


ACTIVE = sorted(table.ACTIVE_UPDATE_STATES)
NOTHING = Instructions((), None, UpdateSettings(QueueStrategy(1)))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(ACTIVE),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from((None, "ann", "bob"))), min_size=1, max_size=9),
)
def test_whatever_comes_and_goes_in_any_order(first: UpdateStatus, steps: list[tuple[int, str | None]]) -> None:
    """The steps are repeated; each goes to one of the active statuses that may follow."""
    update = JobUpdate(UpdateKey(JOB, "u"), "ann", NOTHING, events=History((UpdateEvent(first, 0),)))
    for at_ms, (step, user) in enumerate(steps * (2 * VERY_LONG // len(steps)), 1):
        may = sorted(table.ALLOWED[update.status] & table.ACTIVE_UPDATE_STATES)
        event = UpdateEvent(may[step % len(may)], at_ms, user)
        update = JobUpdate(update.key, "ann", NOTHING, events=with_event(update, event))
        assert update.events[-1] == event
    assert len(update.events) <= VERY_LONG
    assert update.created_ms == 0
    assert all(after.status in table.ALLOWED[before.status] for before, after in pairwise(update.events))
    assert all(before.timestamp_ms < after.timestamp_ms for before, after in pairwise(update.events))


def test_an_instance_that_is_left_out_and_taken_up_all_day() -> None:
    stage = Stage(through_codec=True)
    key = started(stage)
    shown = {event.instance_id: event for event in stage.state.updates[key].instance_events}
    for times in range(LONG_OF_INSTANCES):
        assert stage.ask(set_aside.skip, key, [1], "cron", f"out {times}").ok
        assert stage.ask(set_aside.retry, key, [1], "cron", f"in {times}").ok

    update = stage.state.updates[key]
    assert len(update.instance_events) <= LONG_OF_INSTANCES
    of_one = [event.message for event in update.instance_events if event.instance_id == 1]
    assert len(of_one) >= MOST_OF_ONE
    assert of_one[-2:] == [f"Left out by cron: out {times}", f"Taken up again by cron: in {times}"]
    assert shown[0] in update.instance_events  # nothing of the others is lost
    kept = list(update.instance_events)
    stage.restart()
    assert list(stage.state.updates[key].instance_events)[: len(kept)] == kept


def test_what_gave_way_of_an_instance_breaks_no_invariant() -> None:
    """Also where an SLA check begins with what gave way; where nothing did, one that passes unasked is seen."""
    updating, stage = InstanceAction.INSTANCE_UPDATING, Stage()
    key = started(stage)
    update = evolve(stage.state.updates[key], instance_events=History())
    first: set[str | None] = set()
    for at_ms, said in enumerate((CHECKING, PASSED, PASSED, LEFT_OUT, TAKEN_UP) * (LONG_OF_INSTANCES // 2)):
        event = InstanceEvent(1, at_ms, updating, said)
        update = evolve(update, instance_events=with_instance_event(update, event))
        stage.state.replace(stage.state.updates, key, update)
        assert invariants.broken(stage.state) == []
        first.add(update.instance_events[0].message)
    assert PASSED in first

    unasked = History((InstanceEvent(1, 0, updating, PASSED),))
    stage.state.replace(stage.state.updates, key, evolve(update, instance_events=unasked))
    assert len(invariants.broken(stage.state)) == 1
