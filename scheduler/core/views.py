"""What clients read: pure functions of the state. None of them changes anything.

Source: Aurora's interface; which tasks a query finds: `docs/compatibility.md`, "Queries".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from scheduler.core.answers import Answer, Code, Refused, error, invalid
from scheduler.core.cron.records import CronJob
from scheduler.core.jobs import NO_CRON_DIFF, refuse_cron
from scheduler.core.placement.explaining import NO_HOSTS
from scheduler.core.policy import Policy
from scheduler.core.queries import (
    ConfigGroup,
    ConfigSummary,
    Jobs,
    JobStats,
    JobSummaries,
    JobSummary,
    PendingReason,
    PendingReasons,
    PopulatedConfig,
    RoleSummaries,
    RoleSummary,
    TaskQuery,
    Tasks,
    TierConfigs,
    UpdateDetails,
    UpdateDiff,
    UpdateQuery,
    UpdateRequest,
    UpdateSummaries,
)
from scheduler.core.records import JobConfiguration, JobKey, Task, TaskConfig, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.diff import compare, grouped
from scheduler.core.updates.records import JobUpdate, UpdateKey
from scheduler.core.validation import key_mistake, require_job_key, require_update_job, valid_config, valid_job

KEY_IS_DEPRECATED = "The key argument is deprecated, use the query argument instead"

_PENDING = frozenset({TaskStatus.INIT, TaskStatus.PENDING, TaskStatus.THROTTLED})
_FINISHED = frozenset({TaskStatus.KILLED, TaskStatus.FINISHED})
_FAILED = frozenset({TaskStatus.LOST, TaskStatus.FAILED})


# --- tasks -----------------------------------------------------------------------------------------------------------


def tasks(state: State, policy: Policy, query: TaskQuery, with_data: bool) -> Answer:
    """Tasks a query finds; `with_data` False leaves the executor's data out."""
    return Answer(result=Tasks(tuple(_page(find_tasks(state, query), query.offset, query.limit)), with_data))


def find_tasks(state: State, query: TaskQuery) -> Sequence[Task]:
    """All criteria hold. In the order of creation, by job where the query names any part of a job's key.

    One look at each of a hundred thousand tasks is a long time for a single writer: indexes first, then a criterion
    at a time.
    """
    role = query.role if query.role and query.role.strip() else None
    if role is not None and query.environment is not None and query.job_name is not None:
        wrong = key_mistake(JobKey(role, query.environment, query.job_name))
        if wrong is not None:
            raise Refused(error(f"query: {wrong}"))
    found = _candidates(state, query, role)
    if query.statuses:
        found = [task for task in found if task.status in query.statuses]
    if query.instance_ids:
        found = [task for task in found if task.instance_id in query.instance_ids]
    if query.hosts:
        found = [task for task in found if task.host in query.hosts]
    return found


def _candidates(state: State, query: TaskQuery, role: str | None) -> Sequence[Task]:
    """Tasks that have one of the ids, and whose job is asked for."""
    by_job = state.tasks.by_job
    if query.task_ids:
        named = (state.tasks.get(task_id) for task_id in sorted(query.task_ids))
        wanted = _job_filter(query, role)
        return [task for task in named if task is not None and wanted(task.config.job)]
    if role is not None and query.environment is not None and query.job_name is not None:
        jobs: Iterable[JobKey] = (JobKey(role, query.environment, query.job_name),)
    elif query.job_keys:
        jobs = sorted(query.job_keys, key=str)
    elif role is not None or query.environment is not None or query.job_name is not None:
        jobs = by_job
    else:
        return tuple(state.tasks.values())
    wanted = _job_filter(query, role)
    return [task for job in jobs if wanted(job) for task in by_job.get(job, {}).values()]


def _job_filter(query: TaskQuery, role: str | None) -> Callable[[JobKey], bool]:
    return lambda job: (
        (role is None or job.role == role)
        and (query.environment is None or job.environment == query.environment)
        and (query.job_name is None or job.name == query.job_name)
        and (not query.job_keys or job in query.job_keys)
    )


