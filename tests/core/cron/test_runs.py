"""Cron jobs beside what the transcripts tell: quota, views, what is kept, and that no instant is acted on twice."""

from __future__ import annotations

from datetime import UTC
from functools import partial
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.contracts import Entry
from scheduler.core import jobs, ops, quota, views
from scheduler.core.answers import OK, Code, Refused, invalid
from scheduler.core.cron import requests as cron
from scheduler.core.cron.schedule import parse
from scheduler.core.policy import Policy
from scheduler.core.queries import RoleSummary, SettingsRequest, UpdateRequest
from scheduler.core.records import Constraint, JobConfiguration, JobKey, TaskStatus, ValueConstraint
from scheduler.core.state import State, apply, dump
from scheduler.core.updates.records import QueueStrategy
from scheduler.cron_times import next_run
from scheduler.testing.stage import Stage, replayed, service

JOB = JobKey("www", "prod", "nightly")
MINUTE_MS = 60_000


def template(
    schedule: str | None = "*/5 * * * *", count: int = 2, policy: int | None = 1, **config: Any
) -> JobConfiguration:
    task = evolve(service(JOB, "x"), **{"is_service": False, **config})
    return JobConfiguration(JOB, task, count, "www", schedule, policy)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def give(stage: Stage, cpus: float) -> None:
    amounts = tuple(zip(quota.KINDS, (cpus, 10_000, 10_000), strict=True))
    assert stage.ask(quota.set_quota, "www", amounts, "root") == OK


def taken(stage: Stage) -> int:
    return quota.consumption(stage.state, "www").get(quota.PROD_SHARED, quota.NOTHING).micro_cpus // 1_000_000


@pytest.mark.parametrize(("asked", "code", "sentence"), [
    (evolve(template(), key=None), Code.ERROR, "The job key is missing"),
    (evolve(template(), key=JobKey("a b", "prod", "x")), Code.ERROR, "The job key's role is 'a b'"),
    (evolve(template(), key=JobKey("www", "nowhere", "x")), Code.INVALID_REQUEST, "Job environment nowhere"),
    (template(None), Code.INVALID_REQUEST, "Job www/prod/nightly has no cronSchedule"),
    (template(""), Code.INVALID_REQUEST, "cronSchedule: '' has 0 fields"),
    (template(policy=2), Code.INVALID_REQUEST, "RUN_OVERLAP has been removed"),
    (template(count=4001), Code.INVALID_REQUEST, "Instance count must be between 1 and 4000"),
    (template(is_service=True), Code.INVALID_REQUEST, "A service task may not be run on a cron schedule"),
    (evolve(template(), key=JobKey("www", "prod", "x")), Code.INVALID_REQUEST, "differs from the job's key"),
])  # fmt: skip
def test_what_is_refused(stage: Stage, asked: JobConfiguration, code: Code, sentence: str) -> None:
    answer = stage.ask(cron.schedule, asked, "ann")
    assert answer.code is code
    assert sentence in str(answer.details[0])
    assert len(stage.state.cron_jobs) == len(stage.state.configs) == 0


def test_without_a_policy_a_run_kills_the_one_before_it(stage: Stage) -> None:
    assert stage.ask(cron.schedule, template(policy=None), "ann") == OK
    assert stage.state.cron_jobs[JOB].as_job() == evolve(
        template(policy=0), task_config=stage.state.cron_jobs[JOB].config
    )


def test_a_cron_job_in_the_views(stage: Stage) -> None:
    assert stage.ask(cron.schedule, template(), "ann") == OK
    (row,) = stage.controller.read(views.job_summaries, "www").answer.result.summaries
    assert (row.job.cron_schedule, row.job.instance_count, row.next_cron_run_ms) == ("*/5 * * * *", 2, 5 * MINUTE_MS)
    assert row.stats.pending == row.stats.active == 0
    assert stage.controller.read(views.role_summaries).answer.result.summaries == (RoleSummary("www", 0, 1),)
    stage.advance(6 * MINUTE_MS)
    (row,) = stage.controller.read(views.job_summaries, None).answer.result.summaries
    assert (row.job.instance_count, row.stats.active, row.next_cron_run_ms) == (2, 2, 10 * MINUTE_MS)
    (found,) = stage.controller.read(views.jobs, None).answer.result.configs
    assert found == row.job
    assert stage.controller.read(views.jobs, "nobody").answer.result.configs == ()
    assert stage.controller.read(views.role_summaries).answer.result.summaries == (RoleSummary("www", 1, 1),)
    request = UpdateRequest(evolve(service(JOB, "y")), 2, SettingsRequest(strategy=QueueStrategy(1)))
    with pytest.raises(Refused) as refused:
        stage.controller.read(views.update_diff, request)
    assert refused.value.answer == invalid("Cron jobs are not supported.")


