"""`thesan serve`: flags in, one server in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import click

from scheduler.app.engines import engine_warning
from scheduler.app.flags.command import FlagCommand
from scheduler.app.ports import CannotStart
from scheduler.app.server import Server
from scheduler.failpoints.from_env import arm_from_env
from scheduler.settings import Settings
from scheduler.telemetry.lines import to_stderr

LOG = logging.getLogger("thesan")


def run(settings: Settings, warnings: Sequence[str]) -> None:
    """One server, until it is told to stop. Raises click.ClickException where it cannot start."""
    to_stderr(settings.log_level.upper())
    for library in ("apscheduler", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for warning in (*warnings, engine_warning(settings)):
        if warning is not None:
            LOG.warning("%s", warning)
    try:
        armed = arm_from_env()
    except ValueError as wrong:
        raise click.ClickException(str(wrong)) from None
    if armed:
        LOG.warning("armed for a test: this process stops itself at failpoint %s", armed)
    try:
        asyncio.run(Server(settings).run())
    except CannotStart as wrong:
        raise click.ClickException(str(wrong)) from None


serve = FlagCommand(
    run,
    name="serve",
    help="Run the scheduler in the foreground. Ends on SIGTERM or Ctrl-C; tasks live on and are taken up again.",
)
