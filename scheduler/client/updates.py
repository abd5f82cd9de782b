"""`thesan update`: start, info, list, pause, resume, abort, rollback, pulse, wait; the rest is in `steering` and
`looking`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from scheduler.client.again import EarlierUpdate, load_earlier, parse_update
from scheduler.client.cli import Commands
from scheduler.client.connection import Connection, details_of
from scheduler.client.errors import Usage
from scheduler.client.explained import Explained, Why
from scheduler.client.job_file import JobFile, load_job_file
from scheduler.client.keys import connect, parse_scope, path_of
from scheduler.client.live import draw_for_terminal, view_for_stdout
from scheduler.client.live_parts import countdown_text, timeline_text, waiting_lines
from scheduler.client.options import (
    JOB_FILE,
    Duration,
    instances_option,
    json_option,
    message_option,
    server_option,
    timeout_option,
    update_arguments,
)
from scheduler.client.output import count_of, echo, print_json, write_table
from scheduler.client.plain import plain
from scheduler.client.progress import STATUS_GROUPS, Progress, progress_of, status_name, with_remarks
from scheduler.client.quantities import duration_text, instances_text, time_text
from scheduler.client.steering import tell_answer
from scheduler.client.update_calls import connect_update, parse_statuses, start_update, summaries
from scheduler.client.watch import exit_code, follow, get_details, last_sentence
from scheduler.interface import aurora


@click.group(cls=Commands)
def update() -> None:
    """Bring jobs from one configuration to the next."""


_STEERING, _LOOKING = "scheduler.client.steering", "scheduler.client.looking"
update.add_lazy("heartbeat", _STEERING, "heartbeat", "Say what a monitor says, once.")
update.add_lazy("override", _STEERING, "override", "Answer for an update in its monitor's place, for a time.")
update.add_lazy("retry", _STEERING, "retry", "Give instances that failed another turn.")
update.add_lazy("skip", _STEERING, "skip", "Leave instances as they are.")
update.add_lazy("explain", _LOOKING, "explain", "Say why an update is not moving.")
update.add_lazy("history", _LOOKING, "history", "Show an update's events in order.")
update.add_lazy("plan", _LOOKING, "plan", "Say what an update would do.")
update.add_lazy("replay", _LOOKING, "replay", "Go through an update's history again.")


@update.command()
@click.argument("file", type=JOB_FILE, required=False)
@click.option("--from", "earlier", metavar="KEY", help="Begin this earlier update again: role/environment/name/ID.")
@instances_option("Only these")
@message_option
@click.option("--wait", is_flag=True, help="Watch until the update is over; 1 unless it ROLLED_FORWARD.")
@timeout_option
@json_option
@server_option
@click.pass_context
def start(
    ctx: click.Context,
    file: Path | None,
    earlier: str | None,
    instances: tuple[int, ...],
    message: str | None,
    wait: bool,
    timeout_ms: int | None,
    as_json: bool,
    server: str,
) -> None:
    """Bring a job to what FILE says.

    Instance by instance, as the update section of FILE says. A job that does not exist is created. With --from instead
    of FILE, an earlier update begins again from the job as it stands; one that only removed instances removes those
    that are still there.
    """
    if (file is None) is (earlier is None):
        raise Usage("give either FILE or --from KEY")
    described: JobFile | EarlierUpdate
    if file is not None:
        described = load_job_file(file)
        connection = connect(server, described.job.cluster)
    else:
        connection = connect(server, parse_update(earlier or "")[0].cluster)
        described = load_earlier(connection, earlier or "")
    key, said = start_update(connection, described, instances, message)
    if key is None:
        if as_json:
            print_json({"job": described.job.path, "id": None, "message": said})
        else:
            echo(f"{described.job.path}: {said}")
        return
    if not as_json:
        echo(f"{described.job.path}: update {key.id} started")
    if wait:
        _wait(ctx, connection, key, timeout_ms, as_json)
    elif as_json:
        print_json(_info(get_details(connection, key)))


@update.command()
@update_arguments
@json_option
@server_option
def info(jobkey: str, update_id: str | None, as_json: bool, server: str) -> None:
    """Show an update with its history.

    By ID, or the job's active one, or else its last.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=False)
    details = get_details(connection, key)
    why = Why().ask(connection, key)
    if as_json:
        print_json(_info(details) | ({} if why is None else {"explanation": asdict(why)}))
        return
    progress = progress_of(details)
    echo(f"Job: {progress.job}, update ID: {progress.update_id}")
    echo(f"Current status: {progress.status_name} ({progress.sentence})")
    echo(f"Started {time_text(progress.started_ms)} by {progress.user}; {_settings_text(details)}")
    phases: dict[str, list[int]] = {}
    for instance, phase in progress.phases.items():
        phases.setdefault(phase.value, []).append(instance)
    echo("Instances: " + "; ".join(f"{instances_text(ids)} {phase}" for phase, ids in phases.items()))
    _show_why(progress, why)
    echo("History:")
    for event in with_remarks(progress.events, () if why is None else why.remarks):
        echo(f"  {time_text(event.timestamp_ms)} {event.text}")


