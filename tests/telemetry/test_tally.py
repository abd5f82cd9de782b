"""What is counted of entries: held against what the state says at the end, whatever happened in between."""

from __future__ import annotations

import logging

from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.contracts import Entry
from scheduler.core import ops, pruning
from scheduler.core.cron import requests as cron
from scheduler.core.policy import MINUTE_MS, Policy
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.telemetry.mistakes import Mistakes
from scheduler.telemetry.tally import Tally
from scheduler.testing.script import Script
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "nightly")
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 20 * MINUTE_MS)),
        st.tuples(st.just("die"), st.integers(0, 20 * MINUTE_MS)),
        st.tuples(st.just("end"), st.just(0)),
        st.tuples(st.just("ask"), st.just(0)),
    ),
    max_size=12,
)


def follow(stage: Stage, tally: Tally) -> None:
    tally.begin(stage.state.cron_jobs.values())
    stage.on_entry = tally.committed


def nightly(policy: int) -> JobConfiguration:
    return JobConfiguration(JOB, evolve(service(JOB, "x"), is_service=False), 1, "www", "*/3 * * * *", policy)


@given(MOVES, st.sampled_from([0, 1]), st.booleans())
@settings(max_examples=60)
def test_cron_runs_are_counted_as_they_are_recorded(story: list[tuple[str, int]], policy: int, catch_up: bool) -> None:
    stage, tally = Stage(Policy(cron_catch_up=catch_up)), Tally()
    follow(stage, tally)
    stage.advance(1)  # the instant 0 is never
    stage.ask(cron.schedule, nightly(policy), "ann")
    for what, how_long_ms in story:
        if what == "wait":
            stage.advance(how_long_ms)
        elif what == "die":
            stage.clock.advance(how_long_ms)
            stage.restart()
            tally.begin(stage.state.cron_jobs.values())
        elif what == "ask":
            stage.ask(cron.start, JOB, "ann")
        else:
            for task in list(stage.state.tasks.active.get(JOB, {}).values()):
                stage.run(task)
                stage.report(stage.active(JOB, 0), TaskStatus.FINISHED)
    runs, found = stage.state.cron_jobs[JOB].runs, tally.figures()
    said = [op.why for entry in stage.log for op in entry.ops if isinstance(op, ops.MoveCronJob)]
    begun = sum(why.startswith("a run begins") and "had waited" not in why for why in said)
    waited = sum("waits for the end of" in why for why in said)
    assert found["cron_job_misfires"] == runs.missed
    assert found["cron_job_collisions"] == runs.held_back + waited
    assert found["cron_job_triggers"] == begun + runs.held_back + waited


def test_transitions_of_tasks_and_updates() -> None:
    script, tally = Script(through_codec=True), Tally()
    script.do("job web 0-1 old")
    script.do("start new 0-1")
    for entry in list(script.stage.log):
        tally.committed(entry)
    found = tally.figures()
    assert (found["task_transition_PENDING"], found["update_transition_ROLLING_FORWARD"]) == (2, 1)
    assert (found["update_instance_transition_INSTANCE_UPDATING"], found["task_transition_LOST"]) == (1, 0)


def test_what_is_forgotten_and_what_took_too_long() -> None:
    policy = Policy(history_prune_threshold_ms=1, history_min_retention_ms=1)
    stage, tally = Stage(policy), Tally()
    follow(stage, tally)
    stage.ask(cron.schedule, nightly(1), "ann")
    stage.advance(3 * MINUTE_MS)
    task = stage.active(JOB, 0)
    assert task.status is TaskStatus.ASSIGNED
    stage.advance(policy.transient_task_state_timeout_ms)
    assert tally.figures()["timed_out_tasks"] == tally.figures()["task_transition_LOST"] == 1
    stage.advance(MINUTE_MS)
    for decision, jobs in pruning.steps(stage.state):
        stage.controller.attempt(decision, jobs)
    stage.settle()
    assert tally.figures()["tasks_pruned"] == 1


def test_what_a_backup_brings_back_does_not_happen_again() -> None:
    stage, tally = Stage(), Tally()
    follow(stage, tally)
    stage.ask(cron.schedule, nightly(1), "ann")
    stage.advance(3 * MINUTE_MS)
    before = dict(tally.figures())
    (task,) = stage.state.tasks.values()
    tally.committed(Entry(99, 1, bytes(16), 500, (ops.Restored("a"), ops.SaveTask(task))))
    assert tally.figures() == before


def test_mistakes_are_lines_of_the_log_with_a_trace() -> None:
    log, mistakes = logging.getLogger("thesan.test"), Mistakes()
    log.addHandler(mistakes)
    log.propagate = False
    try:
        log.error("only said")
        try:
            raise KeyError("x")
        except KeyError as wrong:
            log.warning("expected", exc_info=True)
            log.error("one", exc_info=wrong)
            log.exception("two")
    finally:
        log.removeHandler(mistakes)
    assert mistakes.count == 2
