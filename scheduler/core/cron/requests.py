"""What clients ask of cron jobs: schedule, replace, deschedule, start.

Source: Aurora's interface and documentation, "Cron jobs"; order of checks and codes: `docs/compatibility.md`, "Cron".
"""

from __future__ import annotations

from typing import Final

from scheduler.core import ops, quota
from scheduler.core.answers import OK, Answer, Code, error, invalid
from scheduler.core.cron import runs
from scheduler.core.cron.records import CollisionPolicy, CronJob, Runs
from scheduler.core.cron.schedule import WrongSchedule, parse
from scheduler.core.jobs import assert_not_updating, check_instance_count
from scheduler.core.policy import Policy
from scheduler.core.queries import CronReport
from scheduler.core.records import JobConfiguration, JobKey
from scheduler.core.state import State
from scheduler.core.transaction import Transaction
from scheduler.core.validation import require_job_key, valid_job

NO_SCHEDULE: Final = "Job {} has no cronSchedule"
NOT_SCHEDULED: Final = "Job {} is not scheduled with cron"
NO_OVERLAP: Final = "cronCollisionPolicy may be KILL_EXISTING or CANCEL_NEW; RUN_OVERLAP has been removed"


def schedule(tx: Transaction, description: JobConfiguration, user: str, *, replace: bool = False) -> Answer:
    """Create a template, or put one in the place of another. `replace`: there must be another. No task starts now."""
    key = require_job_key(description.key)
    job = valid_job(tx.policy, description)
    if job.cron_schedule is None:
        return invalid(NO_SCHEDULE.format(key))
    assert job.task_config is not None
    assert_not_updating(tx, key)
    if job.task_config.job != key:
        return invalid(f"taskConfig.job {job.task_config.job} differs from the job's key {key}")
    check_instance_count(tx, job.instance_count)
    policy = CollisionPolicy(job.cron_collision_policy or 0)
    quota.check_template(tx, key, job.task_config, job.instance_count)
    known = tx.state.cron_jobs.get(key)
    if known is None and replace:
        return invalid(f"No cron job found for {key}")
    if known is None and tx.state.tasks.active.get(key):
        return invalid(f"Job already exists and runs: {key}")
    if policy is CollisionPolicy.RUN_OVERLAP:
        return invalid(NO_OVERLAP)
    try:
        parse(job.cron_schedule)
    except WrongSchedule as wrong:
        return invalid(f"cronSchedule: {wrong}")
    stands = known.runs if known is not None and known.schedule == job.cron_schedule else _runs_from(tx, known)
    config = tx.intern(job.task_config)
    made = CronJob(key, config, job.instance_count, job.cron_schedule, policy, job.owner_user, stands)
    tx.apply(ops.SaveCronJob(made))
    runs.arm(tx, made)
    verb = "scheduled" if known is None else "replaced"
    tx.say(
        key,
        f"cron job {verb} by {user}: {job.cron_schedule!r}, {runs.many(job.instance_count, 'instance')}, {policy.name}",
    )
    return OK


def _runs_from(tx: Transaction, known: CronJob | None) -> Runs:
    """A new schedule is followed from now on; what was counted stays."""
    if known is None:
        return Runs(tx.now_ms)
    old = known.runs
    return Runs(tx.now_ms, old.last_run_ms, old.waiting_ms, old.missed, old.last_missed_ms, old.held_back)


def replace(tx: Transaction, description: JobConfiguration, user: str) -> Answer:
    return schedule(tx, description, user, replace=True)


def deschedule(tx: Transaction, job: JobKey, user: str) -> Answer:
    """Remove a template; what runs goes on. One that is not there is no error, but is told."""
    require_job_key(job)
    assert_not_updating(tx, job)
    if job not in tx.state.cron_jobs:
        return Answer(Code.OK, (NOT_SCHEDULED.format(job),))
    tx.apply(ops.RemoveCronJob(job))
    tx.state.replace(tx.state.next_cron_runs, job, None)
    tx.say(job, f"cron job descheduled by {user}")
    return OK


def start(tx: Transaction, job: JobKey, user: str) -> Answer:
    """A run, now, as if it were due. What stands in its way is told."""
    require_job_key(job)
    cron = tx.state.cron_jobs.get(job)
    if cron is None:
        return invalid(f"Failed to start cron job: {NOT_SCHEDULED.format(job)}")
    told = runs.begin(tx, cron, f"started by {user}")
    return Answer(details=(told,)) if told else OK


def show(state: State, policy: Policy, job: JobKey) -> Answer:
    """A cron job and where its runs stand."""
    require_job_key(job)
    cron = state.cron_jobs.get(job)
    if cron is None:
        return error(NOT_SCHEDULED.format(job))
    return Answer(result=CronReport(cron.as_job(), cron.runs, state.next_cron_runs.get(job)))
