"""Maintenance beside what the transcripts tell: placement, announcements, what is kept, many hosts at once."""

from __future__ import annotations

from typing import Final

import pytest
from attrs import evolve

from scheduler.core import jobs, ops
from scheduler.core.answers import Answer, Code
from scheduler.core.maintenance import requests
from scheduler.core.policy import Policy
from scheduler.core.queries import HostModes
from scheduler.core.records import (
    CoordinatorSlaPolicy,
    Host,
    JobConfiguration,
    JobKey,
    MaintenanceMode,
    PercentageSlaPolicy,
    TaskStatus,
)
from scheduler.core.state import State, apply, dump
from scheduler.core.tasks.table import END_ASKED_STATES
from scheduler.testing.snapshot import logged
from scheduler.testing.stage import ROOMY_HOST, Stage, replayed, service

JOB = JobKey("www", "prod", "web")
NONE, SCHEDULED, DRAINING, DRAINED = MaintenanceMode


def host(name: str, cpus: float = 4) -> Host:
    return evolve(ROOMY_HOST, name=name, agent_id=f"agent-{name}", cpus=cpus)


def stage_of(*hosts: Host, tasks: int = 0) -> Stage:
    stage = Stage(Policy(offer_order="CPU", flapping_task_threshold_ms=0, sla_aware_kill_non_prod=True))
    stage.offer(hosts)
    if tasks:
        stage.ask(jobs.create, JobConfiguration(JOB, service(JOB, "x"), tasks), "me")
        obey(stage)
    return stage


def obey(stage: Stage) -> None:
    """The engine does what it was told, until nothing is left to do."""
    for _ in range(50):
        waiting = [task for task in stage.state.tasks.active.get(JOB, {}).values() if task.host is not None]
        for task in waiting:
            if task.status is TaskStatus.ASSIGNED:
                stage.run(task)
            elif task.status in END_ASKED_STATES:
                stage.report(task, TaskStatus.KILLED)


def modes(answer: Answer) -> dict[str, MaintenanceMode]:
    assert isinstance(answer.result, HostModes)
    return dict(answer.result.modes)


def on(stage: Stage, name: str) -> int:
    return sum(task.host == name for task in stage.state.tasks.active.get(JOB, {}).values())


def test_nothing_new_comes_to_a_host_that_drains() -> None:
    stage = stage_of(host("a"), tasks=2)
    stage.ask(requests.drain, ["a"], "me")
    obey(stage)
    assert on(stage, "a") == 0
    assert {task.status for task in stage.state.tasks.active[JOB].values()} == {TaskStatus.PENDING}
    stage.ask(requests.end, ["a"], "me")
    assert on(stage, "a") == 2


def test_a_host_that_goes_and_comes_back_keeps_its_mode() -> None:
    stage = stage_of(host("a"), host("b"))
    stage.ask(requests.start, ["a"], "me")
    stage.offer((host("b"),))
    assert modes(stage.controller.read(requests.status, ["a", "b"]).answer) == {"a": SCHEDULED, "b": NONE}
    stage.restart()
    stage.offer((host("a"), host("b")))
    assert stage.state.hosts["a"].mode is SCHEDULED
    stage.ask(requests.end, ["a"], "me")
    assert stage.state.hosts["a"].mode is NONE


def test_who_is_unknown_is_left_out_and_nothing_is_kept() -> None:
    stage = stage_of(host("a"))
    policy = PercentageSlaPolicy(95.0, 0)
    before = len(stage.log)
    for answer in (
        stage.ask(requests.start, ["x"], "me"),
        stage.ask(requests.drain, ["x"], "me"),
        stage.ask(requests.sla_drain, ["x"], policy, 60, "me"),
        stage.ask(requests.end, ["x", "a"], "me"),
    ):
        assert "x" not in modes(answer)
    assert len(stage.log) == before


def test_a_drain_that_makes_no_sense_is_refused() -> None:
    stage = stage_of(host("a"))
    for policy, timeout_secs, said in (
        (PercentageSlaPolicy(95.0, 0), None, "timeoutSecs is None"),
        (PercentageSlaPolicy(95.0, 0), -1, "timeoutSecs is -1"),
        (PercentageSlaPolicy(950.0, 0), 1, "defaultSlaPolicy: percentage is 950"),
        (CoordinatorSlaPolicy("ftp://x", "drain"), 1, "defaultSlaPolicy: coordinatorUrl is 'ftp://x'"),
    ):
        answer = stage.ask(requests.sla_drain, ["a"], policy, timeout_secs, "me")
        assert answer.code is Code.INVALID_REQUEST
        assert str(answer.details[0]).startswith(said)
    assert not len(stage.state.maintenance)


