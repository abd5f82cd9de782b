"""`thesan update explain|history`: looking at one update."""

from __future__ import annotations

import click

from scheduler.client.keys import path_of
from scheduler.client.options import json_option, server_option
from scheduler.client.output import print_json
from scheduler.client.plain import plain
from scheduler.client.progress import events_of
from scheduler.client.quantities import time_text
from scheduler.client.update_calls import connect_update
from scheduler.client.watch import get_details


@click.command()
@click.argument("jobkey")
@click.argument("update_id", metavar="[ID]", required=False)
@json_option
@server_option
def explain(jobkey: str, update_id: str | None, as_json: bool, server: str) -> None:
    """Say why an update is not moving.

    Who or what holds it, since when, and what comes next. By ID, or the job's active one, or else its last.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=False)
    answer = connection.call("explainUpdate", key=key)
    if as_json:
        print_json({**plain(answer), "job": path_of(key.job), "id": key.id})
    else:
        click.echo(answer.sentence)


@click.command()
@click.argument("jobkey")
@click.argument("update_id", metavar="[ID]", required=False)
@json_option
@server_option
def history(jobkey: str, update_id: str | None, as_json: bool, server: str) -> None:
    """Show an update's events in order.

    What became of the update, and of each instance, in one list. By ID, or the job's active one, or else its last.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=False)
    details = get_details(connection, key)
    events = events_of(details)
    if as_json:
        print_json([{"timestamp_ms": event.timestamp_ms, "text": event.text} for event in events])
        return
    for event in events:
        click.echo(f"{time_text(event.timestamp_ms)} {event.text}")
