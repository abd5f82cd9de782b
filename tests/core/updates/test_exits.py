"""Which exits an update counts, when one decision tells of several tasks, and exits that nobody follows."""

from __future__ import annotations

from attrs import evolve

from scheduler.core import jobs, takeover
from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.core.updates import requests
from scheduler.core.updates.records import QueueStrategy
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")


def rolling(count: int, *, failures: int = 0, is_service: bool = True) -> Stage:
    """A job that runs, and an update of it, one instance at a time and without a watch window, begun on instance 0."""
    stage = Stage()
    old = evolve(service(JOB, "old"), is_service=is_service)
    assert stage.ask(jobs.create, JobConfiguration(JOB, old, count), "ann").ok
    for instance in range(count):
        stage.run(stage.active(JOB, instance))
    settings = SettingsRequest(strategy=QueueStrategy(1), max_per_instance_failures=failures)
    assert stage.ask(requests.start, UpdateRequest(service(JOB, "new"), count, settings), "ann", None).ok
    return stage


def status(stage: Stage) -> str:
    (update,) = stage.state.updates.values()
    return update.status.name


def roll_back(stage: Stage) -> None:
    (key,) = stage.state.updates
    assert stage.ask(requests.rollback, key, "ann", None).ok


def test_an_exit_before_its_instance_is_taken_up_does_not_count() -> None:
    stage = rolling(3)
    stage.report(stage.active(JOB, 2), TaskStatus.FAILED)
    roll_back(stage)  # 2 comes first and waits for its new task; 1 and 0 are idle
    rows = [
        (stage.active(JOB, 2).task_id, TaskStatus.RUNNING, None, None),
        (stage.active(JOB, 1).task_id, TaskStatus.FAILED, None, None),
    ]
    stage.controller.write(takeover.take_reports, rows)  # 2 is done, 1 is taken up: it had exited before
    stage.settle()
    assert status(stage) == "ROLLING_BACK"
    stage.run(stage.active(JOB, 1))
    stage.report(stage.active(JOB, 0), TaskStatus.KILLED)
    stage.run(stage.active(JOB, 0))
    assert status(stage) == "ROLLED_BACK"


def test_an_exit_after_its_instance_is_taken_up_counts() -> None:
    stage = rolling(3)
    stage.report(stage.active(JOB, 2), TaskStatus.FAILED)
    roll_back(stage)
    stage.report(stage.active(JOB, 2), TaskStatus.FAILED)
    assert status(stage) == "FAILED"


def test_an_instance_that_exits_and_is_not_rescheduled_is_created_again() -> None:
    """The job was no service before: rolling back to it, nobody else would replace what has finished."""
    stage = rolling(1, failures=1, is_service=False)
    roll_back(stage)
    stage.report(stage.active(JOB, 0), TaskStatus.KILLED)
    first = stage.active(JOB, 0)
    stage.report(first, TaskStatus.FINISHED)
    second = stage.active(JOB, 0)
    assert second.task_id != first.task_id
    stage.run(second)
    assert status(stage) == "ROLLED_BACK"
