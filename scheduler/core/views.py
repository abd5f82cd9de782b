"""What clients read: pure functions of the state. None of them changes anything.

Source: Aurora's interface; which tasks a query finds: `docs/compatibility.md`, "Queries".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scheduler.core.answers import Answer, Code, Refused, error, invalid
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
from scheduler.core.records import ACTIVE_STATES, JobConfiguration, JobKey, Task, TaskConfig, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.diff import compare, grouped
from scheduler.core.updates.records import JobUpdate, UpdateKey
from scheduler.core.validation import is_good_identifier, require_job_key, require_update_key, valid_config, valid_job

KEY_IS_DEPRECATED = "The key argument is deprecated, use the query argument instead"

_PENDING = frozenset({TaskStatus.INIT, TaskStatus.PENDING, TaskStatus.THROTTLED})
_FINISHED = frozenset({TaskStatus.KILLED, TaskStatus.FINISHED})
_FAILED = frozenset({TaskStatus.LOST, TaskStatus.FAILED})


# --- tasks -----------------------------------------------------------------------------------------------------------


def tasks(state: State, policy: Policy, query: TaskQuery, with_data: bool) -> Answer:
    """Tasks a query finds; `with_data` False leaves the executor's data out."""
    return Answer(result=Tasks(tuple(_page(find_tasks(state, query), query.offset, query.limit)), with_data))


def find_tasks(state: State, query: TaskQuery) -> Iterator[Task]:
    """All criteria hold. Looks by task id, by job, by host, in this order, before it looks at everything."""
    role = query.role if query.role and query.role.strip() else None
    job_scope = (role, query.environment, query.job_name)
    if None not in job_scope and not all(map(is_good_identifier, job_scope)):
        raise Refused(error(f"{'/'.join(map(str, job_scope))} is no valid job key"))
    for task in _candidates(state, query, role):
        job = task.config.job
        if (
            (role is None or job.role == role)
            and (query.environment is None or job.environment == query.environment)
            and (query.job_name is None or job.name == query.job_name)
            and (not query.task_ids or task.task_id in query.task_ids)
            and (not query.job_keys or job in query.job_keys)
            and (not query.statuses or task.status in query.statuses)
            and (not query.instance_ids or task.instance_id in query.instance_ids)
            and (not query.hosts or task.host in query.hosts)
        ):
            yield task


def _candidates(state: State, query: TaskQuery, role: str | None) -> Iterable[Task]:
    if query.task_ids:
        found = (state.tasks.get(task_id) for task_id in query.task_ids)
        return [task for task in found if task is not None]
    jobs: Iterable[JobKey] = query.job_keys
    if role is not None and query.environment is not None and query.job_name is not None:
        jobs = (JobKey(role, query.environment, query.job_name),)
    if jobs:
        return [task for job in jobs for task in state.tasks.by_job.get(job, {}).values()]
    if query.statuses:
        return [task for status in query.statuses for task in state.tasks.by_status[status].values()]
    return state.tasks.values()


def _page(found: Iterable[Task], offset: int, limit: int) -> list[Task]:
    """Values of 0 and less restrict nothing."""
    everything = list(found)
    first = max(0, offset)
    return everything[first : first + limit] if limit > 0 else everything[first:]


def pending_reasons(state: State, policy: Policy, query: TaskQuery) -> Answer:
    """One row for each pending task, at once, even if nothing is known yet."""
    if query.hosts or query.statuses:
        return invalid("Statuses or slaveHosts are not supported in getPendingReason; leave both empty")
    waiting = _page((t for t in find_tasks(state, query) if t.status is TaskStatus.PENDING), query.offset, query.limit)
    rows = tuple(PendingReason(t.task_id, state.pending_reasons.get(t.task_id) or "") for t in waiting)
    return Answer(result=PendingReasons(rows))


# --- jobs ------------------------------------------------------------------------------------------------------------


def config_summary(state: State, policy: Policy, job: JobKey) -> Answer:
    """The active instances of a job, by configuration."""
    require_job_key(job)
    active = state.tasks.active.get(job, {})
    groups = grouped((i, task.config) for i, task in active.items())
    return Answer(result=ConfigSummary(job, tuple(ConfigGroup(g.config, g.instances) for g in groups)))


def role_summaries(state: State, policy: Policy) -> Answer:
    """Roles that have any task, ended ones too."""
    counts: dict[str, int] = {}
    for job in state.tasks.by_job:
        counts[job.role] = counts.get(job.role, 0) + 1
    return Answer(result=RoleSummaries(tuple(RoleSummary(role, n, 0) for role, n in sorted(counts.items()))))


def job_summaries(state: State, policy: Policy, role: str | None) -> Answer:
    """Jobs with any task, ended ones too; `instanceCount` counts the tasks found, as Aurora does."""
    found = []
    for job, rows in state.tasks.by_job.items():
        if not role or job.role == role:
            found.append(JobSummary(_as_job(job, list(rows.values())), _stats(rows.values())))
    return Answer(result=JobSummaries(tuple(found)))


def jobs(state: State, policy: Policy, role: str | None) -> Answer:
    """Jobs with active tasks."""
    found = (
        _as_job(job, list(rows.values())) for job, rows in state.tasks.active.items() if not role or job.role == role
    )
    return Answer(result=Jobs(tuple(found)))


def _as_job(job: JobKey, rows: list[Task]) -> JobConfiguration:
    """The job as its latest active task shows it."""
    latest = max(rows, key=lambda task: (task.status in ACTIVE_STATES, task.latest_event_ms))
    return JobConfiguration(job, latest.config, len(rows), latest.config.owner_user)


def _stats(rows: Iterable[Task]) -> JobStats:
    pending = active = finished = failed = 0
    for task in rows:
        if task.status in _PENDING:
            pending += 1
        elif task.status in _FINISHED:
            finished += 1
        elif task.status in _FAILED:
            failed += 1
        else:
            active += 1
    return JobStats(active, finished, failed, pending)


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
    require_update_key(key)
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
    config = state.configs.canonical(valid_config(policy, request.task_config, request.instance_count))
    scope = request.settings.update_only_these_instances if request.settings is not None else ()
    count = min(request.instance_count, policy.max_tasks_per_job + 1)
    diff = compare(state.tasks.active.get(config.job, {}), config, count, scope)
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
