"""`thesan admin query`, `prune_tasks` and `reconcile_tasks`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from scheduler.client.admin.words import Words
from scheduler.client.connection import Connection
from scheduler.client.errors import Usage
from scheduler.client.options import Instances, server_option
from scheduler.client.output import echo
from scheduler.interface import aurora
from scheduler.visible import visible

__all__ = ["COMMANDS", "write_tasks"]

DEFAULT_FORMAT: Final = "%role%/%env%/%jobName%/%instanceId% %status% %taskId%"
FIELDS: Final[dict[str, Callable[[Any], object]]] = {
    "role": lambda task: task.assignedTask.task.job.role,
    "env": lambda task: task.assignedTask.task.job.environment,
    "jobName": lambda task: task.assignedTask.task.job.name,
    "instanceId": lambda task: task.assignedTask.instanceId,
    "shardId": lambda task: task.assignedTask.instanceId,
    "taskId": lambda task: task.assignedTask.taskId,
    "status": lambda task: aurora.ScheduleStatus._VALUES_TO_NAMES[task.status],
    "slaveHost": lambda task: task.assignedTask.slaveHost or "-",
}
"""What --listformat may name."""


class States(Words):
    """Names of task states; the value has their numbers."""

    name = "states"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        known = aurora.ScheduleStatus._NAMES_TO_VALUES
        names = [word.upper() for word in super().convert(value, param, ctx)]
        unknown = [name for name in names if name not in known]
        if unknown:
            self.fail(f"{', '.join(unknown)} is no state; there are {', '.join(sorted(known))}", param, ctx)
        return tuple(known[name] for name in names)


@click.command("query")
@click.argument("role", required=False)
@click.argument("job", required=False)
@click.option("--force", is_flag=True, help="Also without a role and a job, and for states that are not active.")
@click.option("--shards", type=Instances(), default=(), metavar="LIST", help="Only these instances, such as 0-2,5.")
@click.option("--states", type=States(), default="RUNNING", show_default=True, metavar="LIST", help="Only these.")
@click.option("-l", "--listformat", default=DEFAULT_FORMAT, show_default=True, help="A line for each task.")
@server_option
def query(
    role: str | None,
    job: str | None,
    force: bool,
    shards: tuple[int, ...],
    states: tuple[int, ...],
    listformat: str,
    server: str,
) -> None:
    """List tasks of a role, or of its jobs of one name."""
    if not force and not (role and job):
        raise Usage("a query without a role and a job may be large; --force does it all the same")
    if not force and not set(states) <= set(aurora.ACTIVE_STATES):
        raise Usage("there may be many tasks in states that are not active; --force does it all the same")
    _check_format(listformat)
    wanted = aurora.TaskQuery(role=role, jobName=job, instanceIds=list(shards) or None, statuses=list(states))
    found = Connection(server, timeout_s=120).call("getTasksStatus", query=wanted)
    write_tasks(found.result.scheduleStatusResult.tasks, listformat)


def write_tasks(tasks: Iterable[Any], form: str = DEFAULT_FORMAT) -> None:
    """A line for each, ordered by job and instance."""

    def order(task: Any) -> tuple[str, str, str, int, str]:
        job = task.assignedTask.task.job
        return job.role, job.environment, job.name, task.assignedTask.instanceId, task.assignedTask.taskId

    for task in sorted(tasks, key=order):
        for line in _text(task, form).split("\n"):
            echo(line)


def _text(task: Any, form: str) -> str:
    return re.sub(r"%(\w+)%", lambda found: visible(str(FIELDS[found[1]](task))), form)


def _check_format(form: str) -> None:
    unknown = [name for name in re.findall(r"%(\w+)%", form) if name not in FIELDS]
    if unknown:
        raise Usage(f"--listformat: %{unknown[0]}% is not known; there are %{'%, %'.join(FIELDS)}%")


@click.command("prune_tasks")
@click.option("--states", type=States(), default=None, metavar="LIST", help="Only tasks in these states.")
@click.option("--role", default=None, help="Only tasks of this role.")
@click.option("--env", "environment", default=None, help="Only tasks of this environment.")
@click.option("--limit", type=click.IntRange(1), default=None, help="So many at most.")
@server_option
def prune_tasks(
    states: tuple[int, ...] | None, role: str | None, environment: str | None, limit: int | None, server: str
) -> None:
    """Forget tasks that have ended."""
    wanted = aurora.TaskQuery(role=role, environment=environment, statuses=states and list(states), limit=limit)
    Connection(server, timeout_s=120).call("pruneTasks", query=wanted)
    echo("tasks were pruned")


@click.command("reconcile_tasks")
@click.option(
    "-t", "--type", "kind", type=click.Choice(["explicit", "implicit"]), default="explicit", show_default=True
)
@click.option("-b", "--batch_size", type=click.IntRange(1), default=None, help="Of an explicit one.")
@server_option
def reconcile_tasks(kind: str, batch_size: int | None, server: str) -> None:
    """Compare the state with what the engine has, now."""
    connection = Connection(server)
    if kind == "implicit":
        connection.call("triggerImplicitTaskReconciliation")
    else:
        settings = aurora.ExplicitReconciliationSettings(batchSize=batch_size)
        connection.call("triggerExplicitTaskReconciliation", settings=settings)
    echo(f"an {kind} reconciliation was begun")


COMMANDS: Final = (query, prune_tasks, reconcile_tasks)
