"""`thesan cron`: schedule, deschedule, start, show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scheduler.client.connection import Connection, details_of
from scheduler.client.errors import Usage
from scheduler.client.job_file import load_job_file
from scheduler.client.keys import check_cluster, parse_job_argument
from scheduler.client.options import JOB_FILE, server_option
from scheduler.client.output import echo
from scheduler.client.quantities import time_text
from scheduler.interface import aurora


@click.group()
def cron() -> None:
    """Run jobs by a schedule."""


@cron.command()
@click.argument("file", type=JOB_FILE)
@server_option
def schedule(file: Path, server: str) -> None:
    """Schedule the job that FILE describes, or replace its template."""
    described = load_job_file(file)
    if described.cron_schedule is None:
        raise Usage(f"{file}: cron_schedule is missing; it says when the job runs")
    connection = Connection(server)
    check_cluster(connection, described.job.cluster)
    connection.call("scheduleCronJob", description=described.job_configuration())
    echo(f"{described.job.path}: scheduled, {described.cron_schedule}")


@cron.command()
@click.argument("jobkey")
@server_option
def deschedule(jobkey: str, server: str) -> None:
    """Forget a job's schedule. What runs goes on."""
    path, response = _about(jobkey, server, "descheduleCronJob")
    echo(f"{path}: {details_of(response) or 'descheduled'}")


@cron.command()
@click.argument("jobkey")
@server_option
def start(jobkey: str, server: str) -> None:
    """Run a cron job now."""
    path, response = _about(jobkey, server, "startCronJob")
    echo(f"{path}: {details_of(response) or 'started'}")


@cron.command()
@click.argument("jobkey")
@server_option
def show(jobkey: str, server: str) -> None:
    """Show a cron job: when it runs, and what became of its runs."""
    path, found = _about(jobkey, server, "showCronJob")
    policy = aurora.CronCollisionPolicy._VALUES_TO_NAMES[found.job.cronCollisionPolicy]
    rows = [
        ("schedule", f"{found.job.cronSchedule}, {policy}"),
        ("instances", found.job.instanceCount),
        ("next run", time_text(found.nextRunMs) if found.nextRunMs else "never"),
        ("last run", time_text(found.lastRunMs) if found.lastRunMs else "never"),
    ]
    if found.waitingSinceMs:
        rows.append(("waits", f"for the run before it to end, since {time_text(found.waitingSinceMs)}"))
    if found.missedRuns:
        rows.append(("missed", f"{found.missedRuns}, the last at {time_text(found.lastMissedMs)}"))
    if found.heldBackRuns:
        rows.append(("held back", found.heldBackRuns))
    echo(path)
    for name, value in rows:
        echo(f"  {name:10}{value}")


def _about(jobkey: str, server: str, method: str) -> tuple[str, Any]:
    key = parse_job_argument(jobkey)
    connection = Connection(server)
    check_cluster(connection, key.cluster)
    return key.path, connection.call(method, job=key.key())
