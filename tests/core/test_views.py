"""What clients read, against naive filters over everything."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.core import views
from scheduler.core.answers import Answer, Code
from scheduler.core.policy import Policy
from scheduler.core.queries import SettingsRequest, TaskQuery, UpdateQuery, UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, Task, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.records import JobUpdate, QueueStrategy, Range, UpdateKey, UpdateStatus
from scheduler.testing.script import Script
from scheduler.testing.stage import service

POLICY = Policy()
JOB = JobKey("www", "prod", "web")


def told() -> Script:
    """Three jobs of two roles, tasks in many states, updates in many statuses."""
    script = Script()
    for command in (
        "job web 0-3 old",
        "wait 10s",
        "exit 0 FAILED",
        "run 0",
        "start new 0-3 user=ann",
        "swap 0",
        "exit 2 FINISHED",
        "wait 2s",
        "abort",
        "wait 1s",
        "job api 0-2 old",
        "start new 0-1 user=bob pulse=60000",
        "pulse",
        "hosts off",
        "exit 1 LOST",
        "wait 1s",
        "on web",
        "start newer 0 user=ann",
        "exit 3 KILLED",
        "pause",
        "job cache 0 old",
        "wait 1s",
    ):
        script.do(command)
    return script


STATE: State = told().stage.state
TASKS = list(STATE.tasks.values())
UPDATES = list(STATE.updates.values())


def maybe(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(values)


def some(values: list[Any]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), max_size=3)


task_queries = st.builds(
    TaskQuery,
    role=maybe(["www", "data", "", " \t"]),
    environment=maybe(["prod", "test"]),
    job_name=maybe(["web", "api", "nobody"]),
    task_ids=some([task.task_id for task in TASKS] + ["nobody"]),
    statuses=some(list(TaskStatus)),
    instance_ids=some([0, 1, 2, 7]),
    hosts=some(["host-1", "host-9"]),
    job_keys=some([JOB, JobKey("www", "prod", "api"), JobKey("data", "prod", "x")]),
    offset=st.sampled_from([-1, 0, 1, 3, 100]),
    limit=st.sampled_from([-1, 0, 1, 3, 100]),
)


def naive(query: TaskQuery) -> set[str]:
    found = set()
    for task in TASKS:
        job = task.config.job
        if query.role is not None and query.role.strip() and job.role != query.role:
            continue
        if query.environment is not None and job.environment != query.environment:
            continue
        if query.job_name is not None and job.name != query.job_name:
            continue
        members = (
            (query.task_ids, task.task_id),
            (query.statuses, task.status),
            (query.instance_ids, task.instance_id),
            (query.hosts, task.host),
            (query.job_keys, job),
        )
        if all(not chosen or value in chosen for chosen, value in members):
            found.add(task.task_id)
    return found


@settings(max_examples=400)
@given(task_queries)
def test_task_queries(query: TaskQuery) -> None:
    everything = [task.task_id for task in views.find_tasks(STATE, query)]
    assert len(everything) == len(set(everything))
    assert set(everything) == naive(query)
    page = [task.task_id for task in views.tasks(STATE, POLICY, query, True).result.tasks]
    skipped = everything[max(0, query.offset) :]
    assert page == (skipped[: query.limit] if query.limit > 0 else skipped)


def test_a_job_scope_that_is_no_key_is_an_error() -> None:
    query = TaskQuery(role="www", environment="prod", job_name="a b")
    with pytest.raises(views.Refused) as refused:
        list(views.find_tasks(STATE, query))
    assert refused.value.answer.code is Code.ERROR
    assert not list(views.find_tasks(STATE, evolve(query, role=None)))  # two of three are no key and find nothing


update_queries = st.builds(
    UpdateQuery,
    role=maybe(["www", "data", ""]),
    job=maybe([JOB, JobKey("www", "prod", "api"), JobKey("data", "prod", "x")]),
    key=maybe([update.key for update in UPDATES] + [UpdateKey(JOB, "nobody")]),
    user=maybe(["ann", "bob", "eve", ""]),
    statuses=some(list(UpdateStatus)),
    offset=st.sampled_from([-1, 0, 1, 2, 9]),
    limit=st.sampled_from([-1, 0, 1, 2, 9]),
)


@settings(max_examples=300)
@given(update_queries)
def test_update_queries(query: UpdateQuery) -> None:
    def matches(update: JobUpdate) -> bool:
        return (
            (not query.role or update.key.job.role == query.role)
            and (query.job is None or update.key.job == query.job)
            and (query.key is None or update.key == query.key)
            and (not query.user or update.user == query.user)
            and (not query.statuses or update.status in query.statuses)
        )

    newest_first = sorted(filter(matches, UPDATES), key=lambda update: -update.last_modified_ms)
    skipped = newest_first[max(0, query.offset) :]
    expected = skipped[: query.limit] if query.limit > 0 else skipped
    assert list(views.update_summaries(STATE, POLICY, query).result.updates) == expected
    assert list(views.update_details(STATE, POLICY, None, query).result.updates) == expected


def test_the_scene_has_something_to_find() -> None:
    assert {update.status.name for update in UPDATES} == {"ABORTED", "ROLLING_FORWARD", "ROLL_FORWARD_PAUSED"}
    assert len({task.status for task in TASKS}) >= 6


def test_details_by_the_deprecated_key() -> None:
    key = UPDATES[0].key
    answer = views.update_details(STATE, POLICY, key, None)
    assert (answer.code, answer.details) == (
        Code.OK,
        ("The key argument is deprecated, use the query argument instead",),
    )
    assert answer.result.single
    assert answer.result.updates == (UPDATES[0],)
    both = views.update_details(STATE, POLICY, key, UpdateQuery(user="nobody"))
    assert (both.details, both.result.updates, both.result.single) == ((), (), False)  # the query wins
    unknown = UpdateKey(JOB, "nobody")
    assert views.update_details(STATE, POLICY, unknown, None) == Answer(
        Code.INVALID_REQUEST, ("Invalid update: www/prod/web/nobody",)
    )
    assert views.update_details(STATE, POLICY, None, None) == Answer(Code.ERROR, ("Either key or query must be set.",))


def test_pending_reasons() -> None:
    answer = views.pending_reasons(STATE, POLICY, TaskQuery())
    pending = {task.task_id for task in TASKS if task.status is TaskStatus.PENDING}
    assert pending
    assert {row.task_id for row in answer.result.reasons} == pending
    for query in (TaskQuery(hosts=frozenset({"h"})), TaskQuery(statuses=frozenset({TaskStatus.PENDING}))):
        assert views.pending_reasons(STATE, POLICY, query).code is Code.INVALID_REQUEST


def test_job_and_role_summaries() -> None:
    summaries = views.job_summaries(STATE, POLICY, "www").result.summaries
    assert {summary.job.key.name for summary in summaries} == {"web", "api", "cache"}
    assert views.job_summaries(STATE, POLICY, "nobody").result.summaries == ()
    for summary in summaries:
        mine = [task for task in TASKS if task.config.job == summary.job.key]
        assert summary.job.instance_count == len(mine)  # ended ones too, as Aurora counts
        stats = summary.stats
        assert stats.active + stats.finished + stats.failed + stats.pending == len(mine)
        assert stats.pending == sum(task.status.name in ("PENDING", "THROTTLED") for task in mine)
        assert stats.failed == sum(task.status.name in ("LOST", "FAILED") for task in mine)
        assert stats.finished == sum(task.status.name in ("KILLED", "FINISHED") for task in mine)
    (role,) = views.role_summaries(STATE, POLICY).result.summaries
    assert (role.role, role.job_count, role.cron_job_count) == ("www", 3, 0)


def test_jobs_have_active_tasks() -> None:
    counts = {job.key.name: job.instance_count for job in views.jobs(STATE, POLICY, None).result.configs}
    active = {job.name: len(rows) for job, rows in STATE.tasks.active.items()}
    assert counts == active


def test_config_summary_groups_active_instances() -> None:
    answer = views.config_summary(STATE, POLICY, JOB)
    grouped = {i: g.config for g in answer.result.groups for r in g.instances for i in r.ids()}
    active: dict[int, Task] = STATE.tasks.active[JOB]
    assert grouped == {i: task.config for i, task in active.items()}
    assert views.config_summary(STATE, POLICY, JobKey("no", "such", "job")).result.groups == ()


def test_diff() -> None:
    def diff(count: int, only: tuple[Range, ...] = ()) -> Answer:
        request = UpdateRequest(
            service(JobKey("www", "prod", "api"), "new"),
            count,
            SettingsRequest(strategy=QueueStrategy(1), update_only_these_instances=only),
        )
        return views.update_diff(STATE, POLICY, request)

    def ids(groups: Any) -> list[int]:
        return sorted(i for group in groups for r in group.instances for i in r.ids())

    found = diff(5).result
    # 0 is being replaced and still there in the old configuration, 1 waits for a host in the old one.
    assert (ids(found.add), ids(found.remove), ids(found.update)) == ([3, 4], [], [0, 1, 2])
    assert all(g.config.executor.data == "old" for g in found.update)  # what is replaced, not what replaces it
    assert all(g.config.executor.data == "new" for g in found.add)
    found = diff(1, (Range(2, 99),)).result
    assert (ids(found.add), ids(found.remove), ids(found.update), ids(found.unchanged)) == ([], [2], [], [0, 1])
    assert diff(-1).code is Code.INVALID_REQUEST
    assert views.update_diff(STATE, POLICY, UpdateRequest(None, 1, None)).code is Code.ERROR


def test_populate() -> None:
    job = JobConfiguration(JOB, service(JOB, "x"), 1)
    assert views.populate(STATE, POLICY, job).result.task_config.tier == "preemptible"
    answer = views.populate(STATE, POLICY, evolve(job, instance_count=0))
    assert answer == Answer(Code.INVALID_REQUEST, ("Invalid configuration: Instance count must be positive, not 0",))


def test_tiers() -> None:
    result = views.tier_configs(STATE, POLICY).result
    assert result.default == "preemptible"
    assert result.tiers == (
        ("preferred", False, False),
        ("preemptible", True, False),
        ("revocable", True, True),
    )
