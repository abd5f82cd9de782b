"""What the shell must be able to do, as Protocols: the only words in which the inner rooms speak of the outer ones.

Everything here runs on one event loop. No method blocks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Protocol

from attrs import frozen

from scheduler.core.answers import Answer
from scheduler.core.effects import AskCoordinator
from scheduler.core.ops import Op
from scheduler.core.records import Host, JobKey, TaskConfig, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.records import InstanceAction, UpdateStatus


class Clock(Protocol):
    """Two clocks: the wall's, for what is recorded, and one that never jumps, for deadlines. Milliseconds."""

    def wall_ms(self) -> int: ...

    def mono_ms(self) -> int: ...


# --- changelog -------------------------------------------------------------------------------------------------------


@frozen
class Entry:
    """One group commit: what is appended to the log as a whole or not at all."""

    offset: int
    epoch: int
    uuid: bytes
    timestamp_ms: int
    ops: tuple[Op, ...]


class Changelog(Protocol):
    """The agreed, durable order of entries. One append is in flight at a time."""

    async def append(self, entry: Entry) -> None:
        """Returns when the entry is durable.

        Raises `Fenced` when a newer epoch exists, `Unavailable` when nothing was written for certain,
        `OutcomeUnknown` when it may have been.
        """


class Permission(Protocol):
    """May this scheduler decide and act now? A leader may while its lease holds; without it, it waits."""

    @property
    def is_valid(self) -> bool: ...

    async def regained(self) -> None:
        """Returns while it is valid, at once or later. Raises ChangelogError when it never will be again."""


class _Always:
    """The permission of a scheduler that shares its log with nobody."""

    is_valid = True

    async def regained(self) -> None:
        return


ALWAYS: Final = _Always()


class Archive(Protocol):
    """Copies of the state: snapshots, backups, and one backup that is looked through before it becomes the state.

    Of the leader alone. Everything raises `Refused` with a sentence when it cannot be done.
    """

    async def snapshot(self) -> None:
        """Returns when everything committed before is in a snapshot."""

    async def back_up(self) -> None:
        """Make a backup of everything committed before."""

    async def backups(self) -> list[str]:
        """Their ids, oldest first."""

    async def stage(self, backup_id: str) -> None:
        """Read a backup into a state of its own, beside the one that is led by. At most one is staged."""

    def staged(self) -> tuple[str, State]:
        """Id and state of what is staged."""

    def unload(self) -> None:
        """Stage nothing any more."""


class ChangelogError(Exception):
    """The log did not take an entry."""


class Fenced(ChangelogError):
    """A newer epoch exists: this scheduler leads no longer."""


class Unavailable(ChangelogError):
    """The store cannot be written now; nothing happened."""


class OutcomeUnknown(ChangelogError):
    """The store did not say whether it took the entry."""


# --- engine ----------------------------------------------------------------------------------------------------------


class Signal(Enum):
    """TERM asks a task to end (its graceful shutdown first), KILL ends it."""

    TERM = "TERM"
    KILL = "KILL"


@frozen
class LaunchOrder:
    """Everything an engine needs to start one task. Launching the same `task_id` twice starts it once."""

    epoch: int
    task_id: str
    instance_id: int
    config: TaskConfig
    host: str
    ports: tuple[tuple[str, int], ...]


@frozen
class TaskReport:
    """What an engine says of one task: its state, and why in a sentence.

    `status` is STARTING, RUNNING, PARTITIONED (its host is silent), FINISHED, FAILED, KILLED or LOST. `timestamp_ms` is
    when it happened, if known.
    """

    task_id: str
    status: TaskStatus
    message: str | None = None
    timestamp_ms: int | None = None


@frozen
class EngineSnapshot:
    """The tasks an engine has. Of these hosts it has named every one: only there does absence mean anything.

    An engine speaks for no other host: what became of a task there it cannot know.
    """

    hosts: frozenset[str]
    tasks: tuple[TaskReport, ...]


class EngineError(Exception):
    """The engine cannot be reached or refuses; the sentence says why. Never an empty list in disguise."""


class EngineListener(Protocol):
    """Whom an engine tells. Called on the event loop."""

    def reported(self, reports: Sequence[TaskReport]) -> None:
        """Tasks changed. At least once, in order per task; a report may repeat what is known."""

    def hosts_changed(self, hosts: Sequence[Host]) -> None:
        """All hosts that are heard of now, with their free capacity's upper bound. Who is missing has fallen silent."""


