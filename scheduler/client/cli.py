"""The command `thesan`, put together. Its parts are loaded when they are used, so that it starts quickly."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from scheduler import __version__
from scheduler.client.errors import Interrupted


class Commands(click.Group):
    """A group whose members are imported on first use."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy: dict[str, tuple[str, str, str]] = {}

    def add_lazy(self, name: str, module: str, attribute: str, help_text: str) -> None:
        """Add the command `attribute` of `module`, with its line in the help."""
        self._lazy[name] = (module, attribute, help_text)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self._lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazy:
            module, attribute, _ = self._lazy[cmd_name]
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Raises Interrupted on Ctrl-C, also at a question: click's own end would be 1."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            raise Interrupted("interrupted") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = {name: command.get_short_help_str(80) for name, command in self.commands.items()}
        lines |= {name: help_text for name, (_, _, help_text) in self._lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(lines.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="thesan %(version)s")
def cli() -> None:
    """Thesan, a scheduler that speaks Apache Aurora's Thrift API.

    Exit codes: 0 done; 1 the command failed, or the update did not arrive; 2 wrong usage or a wrong job file; 3 server
    unreachable; 4 timed out; 5 not allowed; 130 interrupted.
    """


cli.add_lazy("job", "scheduler.client.jobs", "job", "Create, end and look at jobs.")
cli.add_lazy("update", "scheduler.client.updates", "update", "Bring jobs from one configuration to the next.")
cli.add_lazy("cron", "scheduler.client.cron", "cron", "Run jobs by a schedule.")
cli.add_lazy("quota", "scheduler.client.quota", "quota", "What a role may take, and what it takes.")
cli.add_lazy("doctor", "scheduler.client.doctor", "doctor", "Check this machine, and the server if there is one.")
cli.add_lazy("monitor", "scheduler.client.monitor", "monitor", "Watch over an update: heartbeats with a verdict.")
cli.add_lazy("admin", "scheduler.client.admin", "admin", "For who runs the scheduler: backups, quota, tasks.")
