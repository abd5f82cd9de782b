"""/scheduler: roles; /scheduler/{role} and /scheduler/{role}/{env}: their jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from scheduler.core.answers import Answer
from scheduler.core.cron.records import CronJob
from scheduler.core.policy import Policy
from scheduler.core.records import JobKey, Task, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.records import JobUpdate
from scheduler.web.pages.people.layout import (
    ELSEWHERE,
    job_path,
    page,
    path,
    section,
    sentence,
    trail,
    update_link,
    utc,
)
from scheduler.web.pages.writing import Link

_WAITS = (TaskStatus.PENDING, TaskStatus.THROTTLED)


def roles(state: State, policy: Policy, cluster: str) -> Answer:
    """Every role that has a job."""
    jobs = Counter([job.role for job in state.tasks.by_job])
    schedules = {role: len(rows) for role, rows in state.cron_jobs.by_role.items()}
    updates = Counter([job.role for job in state.updates.active])
    names = sorted({*jobs, *schedules})
    rows = ((Link(path(role), role), jobs[role], schedules.get(role, 0), updates[role] or "") for role in names)
    nothing = () if names else sentence("There are no jobs yet.")
    columns = ("role", "jobs with tasks", "cron jobs", "updates under way")
    return Answer(result=page(f"Cluster {cluster}".rstrip(), ELSEWHERE, nothing, section("Roles", columns, rows)))


def jobs_of(state: State, policy: Policy, role: str, environment: str | None) -> Answer:
    """The jobs of a role, or of one of its environments. None: there are none."""

    def is_meant(job: JobKey) -> bool:
        return job.role == role and environment in (None, job.environment)

    crons = {key: cron for key, cron in state.cron_jobs.by_role.get(role, {}).items() if is_meant(key)}
    keys = {*filter(is_meant, state.tasks.by_job), *crons, *filter(is_meant, state.updates.by_job)}
    if not keys:
        return Answer()
    found = [
        (
            key,
            list(state.tasks.active.get(key, {}).values()),
            len(state.tasks.by_job.get(key, {})),
            state.updates.active.get(key),
        )
        for key in sorted(keys, key=lambda key: (key.environment, key.name))
    ]
    name = role if environment is None else f"{role}/{environment}"
    way = trail(None, role)[: 1 if environment is None else 2]
    columns = ("job", "running", "waiting", "on their way", "ended", "update")
    schedules = ((_link(key), cron.schedule, _next(state, cron)) for key, cron in sorted(crons.items(), key=_by_name))
    return Answer(
        result=page(
            name,
            way,
            section("Jobs", columns, _rows(found)),
            section("Schedules", ("job", "schedule", "next run (UTC)"), schedules),
        )
    )


def _by_name(pair: tuple[JobKey, CronJob]) -> tuple[str, str]:
    return pair[0].environment, pair[0].name


def _next(state: State, cron: CronJob) -> str:
    at_ms = state.next_cron_runs.get(cron.key)
    return "" if at_ms is None else utc(at_ms)


def _link(job: JobKey) -> Link:
    return Link(job_path(job), f"{job.environment}/{job.name}")


def _rows(found: Iterable[tuple[JobKey, list[Task], int, JobUpdate | None]]) -> Iterator[tuple[object, ...]]:
    for job, active, tasks, update in found:
        counts = Counter([task.status for task in active])
        running, waiting = counts[TaskStatus.RUNNING], sum(counts[status] for status in _WAITS)
        under_way = "" if update is None else update_link(update.key, update.status.name)
        yield _link(job), running, waiting, len(active) - running - waiting, tasks - len(active), under_way
