"""`thesan job`: create, kill, status, list."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from scheduler.client.connection import Connection, details_of
from scheduler.client.errors import CommandError, Refused
from scheduler.client.job_file import load_job_file
from scheduler.client.keys import Job, connect, parse_job_argument, parse_scope, path_of
from scheduler.client.options import (
    JOB_FILE,
    instances_option,
    json_option,
    message_option,
    server_option,
    timeout_option,
)
from scheduler.client.output import Complaints, count_of, echo, print_json, write_table
from scheduler.client.plain import plain
from scheduler.client.quantities import duration_text, instances_text, time_text
from scheduler.client.watch import ask_until
from scheduler.interface import aurora

_STATUS: Final = aurora.ScheduleStatus
_NAMES: Final = _STATUS._VALUES_TO_NAMES
_POLL_S: Final = 0.3


@click.group()
def job() -> None:
    """Create, end and look at jobs."""


@job.command()
@click.argument("file", type=JOB_FILE)
@click.option("--wait", is_flag=True, help="Wait until every instance is RUNNING.")
@timeout_option
@json_option
@server_option
def create(file: Path, wait: bool, timeout_ms: int | None, as_json: bool, server: str) -> None:
    """Create the job that FILE describes."""
    described = load_job_file(file)
    connection = connect(server, described.job.cluster)
    connection.call("createJob", description=described.job_configuration())
    if wait:
        wanted = frozenset(range(described.instances))
        wait_for(connection, described.job, lambda tasks: _running(tasks) >= wanted, "RUNNING", timeout_ms)
    if as_json:
        print_json({"job": described.job.path, "instances": described.instances})
    else:
        state = "RUNNING" if wait else "PENDING"
        echo(f"{described.job.path}: created, {count_of(described.instances, 'instance')} {state}")


@job.command()
@click.argument("jobkey")
@instances_option("Only these")
@message_option
@click.option("--wait", is_flag=True, help="Wait until they have ended.")
@timeout_option
@json_option
@server_option
def kill(
    jobkey: str,
    instances: tuple[int, ...],
    message: str | None,
    wait: bool,
    timeout_ms: int | None,
    as_json: bool,
    server: str,
) -> None:
    """End all instances of a job, or some of them."""
    key = parse_job_argument(jobkey)
    connection = connect(server, key.cluster)
    response = connection.call("killTasks", job=key.key(), instances=set(instances), message=message)
    nothing = details_of(response)
    if wait:
        ids = set(instances)
        wait_for(connection, key, lambda tasks: not _active(tasks, ids), "gone", timeout_ms)
    which = f"instances {instances_text(instances)}" if instances else "all instances"
    if as_json:
        print_json({"job": key.path, "instances": list(instances) or None, "killed": not nothing, "message": nothing})
    else:
        echo(f"{key.path}: {nothing}" if nothing else f"{key.path}: {which} {'ended' if wait else 'are ending'}")


@job.command()
@click.argument("jobkey")
@json_option
@server_option
def status(jobkey: str, as_json: bool, server: str) -> None:
    """Show a job's instances.

    The active ones first, then those that ended.
    """
    key = parse_job_argument(jobkey)
    connection = connect(server, key.cluster)
    tasks = get_tasks(connection, key)
    if as_json:
        print_json([_status_json(path, mine) for path, mine in _by_job(tasks)])
        return
    if not tasks:
        raise CommandError(f"no task of {key.path} is known")
    active = [task for task in tasks if _is_active(task)]
    ended = [task for task in tasks if not _is_active(task)]
    reasons = pending_reasons(connection, key) if any(task.status == _STATUS.PENDING for task in active) else {}
    echo(f"{key.path}: {count_of(len(active), 'active task')}, {len(ended)} ended")
    header = ("INSTANCE", "STATUS", "SINCE", "HOST", "PORTS", "WHY")
    write_table(header, [_row(task, reasons) for task in (*active, *ended)])


@job.command("list")
@click.argument("scope", required=False)
@json_option
@server_option
def list_jobs(scope: str | None, as_json: bool, server: str) -> None:
    """List jobs with active tasks.

    SCOPE is a role, role/environment, or a job key; * stands for any part.
    """
    wanted = parse_scope(scope)
    connection = connect(server, wanted.cluster)
    response = connection.call("getJobs", ownerRole=wanted.role or None)
    found = [one for one in response.result.getJobsResult.configs if wanted.holds(one.key)]
    found.sort(key=lambda one: path_of(one.key))
    if as_json:
        print_json([{"job": path_of(one.key), "configuration": plain(one)} for one in found])
        return
    rows = [(path_of(one.key), str(one.instanceCount), one.taskConfig.tier or "", _resources(one)) for one in found]
    write_table(("JOB", "INSTANCES", "TIER", "EACH"), rows)


# --- tasks -----------------------------------------------------------------------------------------------------------


def get_tasks(connection: Connection, key: Job) -> list[Any]:
    """The ScheduledTask structs of a job, ended ones too, by instance and then by age, the youngest first."""
    query = aurora.TaskQuery(jobKeys=[key.key()])
    tasks = connection.call("getTasksWithoutConfigs", query=query).result.scheduleStatusResult.tasks
    return sorted(tasks, key=lambda task: (task.assignedTask.instanceId, -_since_ms(task)))


def pending_reasons(connection: Connection, key: Job) -> dict[str, str]:
    """Task id to why it still waits for a host; empty from a server that does not tell."""
    try:
        response = connection.call("getPendingReason", query=aurora.TaskQuery(jobKeys=[key.key()]))
    except Refused:
        return {}
    return {row.taskId: row.reason for row in response.result.getPendingReasonResult.reasons}


def wait_for(connection: Connection, key: Job, done: Any, what: str, timeout_ms: int | None) -> None:
    """Ask for the job's tasks until `done(tasks)`; puts up with a server that is away. Raises as `ask_until`."""

    def late(tasks: list[Any] | None, timeout_ms: int) -> str:
        active = [task for task in tasks or () if _is_active(task)]
        are = ", ".join(f"{task.assignedTask.instanceId} {_NAMES[task.status]}" for task in active) or "none"
        instances = "not known" if tasks is None else are
        return f"{key.path}: not {what} after {duration_text(timeout_ms)}; instances: {instances}"

    retry_s, connection.retry_s = connection.retry_s, 0  # whoever waits has patience of its own
    try:
        ask_until(
            done,
            lambda: get_tasks(connection, key),
            note=Complaints(),
            late=late,
            timeout_ms=timeout_ms,
            goes_on="no longer watching; what was asked for goes on without you",
            every_s=_POLL_S,
        )
    finally:
        connection.retry_s = retry_s