class Engine(Protocol):
    """Runs tasks. Tasks outlive the scheduler; orders carry the leader's epoch and older epochs are refused."""

    async def start(self, listener: EngineListener, *, epoch: int, lineage: str) -> None:
        """Attach: take up what runs, raise the stored epoch. Raises EngineError when the engine is not ours."""

    async def stop(self) -> None:
        """Detach. Tasks live on."""

    def launch(self, order: LaunchOrder) -> None:
        """Start a task, idempotent by task id. A failure comes back as a LOST report."""

    def signal(self, task_id: str, signal: Signal, *, epoch: int, host: str | None = None) -> None:
        """Send once. Unknown or ended tasks are reported (LOST, or their end); retries are the caller's.

        `host`: where the task is, if known. Of a task on a host that is not the engine's nothing is said or done.
        """

    async def reconcile(self) -> EngineSnapshot:
        """All tasks, ended ones too until they are forgotten. Raises EngineError when it cannot be told."""

    def logs(self, task_id: str) -> Sequence[str]:
        """Paths of the files with the task's output, as far as they are on this machine."""

    def forget(self, task_ids: Sequence[str]) -> None:
        """The scheduler no longer needs these ended tasks: their folders may go."""


EngineFactory = Callable[[], Engine]


class Coordinators(Protocol):
    """Asks jobs' coordinators, for one leader. An answer comes back as the decision `core.sla.answers.answered`."""

    def ask(self, question: AskCoordinator) -> None:
        """Begin to ask, unless that is being asked already."""

    async def stop(self) -> None:
        """Nothing is decided about what is under way."""


# --- serving ---------------------------------------------------------------------------------------------------------


@frozen
class Ticket:
    """An answer and the offset of the state it was made from. It may leave once that offset is durable."""

    offset: int
    answer: Answer


class Outcome(Enum):
    """What became of the entry a ticket waits for."""

    DURABLE = "durable"
    REFUSED = "refused"
    """Surely nothing happened."""
    UNKNOWN = "unknown"
    """It may have happened: neither yes nor no may be said."""


# --- following -------------------------------------------------------------------------------------------------------


class EventKind(Enum):
    """What a public event is about; numbers are those of `EventKind` in `thrift/thesan.thrift`."""

    LEADER = 1
    TASK = 2
    TASK_REMOVED = 3
    UPDATE = 4
    INSTANCE = 5
    UPDATE_REMOVED = 6
    REMARK = 7
    CRON = 8


@frozen(kw_only=True)
class Event:
    """One durable change, as a follower sees it: what one op says, and nothing that is not in the log.

    `cursor` is the offset of its entry, `index` its place among the events of that entry, from 0. Which fields are
    set: `docs/events.md`.
    """

    cursor: int
    index: int
    kind: EventKind
    timestamp_ms: int
    job: JobKey | None = None
    instance_id: int | None = None
    task_id: str | None = None
    task_status: TaskStatus | None = None
    host: str | None = None
    update_id: str | None = None
    update_status: UpdateStatus | None = None
    action: InstanceAction | None = None
    user: str | None = None
    message: str | None = None
    epoch: int | None = None


@frozen
class Events:
    """All events of the entries after `after` up to `upto`, in order. Entries without events count as read."""

    after: int
    upto: int
    events: tuple[Event, ...]


class TooOld(Exception):
    """The cursor is older than what can be told: read the state, then begin at `begin`."""

    def __init__(self, cursor: int, begin: int, older_than: str = "what is kept") -> None:
        super().__init__(f"cursor {cursor} is older than {older_than}: read the state anew, then begin at {begin}")
        self.begin = begin


class AheadOfLog(Exception):
    """The cursor was never given out by this history."""

    def __init__(self, cursor: int, end: int) -> None:
        super().__init__(f"cursor {cursor} is ahead of the log, which ends at {end}: it is of another history")
        self.end = end


class NotFollowing(Exception):
    """Nobody knows the log's end here now; try again soon, here or elsewhere."""


class EventStream(Protocol):
    """The public events of the changelog, to be read by cursor. A cursor is the offset of the last entry seen."""

    async def read(self, cursor: int | None, limit: int, wait_ms: int) -> Events:
        """Whole entries after `cursor`, until there are `limit` events; None begins at the end.

        Waits up to `wait_ms` when there are none. Raises TooOld, AheadOfLog, NotFollowing.
        """

    @property
    def lineage(self) -> str:
        """Names the history that cursors belong to."""
