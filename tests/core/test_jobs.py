"""createJob, killTasks, restartShards, addInstances: order of checks, codes, and what is done."""

from __future__ import annotations

import pytest
from attrs import evolve

from scheduler.core import jobs
from scheduler.core.answers import OK, Answer, Code
from scheduler.core.policy import Policy
from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.core.updates import requests
from scheduler.core.updates.records import QueueStrategy
from scheduler.testing.stage import ROOMY_HOST, Stage, service

JOB = JobKey("www", "prod", "web")
GOOD = JobConfiguration(JOB, service(JOB, "x"), 3)
WRONG_KEY = JobKey("www", "prod", "a b")
LIMIT = "Instance count must be between 1 and 4000 inclusive."


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def running(stage: Stage) -> Stage:
    """Instances 0, 1, 2 run."""
    assert stage.ask(jobs.create, GOOD, "ann") == OK
    for instance in range(3):
        stage.run(stage.active(JOB, instance))
    return stage


def update(stage: Stage) -> None:
    settings = SettingsRequest(strategy=QueueStrategy(1), block_if_no_pulses_after_ms=1000)
    assert stage.ask(requests.start, UpdateRequest(service(JOB, "y"), 3, settings), "ann", None).ok


def statuses(stage: Stage) -> dict[int, str]:
    return {i: task.status.name for i, task in sorted(stage.state.tasks.active.get(JOB, {}).items())}


# --- createJob -------------------------------------------------------------------------------------------------------


def test_create(stage: Stage) -> None:
    stage.offer(())
    assert stage.ask(jobs.create, GOOD, "ann") == OK
    assert statuses(stage) == {0: "PENDING", 1: "PENDING", 2: "PENDING"}
    task = stage.active(JOB, 0)
    assert task.config.tier == "preemptible"
    assert task.config.production is False
    assert stage.active(JOB, 1).config is task.config  # one object, logged once
    assert [event.status.name for event in task.events] == ["PENDING"]


@pytest.mark.parametrize(("job", "sentence"), [
    (evolve(GOOD, task_config=None), "Task configuration may not be null"),
    (evolve(GOOD, instance_count=0), "Instance count must be positive, not 0"),
    (evolve(GOOD, key=None), "The job key is missing: role, environment and name are needed"),
    (evolve(GOOD, key=WRONG_KEY), "The job key's name is 'a b'; allowed are 1 to 255 of"),
    (evolve(GOOD, key=JobKey("www", "production", "web")), "Job environment production doesn't match"),
    (evolve(GOOD, owner_user="a b"), "Job user contains illegal characters: owner.user is 'a b'"),
    (evolve(GOOD, cron_schedule="* * * * *"), "A service task may not be run on a cron schedule"),
    (evolve(GOOD, cron_schedule=""), jobs.NO_CRON),
    (evolve(GOOD, key=JobKey("www", "prod", "api")), "taskConfig.job www/prod/web differs"),
    (evolve(GOOD, instance_count=4001), LIMIT),
])  # fmt: skip
def test_create_refuses(stage: Stage, job: JobConfiguration, sentence: str) -> None:
    answer = stage.ask(jobs.create, job, "ann")
    assert answer.code is Code.INVALID_REQUEST
    assert sentence in str(answer.details[0])
    assert len(stage.state.tasks) == 0
    assert len(stage.state.configs) == 0


def test_a_job_that_exists_is_not_created_again_but_one_that_has_ended_is(running: Stage) -> None:
    answer = running.ask(jobs.create, GOOD, "ann")
    assert answer == Answer(Code.INVALID_REQUEST, ("Job already exists: www/prod/web",))
    assert running.ask(jobs.kill, JOB, (), "ann", None) == OK
    for task in list(running.state.tasks.active[JOB].values()):
        running.report(task, TaskStatus.KILLED)
    assert running.ask(jobs.create, GOOD, "ann") == OK
    assert len(running.state.tasks) == 6


# --- killTasks -------------------------------------------------------------------------------------------------------


def test_kill_some(running: Stage) -> None:
    assert running.ask(jobs.kill, JOB, (0, 2, 77), "ann", "too loud") == OK
    assert statuses(running) == {0: "KILLING", 1: "RUNNING", 2: "KILLING"}
    assert running.active(JOB, 0).events[-1].message == "Killed by ann.\ntoo loud"
    assert len(running.terminated()) == 2


def test_kill_all_and_again(running: Stage) -> None:
    assert running.ask(jobs.kill, JOB, (), "ann", None) == OK
    assert set(statuses(running).values()) == {"KILLING"}
    assert running.active(JOB, 0).events[-1].message == "Killed by ann"
    assert running.ask(jobs.kill, JOB, (), "ann", None) == Answer(Code.OK, (jobs.NO_TASKS_TO_KILL,))
    assert len(running.terminated()) == 3