def _is_active(task: Any) -> bool:
    return task.status in aurora.ACTIVE_STATES


def _active(tasks: Iterable[Any], ids: set[int]) -> set[int]:
    """Active instances, of `ids` if there are any."""
    found = {task.assignedTask.instanceId for task in tasks if _is_active(task)}
    return found & ids if ids else found


def _running(tasks: Iterable[Any]) -> set[int]:
    return {task.assignedTask.instanceId for task in tasks if task.status == _STATUS.RUNNING}


def _since_ms(task: Any) -> int:
    return task.taskEvents[-1].timestamp if task.taskEvents else 0


def _row(task: Any, reasons: dict[str, str]) -> tuple[str, ...]:
    assigned = task.assignedTask
    ports = " ".join(f"{name}={port}" for name, port in sorted((assigned.assignedPorts or {}).items()))
    why = reasons.get(assigned.taskId) or ((task.taskEvents[-1].message or "") if task.taskEvents else "")
    return (
        str(assigned.instanceId),
        _NAMES.get(task.status, str(task.status)),
        time_text(_since_ms(task)),
        assigned.slaveHost or "",
        ports,
        why.replace("\n", " "),
    )


def _by_job(tasks: list[Any]) -> list[tuple[str, list[Any]]]:
    groups: dict[str, list[Any]] = {}
    for task in tasks:
        groups.setdefault(path_of(task.assignedTask.task.job), []).append(task)
    return sorted(groups.items())


def _status_json(path: str, tasks: list[Any]) -> dict[str, Any]:
    """The form of Aurora's client: status names under `active` and `inactive`."""
    return {
        "job": path,
        "active": [plain(task) for task in tasks if _is_active(task)],
        "inactive": [plain(task) for task in tasks if not _is_active(task)],
    }


def _resources(one: Any) -> str:
    """`0.1 cpus, 64 MB ram, 32 MB disk`."""
    amounts: dict[str, str] = {}
    for resource in one.taskConfig.resources or ():
        if resource.numCpus is not None:
            amounts["cpus"] = f"{resource.numCpus:g} cpus"
        elif resource.ramMb is not None:
            amounts["ram"] = f"{resource.ramMb} MB ram"
        elif resource.diskMb is not None:
            amounts["disk"] = f"{resource.diskMb} MB disk"
    return ", ".join(amounts[kind] for kind in ("cpus", "ram", "disk") if kind in amounts)
