"""Calls about updates that take more than one call: starting one exactly once, finding one."""

from __future__ import annotations

import uuid
from typing import Any, Final

from scheduler.client.again import EarlierUpdate
from scheduler.client.connection import Connection, details_of
from scheduler.client.errors import CommandError, Refused, Unreachable, Usage
from scheduler.client.job_file import UPDATE_ID_METADATA, JobFile
from scheduler.client.keys import Job, connect, parse_job_argument
from scheduler.client.progress import ACTIVE, STATUS_GROUPS, status_name
from scheduler.interface import aurora

_RESENDS: Final = 3

Described = JobFile | EarlierUpdate
"""What an update is to bring: a file's words, or an earlier update's."""


def start_update(
    connection: Connection,
    described: JobFile | EarlierUpdate,
    instances: tuple[int, ...] = (),
    message: str | None = None,
) -> tuple[Any | None, str]:
    """Start an update, once, however often it has to be asked for. Returns its JobUpdateKey, or None and why there is
    nothing to do.

    The request carries an id of its own. When an answer was lost, the update that carries the id is looked for before
    the request is sent again; and a refusal because of an active update that carries it is no refusal.
    """
    mark = str(uuid.uuid4())
    request = described.update_request(mark, instances)
    for attempt in range(_RESENDS):
        try:
            response = connection.call("startJobUpdate", request=request, message=message)
            break
        except Refused as refused:
            running = refused.result.startJobUpdateResult if refused.result is not None else None
            if running is None:
                raise
            if mark_of(running.updateSummary) == mark:
                return running.key, ""
            raise CommandError(f"{refused.format_message()} (active now: {running.key.id})") from None
        except Unreachable as failure:
            if not failure.sent or attempt == _RESENDS - 1:
                raise
            ours = _marked(connection, described.job, mark)
            if ours is not None:
                return ours, ""
    started = response.result.startJobUpdateResult if response.result is not None else None
    if started is None or started.key is None:
        return None, details_of(response) or "nothing to do"
    return started.key, ""


def mark_of(summary: Any) -> str | None:
    """The id its starter gave an update."""
    entries = summary.metadata or () if summary is not None else ()
    return next((entry.value for entry in entries if entry.key == UPDATE_ID_METADATA), None)


def _marked(connection: Connection, job: Job, mark: str) -> Any | None:
    found = summaries(connection, aurora.JobUpdateQuery(jobKey=job.key()))
    return next((one.key for one in found if mark_of(one) == mark), None)


def find_update(connection: Connection, job: Job, update_id: str | None, *, active_only: bool) -> Any:
    """The JobUpdateKey of an update: the one named, else the job's active one, else (unless `active_only`) its last.

    Raises CommandError when there is none.
    """
    if update_id:
        return aurora.JobUpdateKey(job=job.key(), id=update_id)
    found = summaries(connection, aurora.JobUpdateQuery(jobKey=job.key()))
    active = [one for one in found if one.state.status in ACTIVE]
    if active:
        return active[0].key
    if found and not active_only:
        return found[0].key
    last = f"; its last, {found[0].key.id}, is {status_name(found[0].state.status)}" if found else ""
    raise CommandError(f"{job.path} has no active update{last}")


def connect_update(server: str, jobkey: str, update_id: str | None, *, active_only: bool) -> tuple[Connection, Any]:
    """A connection, and the JobUpdateKey that the arguments of a command mean. Raises CommandError."""
    job = parse_job_argument(jobkey)
    connection = connect(server, job.cluster)
    return connection, find_update(connection, job, update_id, active_only=active_only)


def parse_statuses(words: tuple[str, ...]) -> frozenset[int]:
    """Statuses by name or by the name of a group, in any case. Raises Usage."""
    statuses: set[int] = set()
    for word in words:
        one = aurora.JobUpdateStatus._NAMES_TO_VALUES.get(word.upper())
        group = STATUS_GROUPS.get(word.lower(), frozenset() if one is None else frozenset({one}))
        if not group:
            allowed = (*STATUS_GROUPS, *aurora.JobUpdateStatus._NAMES_TO_VALUES)
            raise Usage(f"--status {word!r}: must be one of {', '.join(allowed)}")
        statuses |= group
    return frozenset(statuses)


def summaries(connection: Connection, query: Any) -> list[Any]:
    """The JobUpdateSummary structs a JobUpdateQuery finds, the last changed first."""
    response = connection.call("getJobUpdateSummaries", jobUpdateQuery=query)
    return list(response.result.getJobUpdateSummariesResult.updateSummaries)
