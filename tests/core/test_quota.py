"""Quota: what is counted in which bucket, what is refused and with which words, and that the sums are right."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from scheduler.core import jobs, quota
from scheduler.core.answers import OK, Answer, Code
from scheduler.core.queries import QuotaReport, SettingsRequest, UpdateRequest
from scheduler.core.quota import PROD_SHARED, Amounts, Bucket, consumption
from scheduler.core.records import (
    Constraint,
    JobConfiguration,
    JobKey,
    Quota,
    Resource,
    ResourceKind,
    TaskConfig,
    ValueConstraint,
)
from scheduler.core.state import State, apply, dump
from scheduler.core.updates import requests
from scheduler.core.updates.records import QueueStrategy, Range
from scheduler.testing.stage import Stage, replayed, service

JOB = JobKey("www", "prod", "web")
OTHER = JobKey("www", "prod", "api")
FULL = Quota(10.0, 1000, 1000)
DEDICATED = Constraint("dedicated", ValueConstraint(False, ["www/db"]))
ALL_THREE = (
    "Insufficient resource quota: CPU quota exceeded by 1.00 core(s); RAM quota exceeded by 100.00 MB; "
    "disk quota exceeded by 100.00 MB"
)


def config(cpus: float = 1.0, ram_mb: int = 100, disk_mb: int = 100, *, job: JobKey = JOB, **more: Any) -> TaskConfig:
    """A production service, unless `tier` says otherwise."""
    wanted = zip(quota.KINDS, (cpus, ram_mb, disk_mb), strict=True)
    resources = tuple(Resource(kind, amount) for kind, amount in wanted)
    return evolve(service(job, "x"), resources=resources, **{"tier": "preferred", **more})


def give(stage: Stage, limit: Quota) -> Answer:
    wanted = (limit.cpus, limit.ram_mb, limit.disk_mb)
    return stage.ask(quota.set_quota, "www", tuple(zip(quota.KINDS, wanted, strict=True)), "root")


def create(stage: Stage, what: TaskConfig, count: int) -> Answer:
    return stage.ask(jobs.create, JobConfiguration(what.job, what, count), "ann")


def update(stage: Stage, what: TaskConfig, count: int, **settings: Any) -> Answer:
    made = SettingsRequest(strategy=QueueStrategy(1), block_if_no_pulses_after_ms=1000, **settings)
    return stage.ask(requests.start, UpdateRequest(what, count, made), "ann", None)


def taken(stage: Stage, which: Bucket = PROD_SHARED) -> tuple[int, int, int]:
    """Whole cores, MB, MB."""
    cpus, ram_mb, disk_mb = consumption(stage.state, "www").get(which, Amounts()).columns()
    return cpus // 1_000_000, ram_mb, disk_mb


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    assert give(stage, FULL) == OK
    return stage


# --- what fits -------------------------------------------------------------------------------------------------------


def test_up_to_the_quota_and_not_beyond(stage: Stage) -> None:
    assert create(stage, config(), 10) == OK
    assert taken(stage) == (10, 1000, 1000)
    refused = create(stage, config(0.5, 1, 1, job=OTHER), 3)
    assert refused.code is Code.INVALID_REQUEST
    assert refused.details == (
        "Insufficient resource quota: CPU quota exceeded by 1.50 core(s); RAM quota exceeded by 3.00 MB; "
        "disk quota exceeded by 3.00 MB",
    )
    assert OTHER not in stage.state.tasks.by_job


def test_only_what_is_missing_is_named(stage: Stage) -> None:
    refused = create(stage, config(1, 600, 1), 2)
    assert refused.details == ("Insufficient resource quota: RAM quota exceeded by 200.00 MB",)


def test_a_role_without_a_quota_may_take_nothing_in_production() -> None:
    stage = Stage()
    assert create(stage, config(), 1).code is Code.INVALID_REQUEST
    assert create(stage, config(tier=None), 1) == OK


@pytest.mark.parametrize(("more", "which"), [
    ({"tier": "preemptible"}, Bucket(False, False)),
    ({"tier": "revocable"}, Bucket(False, False)),
    ({"constraints": (DEDICATED,)}, Bucket(True, True)),
    ({"tier": "preemptible", "constraints": (DEDICATED,)}, Bucket(False, True)),
])  # fmt: skip
def test_what_is_free_is_counted_apart(stage: Stage, more: dict[str, Any], which: Bucket) -> None:
    assert create(stage, config(5, 500, 500, **more), 100) == OK
    assert taken(stage, which) == (500, 50_000, 50_000)
    assert taken(stage) == (0, 0, 0)
    assert create(stage, config(job=OTHER), 10) == OK


def test_pending_tasks_count_and_ended_ones_do_not(stage: Stage) -> None:
    stage.offer(())
    assert create(stage, config(), 10) == OK
    assert taken(stage)[0] == 10
    assert stage.ask(jobs.kill, JOB, (0,), "ann", None) == OK
    assert taken(stage)[0] == 9


def test_added_instances_are_checked(stage: Stage) -> None:
    assert create(stage, config(), 9) == OK
    assert stage.ask(jobs.add, JOB, 0, 2, "ann").details == (ALL_THREE,)
    assert stage.ask(jobs.add, JOB, 0, 1, "ann") == OK


# --- updates ---------------------------------------------------------------------------------------------------------


def test_an_update_counts_by_its_larger_end_until_it_has_ended(stage: Stage) -> None:
    assert create(stage, config(1, 200, 100), 4) == OK
    assert update(stage, config(2, 100, 100), 4).ok
    assert taken(stage) == (8, 800, 400)
    (key,) = stage.state.updates
    assert stage.ask(requests.pause, key, "ann", None) == OK
    assert taken(stage) == (8, 800, 400)
    assert stage.ask(requests.abort, key, "ann", None) == OK
    assert taken(stage) == (4, 800, 400)


def test_an_update_that_would_not_fit_is_refused(stage: Stage) -> None:
    assert create(stage, config(), 4) == OK
    refused = update(stage, config(3, 100, 100), 4)
    assert refused.details == ("Insufficient resource quota: CPU quota exceeded by 2.00 core(s)",)
    assert len(stage.state.updates) == 0


def test_instances_outside_of_the_update_count_as_they_are(stage: Stage) -> None:
    assert create(stage, config(), 4) == OK
    assert update(stage, config(3, 100, 100), 4, update_only_these_instances=(Range(1, 1),)).ok
    assert taken(stage) == (6, 400, 400)


def test_an_update_into_production_counts_the_end_that_is_in_it(stage: Stage) -> None:
    assert create(stage, config(tier="preemptible"), 4) == OK
    assert update(stage, config(2), 4).ok
    assert taken(stage) == (8, 400, 400)
    assert taken(stage, Bucket(False, False)) == (4, 400, 400)


def test_a_new_job_made_by_an_update(stage: Stage) -> None:
    assert update(stage, config(), 11).details == (ALL_THREE,)
    assert update(stage, config(), 10).ok
    assert taken(stage) == (10, 1000, 1000)
    assert create(stage, config(job=OTHER), 1).details == (ALL_THREE,)


def test_a_retried_start_is_told_of_the_first(stage: Stage) -> None:
    """Clients recognise their own request by that, so the quota it has taken already must not stand in its way."""
    assert update(stage, config(), 10).ok
    again = update(stage, config(), 10)
    assert again.code is Code.INVALID_REQUEST
    assert again.result.running is not None


def test_whoever_is_over_quota_may_shrink(stage: Stage) -> None:
    assert create(stage, config(), 10) == OK
    stage.state.replace(stage.state.quotas, "www", Quota(1.0, 1, 1))  # as if the rules had changed
    assert update(stage, config(), 5).ok
    assert taken(stage)[0] == 10


# --- setQuota, getQuota ----------------------------------------------------------------------------------------------

CPUS, RAM, DISK = (ResourceKind.CPUS, 1.0), (ResourceKind.RAM_MB, 1), (ResourceKind.DISK_MB, 1)


@pytest.mark.parametrize(("role", "resources", "code", "sentence"), [
    ("", (CPUS, RAM, DISK), Code.ERROR, "ownerRole may not be blank"),
    ("  ", (CPUS, RAM, DISK), Code.ERROR, "ownerRole may not be blank"),
    ("www", None, Code.ERROR, "quota is missing"),
    ("www", (CPUS, RAM), Code.ERROR, "exactly one numCpus"),
    ("www", (CPUS, RAM, DISK, DISK), Code.ERROR, "exactly one numCpus"),
    ("www", (CPUS, RAM, (ResourceKind.GPUS, 1)), Code.ERROR, "exactly one numCpus"),
    ("www", (CPUS, RAM, (ResourceKind.PORT, 0)), Code.ERROR, "exactly one numCpus"),
    ("a b", (CPUS, RAM, DISK), Code.INVALID_REQUEST, "can own no job"),
    ("www", ((ResourceKind.CPUS, -1.0), RAM, DISK), Code.INVALID_REQUEST, "quota.numCpus is -1.0; it must be 0"),
    ("www", (CPUS, (ResourceKind.RAM_MB, -1), DISK), Code.INVALID_REQUEST, "quota.ramMb is -1"),
    ("www", (CPUS, RAM, (ResourceKind.DISK_MB, -5)), Code.INVALID_REQUEST, "quota.diskMb is -5"),
    ("www", ((ResourceKind.CPUS, 1e300), RAM, DISK), Code.INVALID_REQUEST, "at most 1,000,000,000"),
])  # fmt: skip
def test_what_set_quota_refuses(
    stage: Stage, role: str, resources: quota.Resources | None, code: Code, sentence: str
) -> None:
    answer = stage.ask(quota.set_quota, role, resources, "root")
    assert answer.code is code
    assert sentence in str(answer.details[0])
    assert dict(stage.state.quotas.items()) == {"www": FULL}


def test_a_quota_is_not_set_below_what_is_taken(stage: Stage) -> None:
    assert create(stage, config(), 3) == OK
    assert give(stage, Quota(2.5, 300, 1)).details == (
        "The quota of www may not be less than what its production jobs take: "
        "CPU quota exceeded by 0.50 core(s); disk quota exceeded by 299.00 MB",
    )
    assert give(stage, Quota(3.0, 300, 300)) == OK
    assert "www: quota set by root: 3 CPUs, 300 MB RAM, 300 MB disk" in stage.said()
    assert give(stage, Quota()).code is Code.INVALID_REQUEST


def test_get_quota(stage: Stage) -> None:
    assert create(stage, config(0.5), 3) == OK
    assert create(stage, config(2, 3, 4, job=OTHER, tier=None), 2) == OK
    answer = stage.controller.read(quota.get_quota, "www").answer
    assert answer.result == QuotaReport(FULL, Quota(1.5, 300, 300), Quota(4.0, 6, 8), Quota(), Quota())
    unknown = stage.controller.read(quota.get_quota, "nobody").answer
    assert unknown == Answer(result=QuotaReport(Quota(), Quota(), Quota(), Quota(), Quota()))
    assert stage.controller.read(quota.get_quota, " ").answer.code is Code.ERROR


def test_a_quota_outlives_the_leader_and_stands_in_a_base(stage: Stage) -> None:
    stage.restart()
    assert stage.state.quotas["www"] == FULL
    again = State()
    for op in dump(replayed(stage.log)):
        apply(again, op)
    assert again.quotas["www"] == FULL


# --- sums ------------------------------------------------------------------------------------------------------------

asks = st.tuples(
    st.floats(0.000001, 8, allow_nan=False),
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 4),
    st.sampled_from(["preferred", "preemptible"]),
    st.sampled_from([(), (DEDICATED,)]),
)


def plain_sum(stage: Stage, which: Bucket) -> list[int]:
    sums = [0, 0, 0]
    for task in stage.state.tasks.values():
        if task.is_active and (task.config.production, bool(task.config.constraints)) == which:
            for i, kind in enumerate(quota.KINDS):
                sums[i] += round(task.config.amount(kind) * (1_000_000 if i == 0 else 1))
    return sums


@given(st.lists(asks, max_size=8), st.data())
def test_what_is_taken_is_the_sum_of_what_runs_and_fits(wanted: list[Any], data: st.DataObject) -> None:
    stage = Stage()
    limit = Quota(8.0, 600, 600)
    assert give(stage, limit) == OK
    for number, (cpus, ram_mb, disk_mb, count, tier, constraints) in enumerate(wanted):
        job = JobKey("www", "prod", f"job-{number}")
        create(stage, config(cpus, ram_mb, disk_mb, job=job, tier=tier, constraints=constraints), count)
        if job in stage.state.tasks.active and data.draw(st.booleans()):
            stage.ask(jobs.add, job, 0, data.draw(st.integers(1, 3)), "ann")
        if data.draw(st.booleans()):
            stage.ask(jobs.kill, job, (0,), "ann", None)
    found = consumption(stage.state, "www")
    for which in (Bucket(p, d) for p in (True, False) for d in (True, False)):
        assert list(found.get(which, Amounts()).columns()) == plain_sum(stage, which)
    shared = found.get(PROD_SHARED, Amounts())
    assert all(a <= b for a, b in zip(shared.columns(), quota.limits(limit).columns(), strict=True))
    report = stage.controller.read(quota.get_quota, "www").answer.result
    assert math.isclose(report.prod_shared.cpus * 1_000_000, shared.micro_cpus)


@given(st.lists(st.builds(Amounts, *[st.integers(0, 2**70)] * 3), max_size=6), st.randoms())
def test_sums_are_exact_in_any_order(parts: list[Amounts], random: Any) -> None:
    def summed(some: list[Amounts]) -> Amounts:
        total = Amounts()
        for part in some:
            total = total.plus(part)
        return total

    whole = summed(parts)
    random.shuffle(parts)
    assert summed(parts) == whole
    for part in parts:
        assert whole.larger(part) == whole
        assert whole.plus(part).plus(part, -1) == whole
