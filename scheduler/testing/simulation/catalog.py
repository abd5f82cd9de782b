"""What is asked of the scheduler in a run: jobs, configurations, settings."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from attrs import evolve

from scheduler.core.policy import MINUTE_MS, Policy
from scheduler.core.queries import SettingsRequest
from scheduler.core.records import ExecutorConfig, JobKey, PartitionPolicy, Resource, ResourceKind, TaskConfig
from scheduler.core.updates.records import BatchStrategy, QueueStrategy, Range, Strategy, VariableBatchStrategy

JOBS: Final = tuple(JobKey("www", "prod", f"job-{i}") for i in range(5))
INSTANCES: Final = 10
_PARTITION_POLICIES: Final = (
    None,
    PartitionPolicy(reschedule=True, delay_secs=2),
    PartitionPolicy(reschedule=True, delay_secs=60),
    PartitionPolicy(reschedule=False),
    None,
)
RESOURCES: Final = (
    Resource(ResourceKind.CPUS, 1.0),
    Resource(ResourceKind.RAM_MB, 64),
    Resource(ResourceKind.DISK_MB, 64),
)
PORT: Final = Resource(ResourceKind.PORT, "http")

POLICY: Final = Policy(
    max_tasks_per_job=12,
    flapping_task_threshold_ms=5_000,
    initial_flapping_task_delay_ms=1_000,
    max_flapping_task_delay_ms=6_000,
    transient_task_state_timeout_ms=20_000,
    kill_grace_ms=4_000,
    max_kill_retry_delay_ms=10_000,
    host_silence_ms=7_000,
    history_prune_threshold_ms=5 * MINUTE_MS,
    history_min_retention_ms=20_000,
    history_max_per_job=15,
    update_history_per_job=3,
)
"""The production rules, with shorter times, so that more happens in a run."""
_POLICIES: Final = (
    POLICY,
    POLICY,
    evolve(POLICY, infer_heartbeats=True),
    evolve(POLICY, autopause_after_last_batch=False),
)


def policy_of(seed: int) -> Policy:
    """Most runs have the default rules; some those that can be chosen instead."""
    return _POLICIES[seed % len(_POLICIES)]


def config(job: int, data: str, *, is_service: bool = True) -> TaskConfig:
    """Jobs with an odd number use a port. Data with "bad" in it makes most tasks exit soon."""
    return TaskConfig(
        job=JOBS[job],
        is_service=is_service,
        executor=ExecutorConfig("AuroraExecutor", data),
        resources=(*RESOURCES, PORT) if job % 2 else RESOURCES,
        max_task_failures=2,
        partition_policy=_PARTITION_POLICIES[job],
    )


def random_settings(random: Random) -> dict[str, Any]:
    """Settings in a form that a script can hold; `settings` makes the request of it."""
    kind = random.choice(("queue", "queue", "batch", "variable", "old"))
    told: dict[str, Any] = {
        "kind": kind,
        "sizes": [random.randint(1, 4) for _ in range(random.randint(1, 3) if kind == "variable" else 1)],
        "autopause": kind in ("batch", "variable") and random.random() < 0.4,
        "per_instance": random.choice((0, 1, 1, 2)),
        "failed": random.choice((0, 0, 1, 2)),
        "watch_ms": random.choice((0, 1_000, 2_000, 4_000)),
        "rollback": random.random() < 0.6,
        "timeout_ms": random.choice((None, None, 1_000, 2_000, 3_000, 5_000)),
    }
    if random.random() < 0.15:
        first = random.randint(0, 5)
        told["scope"] = [first, first + random.randint(0, 4)]
    wishes = random_wishes(random, told["timeout_ms"])
    if wishes:
        told["wishes"] = wishes
    return told


def random_wishes(random: Random, timeout_ms: int | None) -> dict[str, str]:
    """Metadata without its prefix. Several PROCEEDs in a row need a timeout longer than a monitor's interval."""
    wishes = {}
    if timeout_ms != 1_000 and random.random() < 0.3:
        wishes["proceeds_to_resume"] = random.choice(("2", "3"))
    if random.random() < 0.3:
        wishes["rollback_gate"] = "open"
    if random.random() < 0.25:
        wishes["progress_deadline"] = random.choice(("5s", "8s", "15s"))
        wishes["progress_action"] = random.choice(("pause", "fail", "roll_back"))
    return wishes


def settings(told: dict[str, Any]) -> SettingsRequest:
    sizes, kind = told["sizes"], told["kind"]
    strategies: dict[str, Strategy] = {
        "queue": QueueStrategy(sizes[0]),
        "batch": BatchStrategy(sizes[0], told["autopause"]),
        "variable": VariableBatchStrategy(tuple(sizes), told["autopause"]),
    }
    scope = (Range(*told["scope"]),) if "scope" in told else ()
    return SettingsRequest(
        update_group_size=sizes[0] if kind == "old" else 0,
        wait_for_batch_completion=kind == "old" and sizes[0] % 2 == 0,
        max_per_instance_failures=told["per_instance"],
        max_failed_instances=told["failed"],
        min_wait_in_instance_running_ms=told["watch_ms"],
        rollback_on_failure=told["rollback"],
        update_only_these_instances=scope,
        block_if_no_pulses_after_ms=told["timeout_ms"],
        strategy=strategies.get(kind),  # "old": derived from the deprecated fields
    )
