"""`thesan update heartbeat|override|retry|skip`: Thesan's own calls, which Aurora does not have."""

from __future__ import annotations

from typing import Any

import click

from scheduler.client.beats import VERDICTS, answer_text
from scheduler.client.connection import details_of
from scheduler.client.errors import Usage
from scheduler.client.keys import path_of
from scheduler.client.options import (
    Duration,
    instances_option,
    json_option,
    message_option,
    server_option,
    update_arguments,
)
from scheduler.client.output import echo, print_json
from scheduler.client.plain import plain
from scheduler.client.progress import status_name
from scheduler.client.quantities import time_text
from scheduler.client.update_calls import connect_update
from scheduler.interface import thesan


@click.command()
@update_arguments
@click.option("--verdict", type=click.Choice(list(VERDICTS), case_sensitive=False), default="PROCEED")
@click.option("--reason", default="", help="Kept in the history with what the verdict does.")
@click.option("--link", default="", help="Where a person sees more.")
@click.option("--source", default="", help="Who says so.")
@json_option
@server_option
def heartbeat(
    jobkey: str,
    update_id: str | None,
    verdict: str,
    reason: str,
    link: str,
    source: str,
    as_json: bool,
    server: str,
) -> None:
    """Say what a monitor says, once.

    PROCEED: all is well. WAIT: a soft pause, lifted by the next PROCEED. PAUSE: lifted by a person only. ROLL_BACK and
    ABORT: it turns, or ends.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=True)
    beat = thesan.Heartbeat(key=key, verdict=VERDICTS[verdict.upper()], reason=reason, link=link, source=source)
    answer = connection.call("heartbeat", heartbeat=beat)
    if as_json:
        print_json({"job": path_of(key.job), "id": key.id, **plain(answer)})
    else:
        echo(f"{path_of(key.job)}: {answer_text(answer)}")


@click.command()
@update_arguments
@click.option("--for", "duration_ms", type=Duration(), required=True, metavar="TIME", help="0 ends it now.")
@message_option
@json_option
@server_option
def override(
    jobkey: str, update_id: str | None, duration_ms: int, message: str | None, as_json: bool, server: str
) -> None:
    """Answer for an update in its monitor's place, for a time.

    It acts without heartbeats until then. Say why with --message: it is kept with your name.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=True)
    tell_answer(key, connection.call("overrideHeartbeat", key=key, durationMs=duration_ms, reason=message), as_json)


@click.command()
@update_arguments
@instances_option("These")
@message_option
@json_option
@server_option
def retry(
    jobkey: str,
    update_id: str | None,
    instances: tuple[int, ...],
    message: str | None,
    as_json: bool,
    server: str,
) -> None:
    """Give instances that failed, or were left out, another turn. Say why with --message."""
    _set_aside("retryInstances", server, jobkey, update_id, instances, message, as_json)


@click.command()
@update_arguments
@instances_option("These")
@message_option
@json_option
@server_option
def skip(
    jobkey: str,
    update_id: str | None,
    instances: tuple[int, ...],
    message: str | None,
    as_json: bool,
    server: str,
) -> None:
    """Leave instances as they are; they count as done. Say why with --message."""
    _set_aside("skipInstances", server, jobkey, update_id, instances, message, as_json)


def _set_aside(
    method: str,
    server: str,
    jobkey: str,
    update_id: str | None,
    instances: tuple[int, ...],
    message: str | None,
    as_json: bool,
) -> None:
    if not instances:
        raise Usage("--instances: name at least one, such as 0-2,5")
    connection, key = connect_update(server, jobkey, update_id, active_only=True)
    tell_answer(key, connection.call(method, key=key, instances=set(instances), reason=message), as_json)


def tell_answer(key: Any, answer: Any, as_json: bool) -> None:
    """An UpdateAnswer, for people or for programs."""
    name, until_ms = status_name(answer.status), answer.untilTimestampMs or 0
    if as_json:
        said = {"job": path_of(key.job), "id": key.id, "status": name, "message": details_of(answer)}
        print_json({**said, "until_ms": until_ms})
        return
    until = f", until {time_text(until_ms)}" if until_ms else ""
    said_text = f"; {details_of(answer)}" if details_of(answer) else ""
    echo(f"{path_of(key.job)}: update {key.id} is {name}{until}{said_text}")
