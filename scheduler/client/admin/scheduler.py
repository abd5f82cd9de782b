"""`thesan admin get_scheduler` and `scheduler_...`: who leads, snapshots, backups, recovery."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import click

from scheduler.client.admin.tasks import write_tasks
from scheduler.client.admin.words import Words
from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError
from scheduler.client.options import server_option
from scheduler.client.output import echo
from scheduler.interface import aurora

__all__ = ["COMMANDS"]


@click.command("get_scheduler")
@server_option
def get_scheduler(server: str) -> None:
    """Print where the leader is."""
    connection = Connection(server)
    connection.call("getTierConfigs")  # asks until somebody answers, wherever that is
    answer = connection.get("/quotas")  # any page that a standby sends on to its leader
    if answer.status_code != 200:
        raise CommandError(f"nobody leads: {urlsplit(answer.url).netloc} answered {answer.status_code} {answer.reason}")
    found = urlsplit(answer.url)
    echo(f"Found leading scheduler at: {found.scheme}://{found.netloc}")


@click.command("scheduler_snapshot")
@server_option
def snapshot(server: str) -> None:
    """Write a snapshot now, behind which the log can be cut."""
    _call(server, "snapshot", "snapshot written")


@click.command("scheduler_backup_now")
@server_option
def backup_now(server: str) -> None:
    """Write a backup now."""
    _call(server, "performBackup", "backup written")


@click.command("scheduler_list_backups")
@server_option
def list_backups(server: str) -> None:
    """List the leader's backups, the oldest first."""
    found = Connection(server).call("listBackups").result.listBackupsResult.backups
    for name in sorted(found) or ["There are no backups."]:
        echo(name)


@click.command("scheduler_stage_recovery")
@click.argument("backup_id")
@server_option
def stage_recovery(backup_id: str, server: str) -> None:
    """Load a backup beside the state, to be looked at, edited, and committed or unloaded."""
    _call(server, "stageRecovery", f"{backup_id} is staged", backupId=backup_id)


@click.command("scheduler_print_recovery_tasks")
@server_option
def print_recovery_tasks(server: str) -> None:
    """List the active tasks of the staged backup."""
    query = aurora.TaskQuery(statuses=list(aurora.ACTIVE_STATES))
    write_tasks(Connection(server).call("queryRecovery", query=query).result.queryRecoveryResult.tasks)


@click.command("scheduler_delete_recovery_tasks")
@click.argument("task_ids", type=Words())
@server_option
def delete_recovery_tasks(task_ids: tuple[str, ...], server: str) -> None:
    """Take tasks (ID,ID) out of the staged backup."""
    _call(server, "deleteRecoveryTasks", "deleted", query=aurora.TaskQuery(taskIds=list(task_ids)))


@click.command("scheduler_commit_recovery")
@server_option
def commit_recovery(server: str) -> None:
    """Make the staged backup the state. All that happened since is gone."""
    _call(server, "commitRecovery", "the backup is the state now; the scheduler begins anew with it")


@click.command("scheduler_unload_recovery")
@server_option
def unload_recovery(server: str) -> None:
    """Forget the staged backup."""
    _call(server, "unloadRecovery", "unloaded")


def _call(server: str, method: str, done: str, **arguments: Any) -> None:
    Connection(server, timeout_s=120).call(method, **arguments)
    echo(done)


COMMANDS: Final = (
    get_scheduler,
    snapshot,
    backup_now,
    list_backups,
    stage_recovery,
    print_recovery_tasks,
    delete_recovery_tasks,
    commit_recovery,
    unload_recovery,
)
