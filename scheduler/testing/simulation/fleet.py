"""Hosts on their way out of service, and jobs that push others out: which jobs there may be, and the rules.

Only every fifth seed has them: a cluster that is always short of room leaves little for everything else.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from scheduler.core.policy import Policy
from scheduler.core.records import (
    CountSlaPolicy,
    ExecutorConfig,
    JobConfiguration,
    JobKey,
    PercentageSlaPolicy,
    Resource,
    ResourceKind,
    SlaPolicy,
    TaskConfig,
)
from scheduler.testing.simulation.catalog import JOBS
from scheduler.testing.simulation.crontab import CRON_JOBS, cron_policy_of

ROLE: Final = JOBS[0].role


@frozen
class Rival:
    """A job that others compete with for room: by its tier, by its priority within its role, or by its size alone."""

    job: JobKey
    tier: str
    priority: int
    cpus: float
    most: int
    """Tasks. On hosts that nothing is wrong with there is room for all that go before others."""


_NEXT: Final = len(JOBS) + len(CRON_JOBS)
RIVALS: Final = (
    Rival(JobKey(ROLE, "prod", f"rival-{_NEXT}"), "preferred", 0, 3.0, 6),
    Rival(JobKey(ROLE, "prod", f"rival-{_NEXT + 1}"), "preferred", 5, 5.0, 3),
    Rival(JobKey(ROLE, "prod", f"rival-{_NEXT + 2}"), "preemptible", 10, 2.0, 5),
    Rival(JobKey(ROLE, "prod", f"rival-{_NEXT + 3}"), "preemptible", 0, 2.0, 10),
)
"""Numbered on behind the other jobs: chance is drawn by that number."""
RIVAL_JOBS: Final = frozenset(rival.job for rival in RIVALS)
FIRST_JOBS: Final = frozenset(rival.job for rival in RIVALS if rival.tier == "preferred" or rival.priority)
"""Those that go before others."""
QUOTA: Final = ((ResourceKind.CPUS, 32.0), (ResourceKind.RAM_MB, 10_000.0), (ResourceKind.DISK_MB, 10_000.0))


def has_fleet(seed: int) -> bool:
    return seed % 5 == 4


def policy_of_run(seed: int) -> Policy:
    """The rules of a run. Of the seeds with hosts that come and go every other one protects all jobs from drains;
    in the others updated instances go where they were, and executors take something too."""
    policy = cron_policy_of(seed)
    if not has_fleet(seed):
        return policy
    return evolve(
        policy,
        preemption_delay_ms=3_000,
        preemption_search_interval_ms=2_000,
        offer_reservation_duration_ms=10_000,
        host_maintenance_polling_interval_ms=3_000,
        unavailability_threshold_ms=4_000,
        min_required_instances_for_sla_check=4,
        sla_aware_kill_non_prod=seed % 2 == 0,
        enable_update_affinity=seed % 2 == 1,
        update_affinity_reservation_hold_ms=10_000,
        executor_milli_cpus=100 * (seed % 2),
    )


def rival_job(rival: int, count: int, data: str) -> JobConfiguration:
    """`rival` counts from 0."""
    told = RIVALS[rival]
    config = TaskConfig(
        job=told.job,
        is_service=True,
        executor=ExecutorConfig("AuroraExecutor", data),
        resources=(
            Resource(ResourceKind.CPUS, told.cpus),
            Resource(ResourceKind.RAM_MB, 64),
            Resource(ResourceKind.DISK_MB, 64),
        ),
        max_task_failures=2,
        tier=told.tier,
        priority=told.priority,
        production=told.tier == "preferred",
    )
    return JobConfiguration(told.job, config, count, ROLE)


def sla_policy(kind: str, amount: int, secs: int) -> SlaPolicy:
    return PercentageSlaPolicy(float(amount), secs) if kind == "percentage" else CountSlaPolicy(amount, secs)
