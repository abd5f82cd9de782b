"""Waiting for an update: asking the server until it is over, or until somebody has waited long enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, Exit, Refused, TimedOut, Unreachable
from scheduler.client.explained import Explained, Why
from scheduler.client.progress import Progress, progress_of
from scheduler.client.quantities import duration_text
from scheduler.interface import aurora

POLL_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""How long a server that does not answer is waited for: schedulers are restarted, and updates go on."""


class View(Protocol):
    """Shows an update to whoever waits for it."""

    def show(self, progress: Progress, explained: Explained | None = None) -> None:
        """`explained` None: the server does not say why."""

    def note(self, sentence: str) -> None:
        """Something other than the update itself; empty: no longer so."""


class Interrupted(CommandError):
    exit_code = Exit.INTERRUPTED


def get_details(connection: Connection, key: Any) -> Any:
    """The JobUpdateDetails of an update. Raises CommandError when there is none."""
    response = connection.call("getJobUpdateDetails", query=aurora.JobUpdateQuery(key=key))
    found = response.result.getJobUpdateDetailsResult.detailsList
    if not found:
        raise Refused("INVALID_REQUEST", f"there is no update {key.id} of this job")
    return found[0]


def follow(
    connection: Connection,
    key: Any,
    view: View,
    *,
    timeout_ms: int | None = None,
    until: Callable[[Progress], bool] = lambda progress: progress.is_over,
) -> Any:
    """Watch an update until it is over; returns its JobUpdateDetails.

    `connection` should not retry by itself (`retry_s=0`), so that trouble is shown at once. Raises TimedOut,
    Unreachable after `PATIENCE_S` without an answer, Interrupted on Ctrl-C.
    """
    began = last_answer = time.monotonic()
    progress = None
    why = Why()
    try:
        while True:
            try:
                details = get_details(connection, key)
            except (Unreachable, Refused) as failure:
                if not _may_pass(failure) or time.monotonic() - last_answer > PATIENCE_S:
                    raise
                view.note(f"{failure.format_message()}; trying again")
            else:
                last_answer = time.monotonic()
                progress = progress_of(details)
                view.note("")
                view.show(progress, None if progress.is_over else why.ask(connection, key))
                if until(progress):
                    return details
            if timeout_ms is not None and (time.monotonic() - began) * 1000 >= timeout_ms:
                raise TimedOut(_timed_out(progress, timeout_ms))
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        raise Interrupted("no longer watching; the update goes on without you") from None


def _may_pass(failure: CommandError) -> bool:
    return isinstance(failure, Unreachable) or failure.exit_code == Exit.UNREACHABLE


def _timed_out(progress: Progress | None, timeout_ms: int) -> str:
    waited = duration_text(timeout_ms)
    if progress is None:
        return f"no answer within {waited}"
    return f"the update is still {progress.status_name} after {waited} ({progress.sentence}); it is not stopped by this"


def exit_code(progress: Progress) -> Exit:
    """What a command that waited for an update ends with."""
    arrived = progress.status == aurora.JobUpdateStatus.ROLLED_FORWARD
    return Exit.OK if arrived else Exit.FAILED


def last_sentence(progress: Progress) -> str:
    """How it ended, for people."""
    took = duration_text(progress.modified_ms - progress.started_ms)
    return f"{progress.job}: {progress.status_name} after {took}; {progress.sentence}"
