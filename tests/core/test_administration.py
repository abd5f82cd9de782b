"""pruneTasks, forceTaskState and reconciliation by request."""

from __future__ import annotations

import pytest

from scheduler.core import administration, jobs
from scheduler.core.answers import OK, Answer, Code
from scheduler.core.effects import Forget, Reconcile, Terminate
from scheduler.core.policy import Policy
from scheduler.core.queries import TaskQuery
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")


@pytest.fixture
def stage() -> Stage:
    """Instance 0 runs, and was killed twice before; 1 runs; 2 is pending."""
    stage = Stage(Policy(flapping_task_threshold_ms=0))
    assert stage.ask(jobs.create, JobConfiguration(JOB, service(JOB, "x"), 2), "ann") == OK
    for _ in range(2):
        stage.run(stage.active(JOB, 0))
        stage.report(stage.active(JOB, 0), TaskStatus.KILLED)
    stage.run(stage.active(JOB, 0))
    stage.run(stage.active(JOB, 1))
    stage.offer(())
    assert stage.ask(jobs.add, JOB, 1, 1, "ann") == OK
    return stage


def ended(stage: Stage) -> int:
    return sum(not task.is_active for task in stage.state.tasks.values())


def test_prune_takes_ended_tasks_however_young(stage: Stage) -> None:
    assert ended(stage) == 2
    assert stage.ask(administration.prune, TaskQuery(limit=1, offset=5), "root") == OK
    assert ended(stage) == 1
    assert stage.ask(administration.prune, TaskQuery(role="nobody"), "root") == OK
    assert ended(stage) == 1
    assert stage.ask(administration.prune, TaskQuery(statuses=frozenset({TaskStatus.FAILED})), "root") == OK
    assert ended(stage) == 1
    assert stage.ask(administration.prune, TaskQuery(role="www"), "root") == OK
    assert ended(stage) == 0
    assert len(stage.state.tasks) == 3
    assert len([effect for effect in stage.effects if isinstance(effect, Forget)]) == 2


def test_prune_refuses_tasks_that_live(stage: Stage) -> None:
    query = TaskQuery(statuses=frozenset({TaskStatus.KILLED, TaskStatus.RUNNING, TaskStatus.PENDING}))
    assert stage.ask(administration.prune, query, "root") == Answer(
        Code.ERROR, ("Only ended tasks can be pruned; query.statuses has PENDING, RUNNING",)
    )
    assert stage.ask(administration.prune, TaskQuery(statuses=frozenset({TaskStatus.INIT})), "root") == OK


def test_prune_takes_a_bounded_number_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(administration, "MOST_AT_ONCE", 1)
    assert stage.ask(administration.prune, TaskQuery(), "root").details == (
        "1 tasks were pruned and 1 are left: call again",
    )
    assert stage.ask(administration.prune, TaskQuery(), "root") == OK
    assert ended(stage) == 0


@pytest.mark.parametrize(("instance", "status"), [
    (0, TaskStatus.LOST), (0, TaskStatus.FAILED), (1, TaskStatus.KILLED), (1, TaskStatus.FINISHED),
])  # fmt: skip
def test_a_task_that_is_forced_to_an_end_is_killed_and_replaced(
    stage: Stage, instance: int, status: TaskStatus
) -> None:
    task = stage.active(JOB, instance)
    assert stage.ask(administration.force, task.task_id, status, "root") == OK
    assert stage.state.tasks[task.task_id].events[-1].message == "Transition forced by root"
    assert Terminate(task.task_id, hard=True, host=task.host) in stage.effects
    assert stage.active(JOB, instance).ancestor_id == task.task_id


@pytest.mark.parametrize(("instance", "status", "why"), [
    (0, TaskStatus.PENDING, "a task that is RUNNING cannot become PENDING"),
    (0, TaskStatus.RUNNING, "a task that is RUNNING cannot become RUNNING"),
    (0, TaskStatus.INIT, "a task that is RUNNING cannot become INIT"),
    (2, TaskStatus.RUNNING, "a task that is PENDING cannot become RUNNING"),
    (2, TaskStatus.ASSIGNED, "a task is assigned by giving it a host"),
])  # fmt: skip
def test_what_cannot_be_is_ok_and_told(stage: Stage, instance: int, status: TaskStatus, why: str) -> None:
    task = stage.active(JOB, instance)
    answer = stage.ask(administration.force, task.task_id, status, "root")
    assert answer == Answer(details=(f"Nothing was done: {why}",))
    assert stage.active(JOB, instance) is task


def test_force_of_nothing(stage: Stage) -> None:
    assert stage.ask(administration.force, " ", TaskStatus.LOST, "root").code is Code.ERROR
    answer = stage.ask(administration.force, "nobody", TaskStatus.LOST, "root")
    assert answer == Answer(details=("Nothing was done: there is no task nobody",))


def test_reconciliation_is_asked_of_the_engine(stage: Stage) -> None:
    assert stage.ask(administration.reconcile_explicitly, None, "root") == OK
    assert stage.ask(administration.reconcile_explicitly, 100, "root") == OK
    assert stage.ask(administration.reconcile_implicitly, "root") == OK
    assert [effect for effect in stage.effects if isinstance(effect, Reconcile)] == [
        Reconcile(unwanted=False),
        Reconcile(unwanted=False, batch_size=100),
        Reconcile(wanted=False),
    ]
    assert stage.ask(administration.reconcile_explicitly, 0, "root").details == (
        "settings.batchSize is 0; it must be above 0, or unset",
    )
