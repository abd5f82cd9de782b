"""Waiting: asking the server until it is so, or until somebody has waited long enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from scheduler.client.connection import Connection
from scheduler.client.errors import Exit, Interrupted, Refused, TimedOut, Transient, Unreachable
from scheduler.client.explained import Explained, Why
from scheduler.client.progress import Progress, progress_of
from scheduler.client.quantities import duration_text
from scheduler.interface import aurora

T = TypeVar("T")

POLL_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""How long a server that does not answer is waited for: schedulers are restarted, and updates go on."""


class View(Protocol):
    """Shows an update to whoever waits for it."""

    def show(self, progress: Progress, explained: Explained | None = None) -> None:
        """`explained` None: the server does not say why."""

    def note(self, sentence: str) -> None:
        """Something other than the update itself; empty: no longer so."""


def ask_until(
    done: Callable[[T], bool],
    ask: Callable[[], T],
    *,
    note: Callable[[str], None],
    late: Callable[[T | None, int], str],
    timeout_ms: int | None,
    goes_on: str,
    every_s: float = POLL_S,
) -> T:
    """Ask again and again, until it is done; returns the last answer.

    The connection that `ask` uses should not retry by itself (`retry_s=0`), so that `note` tells trouble at once, and
    with an empty sentence that it is over. `late` says of the last answer, if there was one, what was not reached in so
    many milliseconds. Raises TimedOut, Unreachable or Transient after `PATIENCE_S` without an answer, Interrupted with
    `goes_on` on Ctrl-C.
    """
    began = last_answer = time.monotonic()
    answer: T | None = None
    try:
        while True:
            try:
                answer = ask()
            except (Unreachable, Transient) as failure:
                lasting = isinstance(failure, Unreachable) and failure.lasting
                if lasting or time.monotonic() - last_answer > PATIENCE_S:
                    raise
                note(f"{failure.format_message()}; trying again")
            else:
                last_answer = time.monotonic()
                note("")
                if done(answer):
                    return answer
            if timeout_ms is not None and (time.monotonic() - began) * 1000 >= timeout_ms:
                raise TimedOut(late(answer, timeout_ms))
            time.sleep(every_s)
    except KeyboardInterrupt:
        raise Interrupted(goes_on) from None


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
    """Watch an update until it is over; returns its JobUpdateDetails. For `connection` and what it raises see
    `ask_until`."""
    why = Why()

    def show(details: Any) -> bool:
        progress = progress_of(details)
        view.show(progress, None if progress.is_over else why.ask(connection, key))
        return until(progress)

    return ask_until(
        show,
        lambda: get_details(connection, key),
        note=view.note,
        late=_timed_out,
        timeout_ms=timeout_ms,
        goes_on="no longer watching; the update goes on without you",
    )


def _timed_out(details: Any | None, timeout_ms: int) -> str:
    waited = duration_text(timeout_ms)
    if details is None:
        return f"no answer within {waited}"
    progress = progress_of(details)
    return f"the update is still {progress.status_name} after {waited} ({progress.sentence}); it is not stopped by this"


def exit_code(progress: Progress) -> Exit:
    """What a command that waited for an update ends with."""
    arrived = progress.status == aurora.JobUpdateStatus.ROLLED_FORWARD
    return Exit.OK if arrived else Exit.FAILED


def last_sentence(progress: Progress) -> str:
    """How it ended, for people."""
    took = duration_text(progress.modified_ms - progress.started_ms)
    return f"{progress.job}: {progress.status_name} after {took}; {progress.sentence}"
