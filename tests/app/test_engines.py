"""What the engine could not run is refused when it is submitted, with the field's name."""

from pathlib import Path

import attrs

from scheduler.app.engines import engine_warning, make_policy
from scheduler.core import jobs, views
from scheduler.core.answers import Code
from scheduler.core.policy import Policy
from scheduler.core.records import ExecutorConfig, JobConfiguration, JobKey
from scheduler.settings import Settings
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "hello")
GOOD = '{"task": {"processes": [{"name": "web", "cmdline": "sleep 100"}]}}'
FINALIZER = '{"task": {"processes": [{"name": "web", "cmdline": "sleep 100", "final": true}]}}'


def job(data: str) -> JobConfiguration:
    config = attrs.evolve(service(JOB, data), executor=ExecutorConfig("AuroraExecutor", data))
    return JobConfiguration(JOB, config, 1)


def test_a_job_that_could_not_run_is_refused_and_nothing_is_kept() -> None:
    stage = Stage(make_policy(Settings()))

    answer = stage.ask(jobs.create, job(FINALIZER), "me")

    assert answer.code is Code.INVALID_REQUEST
    assert "final" in str(answer.details[0])
    assert len(stage.state.tasks) == 0
    assert len(stage.state.configs) == 0


def test_what_can_run_is_taken() -> None:
    stage = Stage(make_policy(Settings()))

    assert stage.ask(jobs.create, job(GOOD), "me").ok


def test_who_shares_a_log_and_no_engine_is_warned() -> None:
    several = Settings(zk_endpoints="a:2181")

    assert "on this machine only" in (engine_warning(several) or "")
    assert engine_warning(attrs.evolve(several, engine_dir=Path("/engine"))) is None
    assert engine_warning(attrs.evolve(several, engine="simulated")) is None
    assert engine_warning(Settings()) is None


def test_the_simulated_engine_takes_anything() -> None:
    policy = make_policy(Settings(engine="simulated"))

    assert views.populate(Stage(policy).state, policy, job(FINALIZER)).ok


def test_the_grace_before_kill_is_the_longer_of_ours_and_the_tasks() -> None:
    policy = make_policy(Settings(policy=Policy(kill_grace_ms=1_000)))
    patient = GOOD.replace('"processes"', '"finalization_wait": 7, "processes"')

    assert policy.grace_ms(service(JOB, patient)) == 7_000
    assert policy.grace_ms(service(JOB, "{broken")) == 1_000