def test_pending_tasks_just_go(stage: Stage) -> None:
    stage.offer(())
    stage.ask(jobs.create, GOOD, "ann")
    assert stage.ask(jobs.kill, JOB, (1,), "ann", None) == OK
    assert statuses(stage) == {0: "PENDING", 2: "PENDING"}
    assert len(stage.state.tasks) == 2
    assert stage.terminated() == []
    stage.offer((ROOMY_HOST,))
    assert statuses(stage) == {0: "ASSIGNED", 2: "ASSIGNED"}


def test_nothing_to_kill_is_fine_and_told(stage: Stage) -> None:
    assert stage.ask(jobs.kill, JOB, (), "ann", None) == Answer(Code.OK, ("No tasks to kill.",))


# --- restartShards ---------------------------------------------------------------------------------------------------


def test_restart(running: Stage) -> None:
    assert running.ask(jobs.restart, JOB, (2, 0, 0), "ann") == OK
    assert statuses(running) == {0: "RESTARTING", 1: "RUNNING", 2: "RESTARTING"}
    assert running.active(JOB, 0).events[-1].message == "Restarted by ann"
    first = running.active(JOB, 0)
    running.report(first, TaskStatus.KILLED)
    assert running.active(JOB, 0).ancestor_id == first.task_id


def test_restart_of_one_that_is_not_there_restarts_none(running: Stage) -> None:
    assert running.ask(jobs.restart, JOB, (0, 5), "ann").code is Code.INVALID_REQUEST
    assert set(statuses(running).values()) == {"RUNNING"}
    assert running.ask(jobs.restart, JOB, (), "ann").code is Code.ERROR


def test_restart_of_a_pending_task_is_fine_and_does_nothing(stage: Stage) -> None:
    stage.offer(())
    stage.ask(jobs.create, GOOD, "ann")
    assert stage.ask(jobs.restart, JOB, (0,), "ann") == OK
    assert statuses(stage)[0] == "PENDING"


# --- addInstances ----------------------------------------------------------------------------------------------------


def test_add_counts_from_the_highest_and_fills_no_holes(running: Stage) -> None:
    running.ask(jobs.kill, JOB, (0,), "ann", None)
    running.report(running.active(JOB, 0), TaskStatus.KILLED)
    assert running.ask(jobs.add, JOB, 1, 2, "ann") == OK
    assert sorted(statuses(running)) == [1, 2, 3, 4]
    assert running.active(JOB, 4).config is running.active(JOB, 1).config


@pytest.mark.parametrize(("instance", "count", "sentence"), [
    (0, 0, "Instance count must be a positive number, not 0"),
    (0, -1, "Instance count must be a positive number, not -1"),
    (9, 1, "Instance 9 of www/prod/web does not exist"),
    (0, 3998, LIMIT),
])  # fmt: skip
def test_add_refuses(running: Stage, instance: int, count: int, sentence: str) -> None:
    assert running.ask(jobs.add, JOB, instance, count, "ann") == Answer(Code.INVALID_REQUEST, (sentence,))
    assert len(statuses(running)) == 3


def test_add_up_to_the_limit() -> None:
    stage = Stage(Policy(max_tasks_per_job=5))
    stage.ask(jobs.create, GOOD, "ann")
    assert stage.ask(jobs.add, JOB, 0, 2, "ann") == OK
    assert stage.ask(jobs.add, JOB, 0, 1, "ann").code is Code.INVALID_REQUEST


# --- all of them -----------------------------------------------------------------------------------------------------


def test_none_of_them_while_the_job_is_updating(running: Stage) -> None:
    update(running)
    refused = Answer(Code.JOB_UPDATING_ERROR, ("Job is currently updating",))
    assert running.ask(jobs.create, GOOD, "ann") == refused
    assert running.ask(jobs.kill, JOB, (), "ann", None) == refused
    assert running.ask(jobs.restart, JOB, (0,), "ann") == refused
    assert running.ask(jobs.add, JOB, 0, 1, "ann") == refused
    assert set(statuses(running).values()) == {"RUNNING"}


@pytest.mark.parametrize(("job", "sentence"), [
    (None, "The job key is missing: role, environment and name are needed"),
    (JobKey("", "", ""), "The job key is missing: role, environment and name are needed"),
    (JobKey("", "prod", "web"), "The job key has no role: role, environment and name are needed"),
    (WRONG_KEY, "The job key's name is 'a b'; allowed are 1 to 255 of A-Z, a-z, 0-9, _, - and ."),
    (JobKey("www", "prod", "web\n"), "The job key's name is 'web\\n'; allowed are"),
    (JobKey("www", "x" * 256, "web"), f"The job key's environment is '{'x' * 20}'... (256 characters); allowed are"),
])  # fmt: skip
def test_a_key_that_is_none_is_an_error_that_says_why(stage: Stage, job: JobKey | None, sentence: str) -> None:
    for answer in (
        stage.ask(jobs.kill, job, (), "ann", None),
        stage.ask(jobs.restart, job, (0,), "ann"),
        stage.ask(jobs.add, job, 0, 1, "ann"),
    ):
        assert answer.code is Code.ERROR
        assert str(answer.details[0]).startswith(sentence)
