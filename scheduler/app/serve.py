"""`thesan serve`: flags in, one server in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from scheduler.app.ports import CannotStart
from scheduler.app.server import Server
from scheduler.failpoints.from_env import arm_from_env
from scheduler.settings import (
    ENGINES,
    MAX_MESSAGE_BYTES,
    PULSE_AFTER_FAILOVER,
    Settings,
    WrongSetting,
    default_data_dir,
)


class PortRange(click.ParamType[tuple[int, int]]):
    """`FIRST-LAST`, both included."""

    name = "FIRST-LAST"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        first, _, last = str(value).partition("-")
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 65_535):
            self.fail(f"{value!r} is no range of ports; give FIRST-LAST, from 1 to 65535", param, ctx)
        return int(first), int(last)


@click.command()
@click.option("--http-port", default=8081, show_default=True, help="HTTP: Thrift at /api, /health, /vars. 0: any free.")
@click.option("--thrift-port", default=8082, show_default=True, help="Raw Thrift: framed or unframed. 0: any free.")
@click.option(
    "--ip",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Whoever reaches it may run processes here.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=default_data_dir,
    help="Where the changelog and the local engine keep everything.  [default: $XDG_STATE_HOME/thesan]",
)
@click.option(
    "--cluster-name", default="local", show_default=True, help="The cluster's name; stands in every response."
)
@click.option("--hostname", default=None, help="The name of this host as clients know it.")
@click.option("--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="What runs tasks.")
@click.option("--enable-cors-for", default=None, metavar="ORIGIN", help="The one web origin whose pages may call /api.")
@click.option(
    "--pulse-record-grace-ms",
    type=click.IntRange(0),
    default=None,
    help="How long after its timeout a missing heartbeat is recorded.  [default: 5 % of it, 1 to 5 s]",
)
@click.option(
    "--pulse-after-failover",
    type=click.Choice(PULSE_AFTER_FAILOVER),
    default="wait",
    show_default=True,
    help="Wait for a heartbeat, or infer the last one from the history, for monitors that beat rarely.",
)
@click.option("--kill-grace-ms", type=click.IntRange(0), default=15_000, show_default=True, help="From TERM to KILL.")
@click.option(
    "--simulated-hosts", type=click.IntRange(1), default=100, show_default=True, help="With --engine simulated."
)
@click.option(
    "--port-range",
    type=PortRange(),
    default="31000-31999",
    show_default=True,
    help="Ports the local engine hands out to tasks, both ends included.",
)
@click.option(
    "--max-message-bytes",
    type=click.IntRange(1024, MAX_MESSAGE_BYTES),
    default=MAX_MESSAGE_BYTES,
    show_default=True,
    help="Of one Thrift call; a longer one is refused.",
)
@click.option(
    "--request-timeout-ms",
    type=click.IntRange(1),
    default=30_000,
    show_default=True,
    help="In which a request must arrive, and a client must take something of its answer.",
)
@click.option("--max-connections", type=click.IntRange(1), default=10_000, show_default=True, help="On both ports.")
@click.option(
    "--max-connections-per-address",
    type=click.IntRange(1),
    default=2_500,
    show_default=True,
    help="The same, from one address.",
)
@click.option(
    "--max-outstanding-answer-bytes",
    type=click.IntRange(0),
    default=512 * 1024 * 1024,
    show_default=True,
    help="Of large answers on their way; beyond it a read is to be tried again.",
)
@click.option(
    "--log-level", type=click.Choice(("debug", "info", "warning", "error")), default="info", show_default=True
)
def serve(log_level: str, hostname: str | None, **flags: object) -> None:
    """Run the scheduler in the foreground. Ends on SIGTERM or Ctrl-C; tasks live on and are taken up again."""
    logging.basicConfig(level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s")
    for library in ("apscheduler", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        armed = arm_from_env()
    except ValueError as wrong:
        raise click.ClickException(str(wrong)) from None
    if armed:
        logging.getLogger("thesan").warning("armed for a test: this process stops itself at failpoint %s", armed)
    try:
        named = {"hostname": hostname} if hostname else {}
        settings = Settings(**flags, **named)  # type: ignore[arg-type]
        asyncio.run(Server(settings).run())
    except (WrongSetting, CannotStart) as wrong:
        raise click.ClickException(str(wrong)) from None