def test_a_host_that_announces_to_go_away_is_emptied_before() -> None:
    stage = stage_of(host("a"), tasks=2)
    stage.offer((evolve(host("a"), unavailable_from_ms=20 * 60_000), host("b")))
    stage.advance(14 * 60_000 - 1)
    assert on(stage, "a") == 2
    stage.advance(1)
    obey(stage)
    assert (on(stage, "a"), on(stage, "b")) == (0, 2)
    assert not len(stage.state.maintenance)


HALF_AN_HOUR: Final = PercentageSlaPolicy(95.0, 1800)
"""Until they have been running for so long, it lets none of twenty tasks go."""


def kept_by_sla(leaves_min: int, *, timeout_secs: int) -> Stage:
    """Host a drains, which its tasks' SLA does not allow, and has announced that it will go away."""
    stage = stage_of(host("a", cpus=100), tasks=20)
    stage.offer((evolve(host("a", cpus=100), unavailable_from_ms=leaves_min * 60_000), host("b", cpus=100)))
    stage.ask(requests.sla_drain, ["a"], HALF_AN_HOUR, timeout_secs, "me")
    return stage


def test_a_drain_of_a_host_that_leaves_later_is_forced_by_the_next_leader() -> None:
    stage = kept_by_sla(24 * 60, timeout_secs=300)
    stage.restart()
    stage.advance(5 * 60_000)
    obey(stage)
    assert (on(stage, "a"), on(stage, "b")) == (0, 20)
    assert modes(stage.controller.read(requests.status, ["a"]).answer) == {"a": DRAINED}


def test_a_host_that_drains_is_left_in_time_whatever_the_sla() -> None:
    stage = kept_by_sla(20, timeout_secs=86_400)
    stage.advance(14 * 60_000 - 1)
    obey(stage)
    assert on(stage, "a") == 20
    stage.advance(1)
    obey(stage)
    assert (on(stage, "a"), on(stage, "b")) == (0, 20)
    assert modes(stage.controller.read(requests.status, ["a"]).answer) == {"a": DRAINED}


def test_an_announcement_outlives_maintenance() -> None:
    stage = kept_by_sla(20, timeout_secs=86_400)
    stage.ask(requests.end, ["a"], "me")
    stage.advance(14 * 60_000 - 1)
    assert on(stage, "a") == 20
    stage.advance(1)
    obey(stage)
    assert (on(stage, "a"), on(stage, "b")) == (0, 20)


def test_of_very_many_tasks_the_rest_follow_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_TASKS_AT_ONCE", 50)
    names = [f"h{i}" for i in range(12)]
    stage = stage_of(*(host(name, cpus=10) for name in names), tasks=120)
    answer = stage.controller.write(requests.drain, names, "me").answer
    assert set(modes(answer).values()) == {DRAINING}
    going = len(stage.state.tasks.by_status[TaskStatus.DRAINING])
    assert 50 <= going < 120
    stage.settle()
    assert len(stage.state.tasks.by_status[TaskStatus.DRAINING]) == 120


def test_modes_are_in_the_log_and_in_a_base() -> None:
    stage = stage_of(host("a"), host("b"), host("c"), tasks=2)
    stage.ask(requests.start, ["a"], "me")
    stage.ask(requests.sla_drain, ["b", "c"], PercentageSlaPolicy(95.0, 60), 600, "me")
    assert len(stage.state.maintenance) == 3
    rebuilt = State()
    for op in dump(stage.state):
        apply(rebuilt, op)
    assert logged(rebuilt) == logged(stage.state) == logged(replayed(stage.log))


def test_an_older_scheduler_is_not_told_what_it_cannot_read() -> None:
    stage = stage_of(host("a"))
    stage.controller.world = evolve(stage.controller.world, format_level=1)
    answer = stage.ask(requests.start, ["a"], "me")
    assert answer.code is Code.ERROR
    assert "finish the upgrade first" in str(answer.details[0])
    assert ops.SINCE[ops.SaveMaintenance] == 2
