"""What clients ask for: queries, update requests, and the records their answers are made of.

A field that is None or empty restricts nothing. Source: Aurora's interface, `TaskQuery` and `JobUpdateQuery`.
"""

from __future__ import annotations

from attrs import frozen

from scheduler.core.cron.records import Runs
from scheduler.core.records import (
    JobConfiguration,
    JobKey,
    MaintenanceMode,
    Metadata,
    Quota,
    Task,
    TaskConfig,
    TaskStatus,
)
from scheduler.core.updates.records import JobUpdate, Range, Strategy, UpdateKey, UpdateStatus


@frozen
class TaskQuery:
    role: str | None = None
    environment: str | None = None
    job_name: str | None = None
    task_ids: frozenset[str] = frozenset()
    statuses: frozenset[TaskStatus] = frozenset()
    instance_ids: frozenset[int] = frozenset()
    hosts: frozenset[str] = frozenset()
    job_keys: frozenset[JobKey] = frozenset()
    offset: int = 0
    limit: int = 0


@frozen
class UpdateQuery:
    role: str | None = None
    job: JobKey | None = None
    key: UpdateKey | None = None
    user: str | None = None
    statuses: frozenset[UpdateStatus] = frozenset()
    offset: int = 0
    limit: int = 0


@frozen
class SettingsRequest:
    """Update settings as the client sent them, before any check. `strategy` None: derived from the old fields.

    `strategy_unknown` says that the union was there with no branch this server knows.
    """

    update_group_size: int = 0
    max_per_instance_failures: int = 0
    max_failed_instances: int = 0
    min_wait_in_instance_running_ms: int = 0
    rollback_on_failure: bool = False
    update_only_these_instances: tuple[Range, ...] = ()
    wait_for_batch_completion: bool = False
    block_if_no_pulses_after_ms: int | None = None
    sla_aware: bool | None = None
    strategy: Strategy | None = None
    strategy_unknown: bool = False


@frozen
class UpdateRequest:
    task_config: TaskConfig | None
    instance_count: int
    settings: SettingsRequest | None
    metadata: tuple[Metadata, ...] = ()


# --- results ---------------------------------------------------------------------------------------------------------


@frozen
class Tasks:
    """`with_data` False: the executor's data is left out (`getTasksWithoutConfigs`)."""

    tasks: tuple[Task, ...]
    with_data: bool = True


@frozen
class StagedTasks:
    """Tasks of a backup that is staged."""

    tasks: tuple[Task, ...]


@frozen
class Backups:
    ids: tuple[str, ...]


@frozen
class JobStats:
    active: int = 0
    finished: int = 0
    failed: int = 0
    pending: int = 0


@frozen
class JobSummary:
    job: JobConfiguration
    stats: JobStats
    next_cron_run_ms: int | None = None


@frozen
class JobSummaries:
    summaries: tuple[JobSummary, ...]


@frozen
class Jobs:
    configs: tuple[JobConfiguration, ...]


@frozen
class RoleSummary:
    role: str
    job_count: int
    cron_job_count: int


@frozen
class RoleSummaries:
    summaries: tuple[RoleSummary, ...]


@frozen
class ConfigGroup:
    config: TaskConfig
    instances: tuple[Range, ...]


@frozen
class ConfigSummary:
    key: JobKey
    groups: tuple[ConfigGroup, ...]


@frozen
class PendingReason:
    task_id: str
    reason: str


@frozen
class PendingReasons:
    reasons: tuple[PendingReason, ...]


@frozen
class PopulatedConfig:
    task_config: TaskConfig


@frozen
class QuotaReport:
    """A role's quota, and what its jobs take: production or not, on hosts that all share or on dedicated ones."""

    quota: Quota
    prod_shared: Quota
    non_prod_shared: Quota
    prod_dedicated: Quota
    non_prod_dedicated: Quota


@frozen
class HostModes:
    """Hosts and their modes: what maintenanceStatus answers."""

    modes: tuple[tuple[str, MaintenanceMode], ...]


@frozen
class MaintenanceStarted(HostModes):
    """What startMaintenance answers."""


@frozen
class MaintenanceEnded(HostModes):
    """What endMaintenance answers."""


@frozen
class HostsDrained(HostModes):
    """What drainHosts and slaDrainHosts answer."""


@frozen
class CronReport:
    """A cron job, where its runs stand, and when the next one is due; None: never, or nobody has looked yet."""

    job: JobConfiguration
    runs: Runs
    next_run_ms: int | None


@frozen
class TierConfigs:
    """`tiers`: name and whether it is preemptible and revocable."""

    default: str
    tiers: tuple[tuple[str, bool, bool], ...]


@frozen
class StartedUpdate:
    """`running` is the update that is already there; None when this call started one (its summary has no state)."""

    key: UpdateKey
    user: str
    metadata: tuple[Metadata, ...]
    running: JobUpdate | None = None


@frozen
class UpdateSummaries:
    updates: tuple[JobUpdate, ...]


@frozen
class UpdateDetails:
    """`single`: the answer to the deprecated `key` argument, which fills `details` instead of `detailsList`."""

    updates: tuple[JobUpdate, ...]
    single: bool = False


@frozen
class UpdateDiff:
    add: tuple[ConfigGroup, ...]
    remove: tuple[ConfigGroup, ...]
    update: tuple[ConfigGroup, ...]
    unchanged: tuple[ConfigGroup, ...]


@frozen
class PulseAnswer:
    """`finished`: the monitor may stop (Aurora's FINISHED); otherwise OK."""

    finished: bool
