"""May this task go? Each rule of SLA policies, by a job whose tasks have been running for known times."""

from __future__ import annotations

import pytest
from attrs import evolve

from scheduler.core import jobs, quota
from scheduler.core.effects import AskCoordinator, ForDrain
from scheduler.core.policy import Policy
from scheduler.core.records import (
    CoordinatorSlaPolicy,
    CountSlaPolicy,
    JobConfiguration,
    JobKey,
    PercentageSlaPolicy,
    SlaPolicy,
    TaskStatus,
)
from scheduler.core.sla.removal import Removals
from scheduler.core.transaction import Clocks, Transaction
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")
FOR_DRAIN = ForDrain("host-1", 0)


def stage_with(running: int, pending: int = 0, *, tier: str = "preferred", policy: Policy | None = None) -> Stage:
    """A job whose first `running` tasks run since 0; it is 60 s later."""
    stage = Stage(policy or Policy(min_required_instances_for_sla_check=4))
    amounts = tuple(zip(quota.KINDS, (100.0, 10_000, 10_000), strict=True))
    stage.ask(quota.set_quota, "www", amounts, "root")
    stage.ask(jobs.create, JobConfiguration(JOB, evolve(service(JOB, "x"), tier=tier), running + pending), "me")
    for instance in range(running):
        stage.run(stage.active(JOB, instance))
    stage.advance(60_000)
    return stage


def why_not(stage: Stage, policy: SlaPolicy, instance: int = 0) -> str | None:
    world = stage.controller.world
    tx = Transaction(stage.state, world, Clocks(stage.clock.wall_ms(), stage.clock.mono_ms()))
    return Removals(tx).objection(stage.active(JOB, instance), policy, FOR_DRAIN)


@pytest.mark.parametrize(("running", "pending", "policy", "may"), [
    (10, 0, PercentageSlaPolicy(90.0, 60), True),
    (10, 0, PercentageSlaPolicy(90.0, 61), False),  # not for long enough
    (9, 1, PercentageSlaPolicy(90.0, 60), False),  # eight without it
    (9, 1, PercentageSlaPolicy(80.0, 60), True),
    (10, 0, PercentageSlaPolicy(100.0, 60), True),  # would let nobody go: lets one go
    (9, 1, PercentageSlaPolicy(100.0, 60), False),
    (10, 0, PercentageSlaPolicy(0.0, 0), True),
    (10, 0, CountSlaPolicy(9, 60), True),
    (9, 1, CountSlaPolicy(9, 60), False),
    (10, 0, CountSlaPolicy(400, 60), True),
    (9, 1, CountSlaPolicy(400, 60), False),
    (3, 0, CountSlaPolicy(3, 60), True),  # too few tasks to be protected
    (4, 0, CountSlaPolicy(4, 61), False),
])  # fmt: skip
def test_a_task_may_go(running: int, pending: int, policy: SlaPolicy, may: bool) -> None:
    assert (why_not(stage_with(running, pending), policy) is None) is may


def test_a_task_that_is_not_running_counts_among_all_and_protects_nobody() -> None:
    stage = stage_with(10)
    policy = PercentageSlaPolicy(90.0, 60)
    stage.report(stage.active(JOB, 9), TaskStatus.PARTITIONED)
    sentence = why_not(stage, policy)
    assert sentence is not None
    assert sentence.startswith("without it 8 of ")
    assert sentence.endswith("9 must")


@pytest.mark.parametrize(("also", "may"), [(False, True), (True, False)])
def test_tasks_of_other_tiers_are_protected_only_if_wished(also: bool, may: bool) -> None:
    policy = Policy(min_required_instances_for_sla_check=4, sla_aware_kill_non_prod=also)
    stage = stage_with(9, 1, tier="preemptible", policy=policy)
    assert (why_not(stage, CountSlaPolicy(9, 60)) is None) is may


def test_who_was_taken_away_stands_for_nobody_and_the_job_is_counted_once() -> None:
    stage = stage_with(8)
    tx = Transaction(stage.state, stage.controller.world, Clocks(stage.clock.wall_ms(), stage.clock.mono_ms()))
    removals = Removals(tx)
    for instance in (0, 1, 2):
        task = stage.active(JOB, instance)
        assert removals.objection(task, CountSlaPolicy(5, 60), FOR_DRAIN) is None
        assert removals.objection(task, CountSlaPolicy(7 - instance, 0), FOR_DRAIN) is None
        removals.took(task)
    task = stage.active(JOB, 3)
    assert removals.objection(task, CountSlaPolicy(5, 60), FOR_DRAIN) is not None
    assert removals.objection(task, CountSlaPolicy(4, 60), FOR_DRAIN) is None


@pytest.mark.parametrize("tier", ["preferred", "preemptible"])
def test_a_coordinator_is_asked_whatever_the_job(tier: str) -> None:
    stage = stage_with(1, tier=tier)
    tx = Transaction(stage.state, stage.controller.world, Clocks(stage.clock.wall_ms(), stage.clock.mono_ms()))
    task, policy = stage.active(JOB, 0), CoordinatorSlaPolicy("http://c.example/", "drain")
    assert Removals(tx).objection(task, policy, FOR_DRAIN) == "its coordinator is asked"
    assert tx.effects == [AskCoordinator(task, policy, FOR_DRAIN)]
    tx.cleared.add(task.task_id)
    assert Removals(tx).objection(task, policy, FOR_DRAIN) is None
    assert len(tx.effects) == 1
