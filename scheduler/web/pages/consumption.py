"""/utilization: what active tasks take, by quota's buckets, of the whole cluster, of a role, of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote

from scheduler.core.answers import Answer
from scheduler.core.policy import Policy
from scheduler.core.quota import NOTHING, Amounts, Bucket, amounts, bucket
from scheduler.core.records import TaskConfig
from scheduler.core.state import State
from scheduler.web.pages.writing import Link, table

METRICS: Final[dict[str, tuple[str, Callable[[Bucket], bool]]]] = {
    "total_consumed": ("Total consumption", lambda b: True),
    "dedicated_consumed": ("Dedicated consumption", lambda b: b.dedicated),
    "quota_consumed": ("Quota consumption", lambda b: b.production and not b.dedicated),
    "free_pool_consumed": ("Free pool consumption", lambda b: not b.production and not b.dedicated),
}

_COLUMNS: Final = ("CPUs", "RAM (MB)", "disk (MB)")

Counts = Iterable[tuple[TaskConfig, int]]


def overview(state: State, policy: Policy) -> Answer:
    """One row for each metric."""
    taken = figures(state)
    rows = [(Link(f"/utilization/{name}", title), *_cells(taken[name])) for name, (title, _) in METRICS.items()]
    return Answer(result=table("Utilization", ("metric", *_COLUMNS), rows))


def figures(state: State) -> dict[str, Amounts]:
    """What is taken in the whole cluster, by metric."""
    configs = [pair for jobs in state.tasks.counts.values() for counts in jobs.values() for pair in counts.items()]
    return {metric: _taken(configs, metric) for metric in METRICS}


def by_role(state: State, policy: Policy, metric: str) -> Answer:
    """One row for each role."""
    rows = []
    for role, jobs in sorted(state.tasks.counts.items()):
        taken = _taken((pair for counts in jobs.values() for pair in counts.items()), metric)
        if taken != NOTHING:
            rows.append((Link(f"/utilization/{metric}/{quote(role, safe='')}", role), *_cells(taken)))
    return Answer(result=table(METRICS[metric][0], ("role", *_COLUMNS), rows))


def by_job(state: State, policy: Policy, metric: str, role: str) -> Answer:
    """One row for each job of a role."""
    rows = []
    jobs = state.tasks.counts.get(role, {})
    for job, counts in sorted(jobs.items(), key=lambda pair: (pair[0].environment, pair[0].name)):
        taken = _taken(counts.items(), metric)
        if taken != NOTHING:
            rows.append((f"{job.environment}/{job.name}", *_cells(taken)))
    return Answer(result=table(f"{METRICS[metric][0]} of {role}", ("job", *_COLUMNS), rows))


def _taken(counts: Counts, metric: str) -> Amounts:
    wanted = METRICS[metric][1]
    taken = NOTHING
    for config, count in counts:
        if wanted(bucket(config)):
            taken = taken.plus(amounts(config), count)
    return taken


def _cells(taken: Amounts) -> tuple[str, str, str]:
    return f"{taken.micro_cpus / 1_000_000:g}", str(taken.ram_mb), str(taken.disk_mb)
