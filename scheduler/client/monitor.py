"""`thesan monitor`: heartbeats with a verdict for as long as an update goes on."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import click

from scheduler.client.access import access_to, place_of, server_for
from scheduler.client.beats import RETRY_S, VERDICTS, Beats, Settings, Tally, arrived
from scheduler.client.checks import check_for
from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, Exit, Interrupted, Usage
from scheduler.client.keys import Job, check_cluster, parse_job_argument, path_of
from scheduler.client.options import Duration, json_option, server_option
from scheduler.client.output import echo, print_json
from scheduler.client.progress import status_name
from scheduler.client.quantities import duration_text
from scheduler.client.update_calls import find_update
from scheduler.client.watch import PATIENCE_S

LEAST_MS: Final = 100
MOST_MS: Final = 24 * 86_400_000
"""No update waits longer for a heartbeat: Thrift's i32 holds no more milliseconds."""
_ON_FAILURE: Final = [name for name in VERDICTS if name != "PROCEED"]


@click.command()
@click.argument("update")
@click.option(
    "--every",
    "every_ms",
    type=Duration(),
    required=True,
    metavar="TIME",
    help="From one heartbeat to the next; a third of the update's pulse_timeout is good.",
)
@click.option("--run", "command", metavar="CMD", help="A command of the shell; exit code 0 passes.")
@click.option("--http", "url", metavar="URL", help="A page; 2xx passes.")
@click.option("--vars", "figure", metavar="NAME<LIMIT", help="A figure of the /vars page; also <=, > and >=.")
@click.option("--vars-url", metavar="URL", help="The /vars page of another server than the scheduler.")
@click.option(
    "--on-failure",
    type=click.Choice(_ON_FAILURE, case_sensitive=False),
    default="WAIT",
    show_default=True,
    help="What is said when the check fails.",
)
@click.option(
    "--check-timeout",
    "check_timeout_ms",
    type=Duration(),
    default=None,
    metavar="TIME",
    help="A check that takes longer has failed; --every if not given, and at most that.",
)
@click.option("--link", default="", help="Where a person sees more; kept in the history.")
@click.option("--source", default="", help="Who says so; this machine's name if not given.")
@json_option
@server_option
@click.pass_context
def monitor(
    ctx: click.Context,
    update: str,
    every_ms: int,
    command: str | None,
    url: str | None,
    figure: str | None,
    vars_url: str | None,
    on_failure: str,
    check_timeout_ms: int | None,
    link: str,
    source: str,
    as_json: bool,
    server: str,
) -> None:
    """Watch over an update with a check of yours.

    UPDATE is role/environment/name (its active update) or role/environment/name/ID. The check looks at once, and its
    verdict is sent at once; then again every TIME, until the update has ended. A scheduler that is away is tried again
    for as long as it takes. Exit code 0: it ROLLED_FORWARD; 1: it ended otherwise.
    """
    settings = _settings(every_ms, check_timeout_ms, on_failure, link, source)
    job, update_id = parse_update_argument(update)
    server = server_for(server, job.cluster)
    ca_file = access_to(server).verify if vars_url is None else None
    check = check_for(command, url, figure, vars_url or leader_vars(server), ca_file)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        key = _find(server, job, update_id)
        beats = Beats(server, key, check, settings, _teller(to_stderr=as_json), _teller(to_stderr=True))
        status = beats.until_ended()
    except KeyboardInterrupt:
        raise Interrupted("no longer watching; the update goes on without this monitor") from None
    _report(key, status, beats.tally, as_json)
    ctx.exit(Exit.OK if arrived(status) else Exit.FAILED)


def leader_vars(server: str) -> Callable[[], str]:
    """The /vars page of whoever leads when it is looked at."""
    place = place_of(server)
    return lambda: f"{place.find()}/vars"


def parse_update_argument(text: str) -> tuple[Job, str | None]:
    """From role/environment/name[/ID], or cluster/role/environment/name/ID. Raises Usage."""
    if text.count("/") == 2:
        return parse_job_argument(text), None
    job, _, update_id = text.rpartition("/")
    if job.count("/") not in (2, 3) or not update_id:
        raise Usage(f"UPDATE must be role/environment/name or role/environment/name/ID, not {text!r}")
    return parse_job_argument(job), update_id


def _settings(every_ms: int, check_timeout_ms: int | None, on_failure: str, link: str, source: str) -> Settings:
    if not LEAST_MS <= every_ms <= MOST_MS:
        raise Usage(f"--every must be from {LEAST_MS}ms to {MOST_MS // 86_400_000}d")
    timeout_ms = every_ms if check_timeout_ms is None else check_timeout_ms
    if not 0 < timeout_ms <= every_ms:
        raise Usage("--check-timeout must be more than 0 and at most --every: heartbeats would be late")
    source = source or f"thesan monitor on {socket.gethostname()}"
    return Settings(every_ms / 1000, timeout_ms / 1000, VERDICTS[on_failure.upper()], link, source)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Asked to end is like Ctrl-C: a check that is under way is ended too."""
    raise KeyboardInterrupt


def _find(server: str, job: Job, update_id: str | None) -> Any:
    """The update's key; a scheduler that is away is waited for."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        connection = Connection(server, retry_s=0)
        try:
            check_cluster(connection, job.cluster)
            return find_update(connection, job, update_id, active_only=True)
        except CommandError as failure:
            if failure.exit_code != Exit.UNREACHABLE or time.monotonic() >= give_up_at:
                raise
        time.sleep(RETRY_S)


def _teller(*, to_stderr: bool) -> Callable[[str], None]:
    """Whatever becomes of its words: an update stands still without its monitor."""

    def tell(line: str) -> None:
        with contextlib.suppress(OSError, CommandError):
            echo(line, err=to_stderr)

    return tell


def _report(key: Any, status: int, tally: Tally, as_json: bool) -> None:
    name = status_name(status)
    if as_json:
        print_json(
            {
                "job": path_of(key.job),
                "id": key.id,
                "status": name,
                "heartbeats": tally.heartbeats,
                "failed_checks": tally.failed_checks,
                "unanswered": tally.unanswered,
                "late_mean_ms": round(tally.late_mean_ms, 1),
                "latest_ms": round(tally.latest_ms, 1),
                "longest_gap_ms": round(tally.longest_gap_ms),
            }
        )
        return
    late = f"late by {tally.late_mean_ms:.0f} ms on average and {tally.latest_ms:.0f} ms at most"
    _teller(to_stderr=False)(
        f"{path_of(key.job)}: {name}; {tally.heartbeats} heartbeats, {tally.failed_checks} checks failed, {late}, "
        f"longest gap {duration_text(tally.longest_gap_ms)}"
    )
