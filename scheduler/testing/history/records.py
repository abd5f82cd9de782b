"""What a history of calls is, and the state it is compared with. Frozen records, nothing of any wire."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

from attrs import field, frozen

from scheduler.core.records import ACTIVE_STATES, TaskStatus
from scheduler.core.updates.records import UpdateStatus

FOREVER: Final = float("inf")

_TOKEN: Final = re.compile(r"\bcall=([\w.:-]+)")


def in_words(token: str) -> str:
    """How a token travels in a message for people."""
    return f"call={token}"


def token_in(message: str | None) -> str | None:
    """The token in an event's message, if a call with one made the event."""
    found = _TOKEN.search(message or "")
    return found[1] if found else None


class Kind(Enum):
    """What a call changes. Heartbeats change nothing that is kept, so they are no calls here."""

    CREATE_JOB = "createJob"
    KILL_TASKS = "killTasks"
    START_UPDATE = "startJobUpdate"
    PAUSE_UPDATE = "pauseJobUpdate"
    RESUME_UPDATE = "resumeJobUpdate"
    ABORT_UPDATE = "abortJobUpdate"
    ROLL_BACK_UPDATE = "rollbackJobUpdate"


OF_UPDATES: Final = frozenset({Kind.PAUSE_UPDATE, Kind.RESUME_UPDATE, Kind.ABORT_UPDATE, Kind.ROLL_BACK_UPDATE})
"""Calls on one update that exists."""


class Heard(Enum):
    """What the client heard."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@frozen
class Call:
    """One attempt. Several with one token are attempts at one change, which may happen once.

    `began` and `ended` are instants of one clock that all clients share, in any unit. What is unknown may happen until
    `ended`, which is `FOREVER` unless somebody knows better (the process that had it died, and nothing can land later).
    """

    token: str
    kind: Kind
    job: str
    """`role/environment/name`."""
    began: float
    heard: Heard
    ended: float = FOREVER
    update: str = ""
    """The id of the update, for the kinds of `OF_UPDATES`."""
    instances: frozenset[int] = frozenset()
    """createJob and startJobUpdate: all that the job shall have. killTasks: which, empty is all."""
    service: bool = True
    """Are its tasks to run for ever?"""
    no_effect: bool = False
    """The answer itself said that there was nothing to do."""
    answer: str = ""
    """For people: the code and the sentences of the answer, or how the connection broke."""

    def before(self, other: Call) -> bool:
        """Was it over when the other one began?"""
        return self.ended < other.began


@frozen
class Sighting:
    """Somebody looked for what a startJobUpdate call makes, in the middle of the run, and got an answer."""

    token: str
    began: float
    ended: float
    found: bool


@frozen
class History:
    """Everything the clients did and heard."""

    calls: tuple[Call, ...]
    sightings: tuple[Sighting, ...] = ()


@frozen
class TaskEventRow:
    """A line of a task's history. Milliseconds since 1970."""

    timestamp_ms: int
    status: TaskStatus
    message: str | None = None


@frozen
class TaskRow:
    """A task as it is read back. `token` is that of the call that brought its configuration in."""

    task_id: str
    job: str
    instance: int
    status: TaskStatus
    token: str | None
    events: tuple[TaskEventRow, ...] = ()

    @property
    def is_wanted(self) -> bool:
        """Active, and nobody asked for its end."""
        return self.status in ACTIVE_STATES and self.status is not TaskStatus.KILLING

    @property
    def killed_by(self) -> frozenset[str]:
        """Tokens of the calls that asked for its end."""
        return frozenset(token for event in self.events if (token := token_in(event.message)))


@frozen
class UpdateEventRow:
    timestamp_ms: int
    status: UpdateStatus
    message: str | None = None

    @property
    def token(self) -> str | None:
        return token_in(self.message)


@frozen
class UpdateRow:
    """An update as it is read back. `token` is its metadata's, `desired_token` that of the configuration it brings."""

    id: str
    job: str
    status: UpdateStatus
    token: str | None
    desired_token: str | None
    events: tuple[UpdateEventRow, ...] = ()


def _tuple(rows: Iterable[object]) -> tuple[object, ...]:
    return tuple(rows)


@frozen
class World:
    """The state as it is read back, when nothing moves any more."""

    tasks: tuple[TaskRow, ...] = field(default=(), converter=_tuple)
    updates: tuple[UpdateRow, ...] = field(default=(), converter=_tuple)


@frozen
class Violation:
    """Something that must not be. `rule` is its short name, `subject` a token, a job or an update."""

    rule: str
    subject: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.sentence}"
