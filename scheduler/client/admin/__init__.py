"""`thesan admin`: the commands of Aurora's `aurora_admin` under their names, for who runs the scheduler.

What is the same, and what is not: `docs/command.md`, "For administrators".
"""

from __future__ import annotations

import click

from scheduler.client.admin import hosts, quota, scheduler, tasks

__all__ = ["admin"]


@click.group()
def admin() -> None:
    """Run the scheduler: backups, recovery, hosts, quota, tasks of everybody. Names are those of aurora_admin."""


for _command in (*hosts.COMMANDS, *quota.COMMANDS, *scheduler.COMMANDS, *tasks.COMMANDS):
    admin.add_command(_command)
