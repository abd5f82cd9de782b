"""Requests that create and end tasks: createJob, killTasks, restartShards, addInstances.

Source: Aurora's interface and documentation; order of checks and codes: `docs/compatibility.md`, "Jobs".
"""

from __future__ import annotations

from scheduler.core import quota
from scheduler.core.answers import OK, Answer, Code, Refused, error, invalid
from scheduler.core.records import JobConfiguration, JobKey, TaskConfig, TaskStatus
from scheduler.core.state import State
from scheduler.core.tasks import actions
from scheduler.core.tasks.lifecycle import Outcome, transition
from scheduler.core.transaction import Transaction
from scheduler.core.validation import require_job_key, valid_job

NO_CRON = "Cron jobs may only be created/updated by calling scheduleCronJob."
NO_CRON_DIFF = "Cron jobs are not supported."
NO_TASKS_TO_KILL = "No tasks to kill."


def create(tx: Transaction, description: JobConfiguration, user: str) -> Answer:
    """Create a job: instances 0..n-1, all PENDING."""
    job = valid_job(tx.policy, description)
    assert job.key is not None and job.task_config is not None
    if job.cron_schedule is not None:
        return invalid(NO_CRON)
    assert_not_updating(tx, job.key)
    if job.task_config.job != job.key:
        return invalid(f"taskConfig.job {job.task_config.job} differs from the job's key {job.key}")
    if tx.state.tasks.active.get(job.key) or job.key in tx.state.cron_jobs:
        return invalid(f"Job already exists: {job.key}")
    check_instance_count(tx, job.instance_count)
    quota.check_added(tx, job.task_config, job.instance_count)
    config = tx.intern(job.task_config)
    for instance in range(job.instance_count):
        actions.create(tx, config, instance)
    tx.say(job.key, f"created with {job.instance_count} instances by {user}")
    return OK


def kill(tx: Transaction, job: JobKey, instances: tuple[int, ...], user: str, message: str | None) -> Answer:
    """End the active tasks of a job, or those of some instances. Nothing to end is no error, but is told."""
    require_job_key(job)
    assert_not_updating(tx, job)
    active = dict(tx.state.tasks.active.get(job, {}))
    chosen = sorted(active if not instances else set(instances) & active.keys())
    audit = f"Killed by {user}" + (f".\n{message}" if message else "")
    killed = [i for i in chosen if actions.kill(tx, active[i], audit) is Outcome.SUCCESS]
    if not killed:
        return Answer(Code.OK, (NO_TASKS_TO_KILL,))
    tx.say(job, f"instances {killed} killed by {user}")
    return OK


def restart(tx: Transaction, job: JobKey, instances: tuple[int, ...], user: str) -> Answer:
    """Restart instances, all of which must be active. A task without a host has nothing to restart and is left."""
    require_job_key(job)
    if not instances:
        return error("At least one shardId must be specified.")
    assert_not_updating(tx, job)
    active = tx.state.tasks.active.get(job, {})
    wanted = sorted(set(instances))
    missing = [i for i in wanted if i not in active]
    if missing:
        return invalid(f"Not all requested shards are active: {missing}")
    for instance in wanted:
        transition(tx, active[instance].task_id, TaskStatus.RESTARTING, f"Restarted by {user}")
    tx.say(job, f"instances {wanted} restarted by {user}")
    return OK


def add(tx: Transaction, job: JobKey, instance: int, count: int, user: str) -> Answer:
    """Add instances after the highest one, with the configuration of an active one."""
    require_job_key(job)
    if count <= 0:
        return invalid(f"Instance count must be a positive number, not {count}")
    if job in tx.state.cron_jobs:
        return invalid("Instances may not be added to cron jobs.")
    assert_not_updating(tx, job)
    active = tx.state.tasks.active.get(job, {})
    if instance not in active:
        return invalid(f"Instance {instance} of {job} does not exist")
    config: TaskConfig = active[instance].config
    check_instance_count(tx, len(active) + count)
    quota.check_added(tx, config, count)
    first = max(active) + 1
    for new in range(first, first + count):
        actions.create(tx, config, new)
    tx.say(job, f"{count} instances added from {first} on by {user}")
    return OK


def refuse_cron(state: State, job: JobKey, sentence: str) -> None:
    """What runs by a schedule is changed by replacing its template. `sentence` is Aurora's for the call."""
    if job in state.cron_jobs:
        raise Refused(invalid(sentence))


def assert_not_updating(tx: Transaction, job: JobKey) -> None:
    if job in tx.state.updates.active:
        raise Refused(Answer(Code.JOB_UPDATING_ERROR, ("Job is currently updating",)))


def check_instance_count(tx: Transaction, count: int) -> None:
    limit = tx.policy.max_tasks_per_job
    if not 0 < count <= limit:
        raise Refused(invalid(f"Instance count must be between 1 and {limit} inclusive."))