@update.command("list")
@click.argument("scope", required=False)
@click.option("--status", "statuses", multiple=True, metavar="STATUS", help=f"One of {', '.join(STATUS_GROUPS)}, ...")
@click.option("--user", default=None, help="Only those this user started.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="At most so many, the last changed first.")
@json_option
@server_option
def list_updates(
    scope: str | None, statuses: tuple[str, ...], user: str | None, limit: int | None, as_json: bool, server: str
) -> None:
    """List updates.

    SCOPE is a role, role/environment, or a job key; * stands for any part.
    """
    wanted = parse_scope(scope)
    connection = connect(server, wanted.cluster)
    query = aurora.JobUpdateQuery(role=wanted.role or None, user=user, updateStatuses=parse_statuses(statuses))
    found = [one for one in summaries(connection, query) if wanted.holds(one.key.job)][:limit]
    if as_json:
        print_json([_summary_json(one) for one in found])
        return
    header = ("JOB", "UPDATE ID", "STATUS", "CREATED BY", "STARTED", "LAST MODIFIED")
    write_table(header, [_summary_row(one) for one in found])


@update.command()
@update_arguments
@click.option("--for", "duration_ms", type=Duration(), default=None, metavar="TIME", help="It goes on by itself then.")
@message_option
@json_option
@server_option
def pause(
    jobkey: str, update_id: str | None, duration_ms: int | None, message: str | None, as_json: bool, server: str
) -> None:
    """Let an update start nothing more.

    What is under way is finished. Only a resume lifts it, or the end of --for; heartbeats do not.
    """
    if duration_ms is not None:
        connection, key = connect_update(server, jobkey, update_id, active_only=True)
        answer = connection.call("pauseJobUpdateFor", key=key, durationMs=duration_ms, message=message)
        tell_answer(key, answer, as_json)
        return
    _change("pauseJobUpdate", jobkey, update_id, message, as_json, server)


@update.command()
@update_arguments
@message_option
@json_option
@server_option
def resume(jobkey: str, update_id: str | None, message: str | None, as_json: bool, server: str) -> None:
    """Let a paused update go on.

    One that waits for a heartbeat needs a pulse, not a resume.
    """
    _change("resumeJobUpdate", jobkey, update_id, message, as_json, server)


@update.command()
@update_arguments
@message_option
@json_option
@server_option
def abort(jobkey: str, update_id: str | None, message: str | None, as_json: bool, server: str) -> None:
    """End an update and leave every instance as it is."""
    _change("abortJobUpdate", jobkey, update_id, message, as_json, server)


@update.command()
@update_arguments
@message_option
@json_option
@server_option
def rollback(jobkey: str, update_id: str | None, message: str | None, as_json: bool, server: str) -> None:
    """Turn an update round, back to what was before."""
    _change("rollbackJobUpdate", jobkey, update_id, message, as_json, server)


@update.command()
@update_arguments
@json_option
@server_option
def pulse(jobkey: str, update_id: str | None, as_json: bool, server: str) -> None:
    """Say once that all is well.

    An update that waits for a heartbeat goes on.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=True)
    response = connection.call("pulseJobUpdate", key=key)
    name = aurora.JobUpdatePulseStatus._VALUES_TO_NAMES[response.result.pulseJobUpdateResult.status]
    if as_json:
        print_json({"job": path_of(key.job), "id": key.id, "pulse": name})
    elif name == "OK":
        echo(f"{path_of(key.job)}: heard by update {key.id}")
    else:
        echo(f"{path_of(key.job)}: update {key.id} is over, unknown, or needs no heartbeats")


@update.command()
@update_arguments
@timeout_option
@json_option
@server_option
@click.pass_context
def wait(
    ctx: click.Context, jobkey: str, update_id: str | None, timeout_ms: int | None, as_json: bool, server: str
) -> None:
    """Watch an update until it is over.

    By ID, or the job's active one, or else its last. Exit code 0: it ROLLED_FORWARD; 1: it ended otherwise;
    4: --timeout came first.
    """
    connection, key = connect_update(server, jobkey, update_id, active_only=False)
    _wait(ctx, connection, key, timeout_ms, as_json)


# --- what the commands are made of -----------------------------------------------------------------------------------


def _change(method: str, jobkey: str, update_id: str | None, message: str | None, as_json: bool, server: str) -> None:
    """Pause, resume, abort or roll back, and tell what became of it."""
    connection, key = connect_update(server, jobkey, update_id, active_only=True)
    said = details_of(connection.call(method, key=key, message=message))
    progress = progress_of(get_details(connection, key))
    if as_json:
        print_json({"job": progress.job, "id": progress.update_id, "status": progress.status_name, "message": said})
    else:
        echo(f"{progress.job}: update {progress.update_id} is {progress.status_name}; {said or progress.sentence}")


def _show_why(progress: Progress, why: Explained | None) -> None:
    """What it did so far and what holds it; on a terminal, what it looks like too."""
    now_ms = time.time() * 1000
    echo(f"Timeline: {timeline_text(progress, now_ms=now_ms)}")
    if why is not None:
        for line in (f"Why: {why.sentence}", *waiting_lines(why.waiting, now_ms=now_ms)):
            echo(line)
        if not progress.is_over and (countdown := countdown_text(progress, why)):
            echo(countdown[0].upper() + countdown[1:])
    draw_for_terminal(progress, now_ms=now_ms)


def _wait(ctx: click.Context, connection: Connection, key: Any, timeout_ms: int | None, as_json: bool) -> None:
    connection.retry_s = 0  # whoever follows has patience of its own
    with view_for_stdout(json=as_json) as view:
        details = follow(connection, key, view, timeout_ms=timeout_ms)
    progress = progress_of(details)
    if as_json:
        print_json(_info(details))
    else:
        echo(last_sentence(progress))
    ctx.exit(exit_code(progress))


# --- forms -----------------------------------------------------------------------------------------------------------


def _summary_row(summary: Any) -> tuple[str, ...]:
    state = summary.state
    return (
        path_of(summary.key.job),
        summary.key.id,
        status_name(state.status),
        summary.user or "",
        time_text(state.createdTimestampMs).replace(" ", "T"),
        time_text(state.lastModifiedTimestampMs).replace(" ", "T"),
    )


def _summary_json(summary: Any) -> dict[str, Any]:
    return {
        "job": path_of(summary.key.job),
        "id": summary.key.id,
        "status": status_name(summary.state.status),
        "user": summary.user,
        "started_ms": summary.state.createdTimestampMs,
        "last_modified_ms": summary.state.lastModifiedTimestampMs,
        "metadata": {entry.key: entry.value for entry in summary.metadata or ()},
    }


def _info(details: Any) -> dict[str, Any]:
    progress: Progress = progress_of(details)
    as_plain = plain(details)
    return {
        **_summary_json(details.update.summary),
        "instances": {str(instance): phase.value for instance, phase in progress.phases.items()},
        "settings": as_plain["update"]["instructions"].get("settings", {}),
        "update_events": as_plain.get("updateEvents", []),
        "instance_events": as_plain.get("instanceEvents", []),
    }


def _settings_text(details: Any) -> str:
    settings = details.update.instructions.settings
    parts = [f"each instance is watched for {duration_text(settings.minWaitInInstanceRunningMs)}"]
    if settings.blockIfNoPulsesAfterMs:
        parts.append(f"needs a heartbeat every {duration_text(settings.blockIfNoPulsesAfterMs)}")
    failures = count_of(settings.maxFailedInstances, "failed instance")
    parts.append(f"{'rolls back' if settings.rollbackOnFailure else 'ends'} after more than {failures}")
    return ", ".join(parts)
