"""Why an update is not moving, as the scheduler says it."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, UnknownMethod
from scheduler.client.progress import Event
from scheduler.interface import aurora, thesan
from scheduler.visible import visible

_HELD: Final = thesan.HeldBy._VALUES_TO_NAMES
ITS_OWN_COURSE: Final = frozenset({"NOBODY", "INSTANCES", "ENGINE", "ENDED"})
"""Nothing that somebody needs to be told of while it goes on."""


@frozen
class Waiting:
    """An instance in progress. `status` empty: it has no task now."""

    instance: int
    status: str
    since_ms: int
    reason: str


@frozen
class Explained:
    """`heartbeat_age_ms` -1: none was heard; `until_ms` 0: nobody knows."""

    sentence: str
    held_by: str
    who: str
    why: str
    since_ms: int
    until_ms: int
    heartbeat_age_ms: int
    heartbeat_source: str
    waiting: tuple[Waiting, ...]
    remarks: tuple[Event, ...] = ()
    """What was done to it that its history has no event for, such as an override."""


def explained_of(answer: Any) -> Explained:
    """From an Explanation struct, fit for a terminal."""
    return Explained(
        sentence=visible(answer.sentence or ""),
        held_by=_HELD.get(answer.heldBy, str(answer.heldBy)),
        who=visible(answer.who or ""),
        why=visible(answer.why or ""),
        since_ms=answer.sinceTimestampMs or 0,
        until_ms=answer.untilTimestampMs or 0,
        heartbeat_age_ms=-1 if answer.heartbeatAgeMs is None else answer.heartbeatAgeMs,
        heartbeat_source=visible(answer.heartbeatSource or ""),
        waiting=tuple(_waiting(one) for one in answer.waitingInstances or ()),
        remarks=tuple(_remark(one) for one in answer.remarks or ()),
    )


def _waiting(one: Any) -> Waiting:
    status = "" if one.status is None else aurora.ScheduleStatus._VALUES_TO_NAMES.get(one.status, str(one.status))
    return Waiting(one.instanceId, status, one.sinceTimestampMs or 0, visible(one.reason or ""))


def _remark(one: Any) -> Event:
    by = f" (by {one.user})" if one.user else ""
    return Event(one.timestampMs, visible(f"{one.message}{by}"))


class Why:
    """Asks why an update is not moving, as long as the server knows the call.

    Who only shows an update does without: an older server, or one that has no answer now, is no error.
    """

    def __init__(self) -> None:
        self._known = True

    def ask(self, connection: Connection, key: Any) -> Explained | None:
        if not self._known:
            return None
        try:
            return explained_of(connection.call("explainUpdate", key=key))
        except UnknownMethod:
            self._known = False
        except CommandError:
            pass
        return None
