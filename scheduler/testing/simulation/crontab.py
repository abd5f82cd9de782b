"""Cron jobs of a run: which there may be, and a calendar that goes twelve times as fast, so that a run sees many days.

Only every third seed has cron jobs: their many small runs would take the place of everything else.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

from attrs import evolve

from scheduler import cron_times
from scheduler.core.cron.schedule import Schedule
from scheduler.core.policy import Policy
from scheduler.core.records import ExecutorConfig, JobConfiguration, JobKey, TaskConfig
from scheduler.testing.simulation.catalog import JOBS, RESOURCES, policy_of

HASTE: Final = 12
EVERY_MS: Final = {"* * * * *": 5_000, "*/3 * * * *": 15_000, "*/10 * * * *": 50_000}
"""Schedules, and how far their instants lie apart here. All of them are multiples of it since 1970."""
CRON_JOBS: Final = tuple(JobKey("www", "prod", f"cron-{len(JOBS) + i}") for i in range(2))
"""Numbered on behind the other jobs: chance is drawn by that number."""


def has_cron(seed: int) -> bool:
    return seed % 3 == 2


def cron_policy_of(seed: int) -> Policy:
    """The rules of a run. Of the seeds with cron jobs every other one makes up for what nobody led for."""
    return evolve(policy_of(seed), next_run=next_run, cron_catch_up=has_cron(seed) and seed % 2 == 1)


def next_run(schedule: Schedule, after_ms: int) -> int | None:
    """The production rule, in a calendar in which an hour takes five minutes."""
    found = cron_times.next_run(schedule, after_ms * HASTE, UTC)
    return None if found is None else found // HASTE


def template(cron: int, data: str, schedule: str, count: int, policy: int) -> JobConfiguration:
    """`cron` counts from 0; `policy` is Aurora's number."""
    job = CRON_JOBS[cron]
    config = TaskConfig(
        job=job, executor=ExecutorConfig("AuroraExecutor", data), resources=RESOURCES, max_task_failures=2
    )
    return JobConfiguration(job, config, count, "www", schedule, policy)


def instants(schedule: str, after_ms: int, until_ms: int) -> range:
    """Those of a schedule behind `after_ms`, up to and with `until_ms`; worked out apart from the core."""
    every_ms = EVERY_MS[schedule]
    return range((after_ms // every_ms + 1) * every_ms, until_ms + 1, every_ms)