def _page(found: Sequence[Task], offset: int, limit: int) -> Sequence[Task]:
    """Values of 0 and less restrict nothing."""
    first = max(0, offset)
    return found[first : first + limit] if limit > 0 else found[first:] if first else found


def pending_reasons(state: State, policy: Policy, query: TaskQuery) -> Answer:
    """One row for each pending task, at once, even if nothing is known yet."""
    if query.hosts or query.statuses:
        return invalid("Statuses or slaveHosts are not supported in getPendingReason; leave both empty")
    pending = [task for task in find_tasks(state, query) if task.status is TaskStatus.PENDING]
    waiting = _page(pending, query.offset, query.limit)
    unknown = "" if state.hosts else NO_HOSTS
    rows = tuple(PendingReason(t.task_id, state.pending_reasons.get(t.config) or unknown) for t in waiting)
    return Answer(result=PendingReasons(rows))


# --- jobs ------------------------------------------------------------------------------------------------------------


def config_summary(state: State, policy: Policy, job: JobKey) -> Answer:
    """The active instances of a job, by configuration."""
    require_job_key(job)
    active = state.tasks.active.get(job, {})
    groups = grouped((i, task.config) for i, task in active.items())
    return Answer(result=ConfigSummary(job, tuple(ConfigGroup(g.config, g.instances) for g in groups)))


def role_summaries(state: State, policy: Policy) -> Answer:
    """Roles that have any task, ended ones too, or a cron template. A cron job with tasks counts as a job too."""
    counts = Counter([job.role for job in state.tasks.by_job])
    crons = {role: len(rows) for role, rows in state.cron_jobs.by_role.items()}
    rows = (RoleSummary(role, counts[role], crons.get(role, 0)) for role in sorted({*counts, *crons}))
    return Answer(result=RoleSummaries(tuple(rows)))


def job_summaries(state: State, policy: Policy, role: str | None) -> Answer:
    """Jobs with any task, ended ones too, and cron jobs; `instanceCount` counts the tasks found, as Aurora does.

    A cron job is shown as its template, with the tasks of its runs counted.
    """
    found = []
    for job, rows in state.tasks.by_job.items():
        if (not role or job.role == role) and job not in state.cron_jobs:
            active = state.tasks.active.get(job, {})
            found.append(JobSummary(_as_job(job, rows.values(), active.values()), _stats(rows.values())))
    for cron in _cron_jobs(state, role):
        stats = _stats(state.tasks.by_job.get(cron.key, {}).values())
        found.append(JobSummary(cron.as_job(), stats, state.next_cron_runs.get(cron.key)))
    return Answer(result=JobSummaries(tuple(found)))


def _cron_jobs(state: State, role: str | None) -> Iterable[CronJob]:
    return state.cron_jobs.by_role.get(role, {}).values() if role else state.cron_jobs.values()


def jobs(state: State, policy: Policy, role: str | None) -> Answer:
    """Jobs with active tasks, and all cron jobs, as their templates."""
    found = [
        _as_job(job, rows.values(), rows.values())
        for job, rows in state.tasks.active.items()
        if (not role or job.role == role) and job not in state.cron_jobs
    ]
    found += [cron.as_job() for cron in _cron_jobs(state, role)]
    return Answer(result=Jobs(tuple(found)))


def _as_job(job: JobKey, rows: Collection[Task], active: Collection[Task]) -> JobConfiguration:
    """The job as its latest active task shows it, or its latest one."""
    latest = max(active or rows, key=lambda task: task.events[-1].timestamp_ms if task.events else 0)
    return JobConfiguration(job, latest.config, len(rows), latest.config.owner_user)


def _stats(rows: Collection[Task]) -> JobStats:
    counts = Counter([task.status for task in rows])
    pending, finished, failed = (sum(counts[status] for status in some) for some in (_PENDING, _FINISHED, _FAILED))
    return JobStats(len(rows) - pending - finished - failed, finished, failed, pending)