def test_show(stage: Stage) -> None:
    assert stage.controller.read(cron.show, JOB).answer.code is Code.ERROR
    assert stage.ask(cron.schedule, template(), "ann") == OK
    shown = stage.controller.read(cron.show, JOB).answer.result
    assert (shown.next_run_ms, shown.runs.missed, shown.job.key) == (5 * MINUTE_MS, 0, JOB)


def test_a_cron_job_outlives_the_leader_and_stands_in_a_base(stage: Stage) -> None:
    assert stage.ask(cron.schedule, template(), "ann") == OK
    stage.advance(6 * MINUTE_MS)
    again = State()
    for op in dump(replayed(stage.log)):
        apply(again, op)
    assert again.cron_jobs[JOB] == stage.state.cron_jobs[JOB]
    assert again.cron_jobs[JOB].config is next(iter(again.tasks.values())).config
    assert stage.ask(cron.deschedule, JOB, "ann") == OK
    assert len(replayed(stage.log).cron_jobs) == 0


# --- quota -----------------------------------------------------------------------------------------------------------


def test_a_template_counts_whether_it_runs_or_not(stage: Stage) -> None:
    give(stage, 4)
    assert stage.ask(cron.schedule, template(tier="preferred"), "ann") == OK
    assert taken(stage) == 2
    stage.advance(6 * MINUTE_MS)
    assert taken(stage) == 2  # not four
    refused = stage.ask(cron.schedule, template(count=5, tier="preferred"), "ann")
    assert refused.details == ("Insufficient resource quota: CPU quota exceeded by 1.00 core(s)",)
    assert stage.ask(cron.replace, template(count=1, tier="preferred"), "ann") == OK
    assert taken(stage) == 2  # its run is larger than its template
    assert stage.ask(cron.replace, template(count=4, tier="preferred"), "ann") == OK
    assert taken(stage) == 4
    web = JobKey("www", "prod", "web")
    other = JobConfiguration(web, evolve(service(web, "x"), tier="preferred"), 1)
    assert stage.ask(jobs.create, other, "ann").code is Code.INVALID_REQUEST
    assert stage.ask(cron.deschedule, JOB, "ann") == OK
    assert taken(stage) == 2


def test_a_dedicated_template_is_held_against_the_quota_but_does_not_count(stage: Stage) -> None:
    """As in Aurora, whose check of cron jobs exempts only what is not production."""
    dedicated = (Constraint("dedicated", ValueConstraint(False, ["www/db"])),)
    asked = template(tier="preferred", constraints=dedicated)
    assert stage.ask(cron.schedule, asked, "ann").code is Code.INVALID_REQUEST
    give(stage, 2)
    assert stage.ask(cron.schedule, asked, "ann") == OK
    assert taken(stage) == 0
    assert stage.ask(cron.replace, asked, "ann") == OK
    assert stage.ask(cron.schedule, template(count=99), "ann") == OK  # not production


# --- once and only once ----------------------------------------------------------------------------------------------

moves = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 20 * MINUTE_MS)),
        st.tuples(st.just("die"), st.integers(0, 20 * MINUTE_MS)),
        st.tuples(st.just("end"), st.just(0)),
    ),
    max_size=12,
)


@given(moves, st.sampled_from(["*/3 * * * *", "*/7 * * * *", "10,11 * * * *"]), st.booleans())
@settings(max_examples=60)
def test_every_instant_is_begun_held_back_or_missed(
    story: list[tuple[str, int]], schedule: str, catch_up: bool
) -> None:
    stage = Stage(Policy(cron_catch_up=catch_up))
    assert stage.ask(cron.schedule, template(schedule, 1), "ann") == OK
    begun: list[str] = []

    def note(entry: Entry) -> None:
        moved = (op.why for op in entry.ops if isinstance(op, ops.MoveCronJob))
        begun.extend(why for why in moved if why.startswith("a run begins"))

    stage.on_entry = note
    for what, how_long_ms in story:
        if what == "wait":
            stage.advance(how_long_ms)
        elif what == "die":
            stage.clock.advance(how_long_ms)
            stage.restart()
        elif JOB in stage.state.tasks.active:
            stage.run(stage.active(JOB, 0))
            stage.report(stage.active(JOB, 0), TaskStatus.FINISHED)
    stage.advance(0)
    passed, at_ms = 0, 0
    rule = partial(next_run, where=UTC)
    while (at_ms := rule(parse(schedule), at_ms) or 10**15) <= stage.clock.wall_ms():
        passed += 1
    runs = stage.state.cron_jobs[JOB].runs
    assert len(begun) + runs.held_back + runs.missed == passed
    assert len(set(begun)) == len(begun)
    assert catch_up or not any("caught up" in said for said in stage.said())
