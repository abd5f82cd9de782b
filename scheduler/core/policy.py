"""The numbers and choices the core decides by. One frozen record, made by `settings.py`, never changed.

Defaults are Aurora's unless a comment says otherwise (source: Aurora's documentation, "Scheduler configuration").
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from scheduler.core.cron.schedule import Schedule
from scheduler.core.records import TaskConfig

SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


def _no_objection(config: TaskConfig) -> str | None:
    return None


def _no_wait(config: TaskConfig) -> int:
    return 0


def _never(schedule: Schedule, after_ms: int) -> int | None:
    return None


@frozen
class Tier:
    """How a class of tasks is treated. Production means neither preemptible nor revocable."""

    name: str
    preemptible: bool
    revocable: bool

    @property
    def production(self) -> bool:
        return not self.preemptible and not self.revocable


class OfferOrder(StrEnum):
    """Which of several hosts with room is taken: any one, or the one with the least left of something."""

    RANDOM = "RANDOM"
    CPU = "CPU"
    MEMORY = "MEMORY"
    DISK = "DISK"


@frozen
class Policy:
    # Jobs
    max_tasks_per_job: int = 4000
    allowed_job_environments: str = r"^(prod|devel|test|staging\d*)$"
    default_tier: str = "preemptible"
    tiers: tuple[Tier, ...] = (
        Tier("preferred", preemptible=False, revocable=False),
        Tier("preemptible", preemptible=True, revocable=False),
        Tier("revocable", preemptible=True, revocable=True),
    )
    executors: tuple[str, ...] = ("AuroraExecutor",)
    allow_gpu_resource: bool = False
    allow_docker: bool = False
    allow_container_volumes: bool = False
    enable_mesos_fetcher: bool = False

    # Tasks
    flapping_task_threshold_ms: int = 5 * MINUTE_MS
    initial_flapping_task_delay_ms: int = 30 * SECOND_MS
    max_flapping_task_delay_ms: int = 5 * MINUTE_MS
    transient_task_state_timeout_ms: int = 5 * MINUTE_MS
    kill_grace_ms: int = 15 * SECOND_MS
    """TERM, then after this long KILL, or after `stop_wait_ms` if that is longer. Aurora only repeats its kill."""
    objection: Callable[[TaskConfig], str | None] = _no_objection
    """Why the engine could not run this, in a sentence; None: it can. Pure; supplied by whoever knows the engine."""
    stop_wait_ms: Callable[[TaskConfig], int] = _no_wait
    """How long the task's own way to end may take. Pure, like `objection`."""
    max_kill_retry_delay_ms: int = 5 * MINUTE_MS
    history_prune_threshold_ms: int = 2 * DAY_MS
    history_min_retention_ms: int = HOUR_MS
    history_max_per_job: int = 100

    # Hosts, and what the engine says of tasks
    host_silence_ms: int = 75 * SECOND_MS
    """How long a host may be silent before its tasks are PARTITIONED: as a Mesos master waits for an agent."""
    reconciliation_initial_delay_ms: int = MINUTE_MS
    """How long a leader has led when state and engine are compared for the second time."""
    reconciliation_explicit_interval_ms: int = HOUR_MS
    reconciliation_implicit_interval_ms: int = HOUR_MS
    reconciliation_schedule_spread_ms: int = 30 * MINUTE_MS
    """How long after the first look for what is missing comes the first look for what is too much."""
    reconciliation_explicit_batch_size: int = 1000

    # Placement
    executor_milli_cpus: int = 0
    executor_ram_mb: int = 0
    """What the executor takes on a host beside each task. Aurora's takes 0.25 CPU and 128 MB."""
    offer_order: OfferOrder = field(default=OfferOrder.RANDOM, converter=OfferOrder)
    max_tasks_per_schedule_attempt: int = 5
    initial_schedule_penalty_ms: int = SECOND_MS
    max_schedule_penalty_ms: int = MINUTE_MS
    offer_static_ban_cache_max_size: int = 1_000_000
    """How many pairs of a host and a set of constraints are known not to go together. Aurora: any number."""
    unavailability_threshold_ms: int = 6 * MINUTE_MS
    """A host that has announced to go away takes no task from so long before."""
    enable_preemptor: bool = True
    preemption_delay_ms: int = 3 * MINUTE_MS
    preemption_search_interval_ms: int = MINUTE_MS
    preemption_reservation_max_batch_size: int = 5
    offer_reservation_duration_ms: int = 3 * MINUTE_MS
    enable_update_affinity: bool = False
    update_affinity_reservation_hold_ms: int = 3 * MINUTE_MS

    # Maintenance and SLA
    host_maintenance_polling_interval_ms: int = MINUTE_MS
    min_required_instances_for_sla_check: int = 20
    max_sla_duration_ms: int = 2 * HOUR_MS
    sla_coordinator_hosts: tuple[str, ...] = ("*",)
    """Where coordinators may be: hosts, `*.` and a name for all below it, `*` for anywhere."""
    sla_aware_kill_non_prod: bool = False
    """Whether tasks that are not of a production tier may have a policy too, and are protected by it."""

    sla_kill_retry_min_delay_ms: int = MINUTE_MS
    """When an update asks again whether it may end a task, at the soonest and at the latest."""
    sla_kill_retry_max_delay_ms: int = 5 * MINUTE_MS

    # Cron
    next_run: Callable[[Schedule, int], int | None] = _never
    """The first run of a schedule after an instant, in milliseconds since 1970. Pure; supplied with the time zone."""
    cron_catch_up: bool = False
    """Whether runs that were due while nobody led are made up for by one. Aurora drops them."""

    # Updates
    max_update_instance_failures: int = 20_000
    pulse_record_grace_ms: int | None = None
    """How long after its timeout a missing heartbeat is recorded. None: 5 % of it, at least 1 s, at most 5 s."""
    infer_heartbeats: bool = False
    """After a failover, take the newest status change for the last heartbeat, as Aurora does, instead of waiting for
    one: for monitors that beat rarely."""
    autopause_after_last_batch: bool = True
    """As Aurora 0.22 did and clients expect; the last source did not."""
    update_history_prune_threshold_ms: int = 30 * DAY_MS
    update_history_per_job: int = 10

    def tier(self, name: str) -> Tier | None:
        return next((tier for tier in self.tiers if tier.name == name), None)

    def grace_ms(self, config: TaskConfig) -> int:
        """From TERM to KILL for a task of this configuration."""
        return max(self.kill_grace_ms, self.stop_wait_ms(config))

    def pulse_grace_ms(self, timeout_ms: int) -> int:
        if self.pulse_record_grace_ms is not None:
            return self.pulse_record_grace_ms
        return min(max(SECOND_MS, timeout_ms // 20), 5 * SECOND_MS)