def populate(state: State, policy: Policy, description: JobConfiguration) -> Answer:
    """The task configuration as it would be stored."""
    try:
        job = valid_job(policy, description)
    except Refused as refused:
        reasons = ", ".join(detail or "" for detail in refused.answer.details)
        return Answer(Code.INVALID_REQUEST, (f"Invalid configuration: {reasons}",))
    assert job.task_config is not None
    return Answer(result=PopulatedConfig(job.task_config))


def tier_configs(state: State, policy: Policy) -> Answer:
    rows = tuple((tier.name, tier.preemptible, tier.revocable) for tier in policy.tiers)
    return Answer(result=TierConfigs(policy.default_tier, rows))


# --- updates ---------------------------------------------------------------------------------------------------------


def update_summaries(state: State, policy: Policy, query: UpdateQuery) -> Answer:
    return Answer(result=UpdateSummaries(tuple(find_updates(state, query))))


def update_details(state: State, policy: Policy, key: UpdateKey | None, query: UpdateQuery | None) -> Answer:
    """By query, or by the deprecated key, which fills the deprecated field."""
    if query is not None:
        return Answer(result=UpdateDetails(tuple(find_updates(state, query))))
    if key is None:
        return error("Either key or query must be set.")
    require_update_job(key)
    update = state.updates.get(key)
    if update is None:
        return invalid(f"Invalid update: {key}")
    return Answer(Code.OK, (KEY_IS_DEPRECATED,), UpdateDetails((update,), single=True))


def find_updates(state: State, query: UpdateQuery) -> list[JobUpdate]:
    """All criteria hold; the last modified first; `offset`, then `limit` if it is above 0."""
    found = [update for update in _update_candidates(state, query) if _matches(update, query)]
    found.sort(key=lambda update: update.last_modified_ms, reverse=True)
    first = max(0, query.offset)
    return found[first : first + query.limit] if query.limit > 0 else found[first:]


def _update_candidates(state: State, query: UpdateQuery) -> Iterable[JobUpdate]:
    if query.key is not None:
        update = state.updates.get(query.key)
        return () if update is None else (update,)
    if query.job is not None:
        return state.updates.by_job.get(query.job, {}).values()
    return state.updates.values()


def _matches(update: JobUpdate, query: UpdateQuery) -> bool:
    job = update.key.job
    return (
        (not query.role or job.role == query.role)
        and (query.job is None or job == query.job)
        and (not query.user or update.user == query.user)
        and (not query.statuses or update.status in query.statuses)
    )


def update_diff(state: State, policy: Policy, request: UpdateRequest) -> Answer:
    """What an update would do, without the checks of its settings. Ids outside the scope are left out silently."""
    if request.task_config is None:
        return error("request.taskConfig must be set")
    if request.instance_count < 0:
        return invalid(f"instanceCount must not be negative, it is {request.instance_count}")
    if request.instance_count > policy.max_tasks_per_job:
        return invalid(f"instanceCount must be at most {policy.max_tasks_per_job}, it is {request.instance_count}")
    config = state.configs.canonical(valid_config(policy, request.task_config, request.instance_count))
    refuse_cron(state, config.job, NO_CRON_DIFF)
    scope = request.settings.update_only_these_instances if request.settings is not None else ()
    diff = compare(state.tasks.active.get(config.job, {}), config, request.instance_count, scope)
    return Answer(
        result=UpdateDiff(
            add=_group(diff.added, dict.fromkeys(diff.added, config)),
            remove=_group(diff.removed, diff.current),
            update=_group(diff.replaced, diff.current),
            unchanged=_group(diff.unchanged, diff.current),
        )
    )


def _group(ids: tuple[int, ...], configs: dict[int, TaskConfig]) -> tuple[ConfigGroup, ...]:
    groups = grouped((i, configs[i]) for i in ids)
    return tuple(ConfigGroup(g.config, g.instances) for g in groups)
