"""A heartbeat that comes and goes for long leaves a bounded history."""

from scheduler.core import jobs, views
from scheduler.core.queries import SettingsRequest, UpdateQuery, UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.core.updates import requests
from scheduler.core.updates.folding import LONG
from scheduler.core.updates.records import QueueStrategy, UpdateKey, UpdateStatus
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


def test_what_a_person_does_is_never_folded() -> None:
    stage = Stage()
    key = started(stage)
    come_and_go(stage, key, LONG)
    before = len(stage.state.updates[key].events)

    stage.ask(requests.pause, key, "me", "enough")
    stage.ask(requests.resume, key, "me", None)

    statuses = [event.status for event in stage.state.updates[key].events][before:]
    assert UpdateStatus.ROLL_FORWARD_PAUSED in statuses
