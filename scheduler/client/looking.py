"""`thesan update explain|history|plan|replay`: looking at one update, or at what one would do."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import click

from scheduler.client.connection import details_of
from scheduler.client.errors import Exit
from scheduler.client.explained import Why
from scheduler.client.job_file import load_job_file
from scheduler.client.keys import connect, path_of
from scheduler.client.options import JOB_FILE, instances_option, json_option, server_option, update_arguments
from scheduler.client.output import echo, print_json
from scheduler.client.plain import plain
from scheduler.client.progress import events_of, status_name, with_remarks
from scheduler.client.quantities import instances_text, time_text
from scheduler.client.update_calls import connect_update
from scheduler.client.watch import get_details


@click.command()
@update_arguments
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
        echo(answer.sentence)


@click.command()
@update_arguments
@json_option
@server_option
def history(jobkey: str, update_id: str | None, as_json: bool, server: str) -> None:
    """Show an update's events in order.

    What became of the update and of each instance, and what else was done to it, in one list. By ID, or the job's
    active one, or else its last.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=False)
    details = get_details(connection, key)
    why = Why().ask(connection, key)
    events = with_remarks(events_of(details), () if why is None else why.remarks)
    if as_json:
        print_json([{"timestamp_ms": event.timestamp_ms, "text": event.text} for event in events])
        return
    for event in events:
        echo(f"{time_text(event.timestamp_ms)} {event.text}")


@click.command()
@click.argument("file", type=JOB_FILE)
@instances_option("Only these")
@json_option
@server_option
def plan(file: Path, instances: tuple[int, ...], as_json: bool, server: str) -> None:
    """Say what `update start FILE` would do now.

    Nothing happens. Which instances, in which groups, and what if heartbeats stopped.
    """
    described = load_job_file(file)
    connection = connect(server, described.job.cluster)
    answer = connection.call("simulateUpdate", request=described.update_request(str(uuid.uuid4()), instances))
    if as_json:
        print_json({"job": described.job.path, **plain(answer)})
        return
    echo(f"{described.job.path}: {details_of(answer) or 'what an update would do'}")
    for number, group in enumerate(answer.groups or (), 1):
        echo(f"  group {number}: instances {_ranges_text(group.instances)}: {group.sentence}")
    for sentence in (*(answer.sentences or ()), answer.ifPulsesStopped):
        if sentence:
            echo(f"  {sentence}")


def _ranges_text(ranges: Any) -> str:
    return instances_text([i for one in ranges for i in range(one.first, one.last + 1)])


@click.command()
@update_arguments
@json_option
@server_option
@click.pass_context
def replay(ctx: click.Context, jobkey: str, update_id: str | None, as_json: bool, server: str) -> None:
    """Go through an update's history again.

    Step by step, by the scheduler's own rules. Exit code 1: it does not end where the record ends. By ID, or the job's
    active one, or else its last.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=False)
    answer = connection.call("replayUpdate", key=key)
    if as_json:
        print_json({"job": path_of(key.job), "id": key.id, **plain(answer)})
    else:
        for step in answer.steps or ():
            echo(f"{time_text(step.timestampMs)} {step.sentence}")
        for difference in answer.differences or ():
            echo(f"difference: {difference}")
        end = "where the record ends" if answer.matches else "not where the record ends"
        echo(f"{path_of(key.job)}: {status_name(answer.endsAs)}, {end}")
    ctx.exit(Exit.OK if answer.matches else Exit.FAILED)
