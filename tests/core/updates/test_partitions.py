"""An update and hosts that fall silent, when the configuration has patience with them."""

from __future__ import annotations

from attrs import evolve

from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.records import JobKey, PartitionPolicy, TaskStatus
from scheduler.core.updates import requests
from scheduler.core.updates.records import QueueStrategy
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")


def rolling(*, failures: int = 0) -> Stage:
    """An update whose first instance runs since 0 and is watched for 5 s; a minute of patience with its host."""
    stage = Stage()
    config = evolve(service(JOB, "new"), partition_policy=PartitionPolicy(reschedule=True, delay_secs=60))
    settings = SettingsRequest(
        strategy=QueueStrategy(1), min_wait_in_instance_running_ms=5000, max_per_instance_failures=failures
    )
    assert stage.ask(requests.start, UpdateRequest(config, 1, settings), "ann", None).ok
    stage.run(stage.active(JOB, 0))
    return stage


def status(stage: Stage) -> str:
    (update,) = stage.state.updates.values()
    return update.status.name


def test_it_waits_and_watches_anew_when_the_host_is_back() -> None:
    stage = rolling()
    stage.advance(3000)
    stage.report(stage.active(JOB, 0), TaskStatus.PARTITIONED)
    stage.advance(50_000)
    assert status(stage) == "ROLLING_FORWARD"
    stage.report(stage.active(JOB, 0), TaskStatus.RUNNING)
    stage.advance(4999)
    assert status(stage) == "ROLLING_FORWARD"
    stage.advance(1)
    assert status(stage) == "ROLLED_FORWARD"


def test_a_host_that_stays_away_is_a_failure() -> None:
    stage = rolling()
    stage.report(stage.active(JOB, 0), TaskStatus.PARTITIONED)
    stage.advance(59_999)
    assert status(stage) == "ROLLING_FORWARD"
    stage.advance(1)
    assert status(stage) == "FAILED"  # rollbackOnFailure is off unless it is asked for


def test_what_ends_while_its_host_is_silent_is_created_again() -> None:
    """The task machine replaces nothing on that edge, not even a service; the update would wait for ever."""
    stage = rolling(failures=1)
    first = stage.active(JOB, 0)
    stage.report(first, TaskStatus.PARTITIONED)
    stage.report(first, TaskStatus.FINISHED)
    assert stage.active(JOB, 0).task_id != first.task_id
    assert stage.active(JOB, 0).ancestor_id is None
    stage.run(stage.active(JOB, 0))
    stage.advance(5000)
    assert status(stage) == "ROLLED_FORWARD"
