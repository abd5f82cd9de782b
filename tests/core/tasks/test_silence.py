"""Hosts that are not offered any more: their tasks wait as their policies say, and are not given up blindly."""

from __future__ import annotations

from attrs import evolve

from scheduler.core import ops
from scheduler.core.effects import Reconcile
from scheduler.core.jobs import create
from scheduler.core.records import JobConfiguration, JobKey, PartitionPolicy, TaskStatus
from scheduler.testing.stage import ROOMY_HOST, Stage, service

JOB = JobKey("www", "prod", "web")
SILENCE_MS = 75_000
OTHER_HOST = evolve(ROOMY_HOST, name="host-2", agent_id="agent-2")


def running(policy: PartitionPolicy | None = None) -> Stage:
    """Two tasks on host-1, one of them running and one only assigned."""
    stage = Stage()
    config = evolve(service(JOB, "old"), partition_policy=policy)
    assert stage.ask(create, JobConfiguration(JOB, config, 2), "ann").ok
    stage.run(stage.active(JOB, 0))
    return stage


def statuses(stage: Stage) -> list[str]:
    return [stage.active(JOB, i).status.name for i in (0, 1)]


PATIENT = PartitionPolicy(reschedule=False)


def test_a_host_may_be_away_for_a_moment() -> None:
    stage = running(PATIENT)
    stage.offer(())
    stage.advance(SILENCE_MS - 1)
    assert statuses(stage) == ["RUNNING", "ASSIGNED"]
    stage.offer((ROOMY_HOST,))
    stage.advance(SILENCE_MS - 1)
    stage.offer(())
    stage.advance(SILENCE_MS - 1)
    assert statuses(stage) == ["RUNNING", "ASSIGNED"]
    stage.advance(1)
    assert statuses(stage) == ["PARTITIONED", "ASSIGNED"]
    event = stage.active(JOB, 0).events[-1]
    assert event.message == "Host host-1 has not been heard of for 75 s"


def test_what_was_only_assigned_has_a_deadline_of_its_own() -> None:
    stage = running(PATIENT)
    stage.offer(())
    stage.advance(300_000)
    assert statuses(stage) == ["PARTITIONED", "PENDING"]


def test_one_that_is_back_is_asked_how_its_tasks_are() -> None:
    stage = running(PATIENT)
    stage.offer(())
    stage.advance(SILENCE_MS)
    assert Reconcile() not in stage.effects
    stage.offer((ROOMY_HOST,))
    assert stage.effects.count(Reconcile()) == 1
    stage.report(stage.active(JOB, 0), TaskStatus.RUNNING)
    assert statuses(stage) == ["RUNNING", "ASSIGNED"]
    assert stage.active(JOB, 0).times_partitioned == 1
    stage.offer((ROOMY_HOST, OTHER_HOST))
    assert stage.effects.count(Reconcile()) == 1


def test_one_that_was_away_for_a_moment_is_asked_too() -> None:
    """What ended there meanwhile was told to nobody."""
    stage = running(PATIENT)
    stage.offer(())
    stage.advance(1)
    assert Reconcile() not in stage.effects
    stage.offer((ROOMY_HOST,))
    assert stage.effects.count(Reconcile()) == 1


def test_one_that_a_new_leader_hears_of_late_is_asked_too() -> None:
    """The lists it began with said nothing about this host."""
    stage = running(PATIENT)
    stage.hosts = (OTHER_HOST,)
    stage.restart()
    stage.offer((OTHER_HOST, ROOMY_HOST))
    assert stage.effects.count(Reconcile()) == 1


def test_a_leader_waits_for_hosts_it_has_not_heard_of_yet() -> None:
    """It may lead on another machine, whose engine has only that one: nothing is known of what runs elsewhere."""
    stage = running(PATIENT)
    stage.hosts = (OTHER_HOST,)
    stage.restart()
    stage.advance(SILENCE_MS - 1)
    assert statuses(stage) == ["RUNNING", "ASSIGNED"]
    stage.advance(1)
    assert statuses(stage) == ["PARTITIONED", "ASSIGNED"]
    assert stage.terminated() == []


def test_without_a_policy_its_tasks_begin_elsewhere() -> None:
    stage = running()
    first = stage.active(JOB, 0)
    stage.offer((OTHER_HOST,))
    stage.advance(SILENCE_MS)
    assert stage.state.tasks[first.task_id].status is TaskStatus.LOST
    assert stage.active(JOB, 0).host == "host-2"


def test_a_host_with_nothing_on_it_is_no_matter() -> None:
    stage = Stage()
    stage.offer(())
    assert len(stage.controller.deadlines) == 0
    written = len(stage.log)
    stage.advance(10 * SILENCE_MS)
    assert len(stage.log) == written
    assert not any(isinstance(op, ops.MoveTask) for entry in stage.log for op in entry.ops)
