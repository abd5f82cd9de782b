"""Records of an update: its key, instructions, settings, status and history.

Source of the shapes: Aurora's interface (`thrift/aurora.thrift`, section "Job updates").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from attrs import field, frozen

from scheduler.core.history import History
from scheduler.core.records import JobKey, Metadata, TaskConfig, canonical
from scheduler.core.updates.notes import NO_NOTES, Notes
from scheduler.core.updates.wishes import Wishes, wishes


class UpdateStatus(IntEnum):
    """Names and numbers are Aurora's `JobUpdateStatus`. What each may become: `status.py`."""

    ROLLING_FORWARD = 0
    ROLLING_BACK = 1
    ROLL_FORWARD_PAUSED = 2
    ROLL_BACK_PAUSED = 3
    ROLLED_FORWARD = 4
    ROLLED_BACK = 5
    ABORTED = 6
    ERROR = 7
    FAILED = 8
    ROLL_FORWARD_AWAITING_PULSE = 9
    ROLL_BACK_AWAITING_PULSE = 10


class InstanceAction(IntEnum):
    """What an instance event says; names and numbers are Aurora's `JobUpdateAction`."""

    INSTANCE_UPDATED = 1
    INSTANCE_ROLLED_BACK = 2
    INSTANCE_UPDATING = 3
    INSTANCE_ROLLING_BACK = 4
    INSTANCE_UPDATE_FAILED = 5
    INSTANCE_ROLLBACK_FAILED = 6


class Phase(IntEnum):
    """How far one instance is in the current direction. Internal: never on the wire."""

    IDLE = 0
    WORKING = 1
    SUCCEEDED = 2
    FAILED = 3
    SKIPPED = 4
    """Left out by a person: done, and not failed."""
    AGAIN = 5
    """Taken up again by a person: waits for its turn."""


@frozen(cache_hash=True)
class UpdateKey:
    """Names an update: its job and an id that is unique within the job."""

    job: JobKey
    id: str

    def __str__(self) -> str:
        return f"{self.job}/{self.id}"


@frozen(order=True)
class Range:
    """Instance ids `first` to `last`, both included."""

    first: int
    last: int

    def ids(self) -> range:
        return range(self.first, self.last + 1)


def to_ranges(instance_ids: Iterable[int]) -> tuple[Range, ...]:
    """The fewest closed ranges that hold exactly these ids, ascending."""
    ranges: list[Range] = []
    for i in sorted(set(instance_ids)):
        if ranges and ranges[-1].last == i - 1:
            ranges[-1] = Range(ranges[-1].first, i)
        else:
            ranges.append(Range(i, i))
    return tuple(ranges)


def instance_ids(ranges: Iterable[Range]) -> Iterator[int]:
    for r in ranges:
        yield from r.ids()


@frozen
class QueueStrategy:
    """Keep up to `group_size` instances in progress at all times."""

    group_size: int


@frozen
class BatchStrategy:
    """Start `group_size` instances when none is in progress."""

    group_size: int
    autopause_after_batch: bool = False


@frozen
class VariableBatchStrategy:
    """Like batches, of the given sizes in turn; the last size repeats."""

    group_sizes: tuple[int, ...]
    autopause_after_batch: bool = False


Strategy = QueueStrategy | BatchStrategy | VariableBatchStrategy


@frozen
class UpdateSettings:
    """How to roll. The deprecated fields are kept as the client sent them; `strategy` is what counts."""

    strategy: Strategy
    update_group_size: int = 0
    wait_for_batch_completion: bool = False
    max_per_instance_failures: int = 0
    max_failed_instances: int = 0
    min_wait_in_instance_running_ms: int = 0
    rollback_on_failure: bool = False
    update_only_these_instances: tuple[Range, ...] = field(default=(), converter=canonical)
    block_if_no_pulses_after_ms: int | None = None
    sla_aware: bool | None = None

    @property
    def pulse_timeout_ms(self) -> int:
        """0 when no heartbeat is asked for."""
        return self.block_if_no_pulses_after_ms or 0


@frozen
class InstanceConfigs:
    """One configuration and the instances it is for."""

    config: TaskConfig
    instances: tuple[Range, ...]


@frozen
class Instructions:
    """What to do, frozen at start. An id only in `initial` is removed, only in `desired` created, in both replaced."""

    initial: tuple[InstanceConfigs, ...]
    desired: InstanceConfigs | None
    settings: UpdateSettings


@frozen
class UpdateEvent:
    """One entry of an update's history: it came to `status`."""

    status: UpdateStatus
    timestamp_ms: int
    user: str | None = None
    message: str | None = None


@frozen
class InstanceEvent:
    """One entry of an update's history: something happened to one instance."""

    instance_id: int
    timestamp_ms: int
    action: InstanceAction
    message: str | None = None


@frozen
class InstanceProgress:
    """Where one instance stands, folded from the log, so that pause, block and failover forget nothing.

    `exit_seq` orders exits that happened during a soft pause: they are counted when it lifts (0: none waits).
    `recorded` is a bit set of the actions already in the history; each is recorded once.
    """

    phase: Phase = Phase.IDLE
    failures: int = 0
    exit_seq: int = 0
    recorded: int = 0


@frozen
class SlaRefusal:
    """An instance in progress waits for its SLA. `since_ms`: when the leader was refused first. Not logged."""

    since_ms: int
    why: str


@frozen(eq=False)
class JobUpdate:
    """One update: instructions that never change and histories that only grow. Compared by identity."""

    key: UpdateKey
    user: str
    instructions: Instructions
    metadata: tuple[Metadata, ...] = ()
    events: History[UpdateEvent] = field(factory=History)
    instance_events: History[InstanceEvent] = field(factory=History)
    notes: Notes = NO_NOTES
    status: UpdateStatus = field(init=False)
    """Of the last event: it is asked for far more often than it changes."""

    @status.default
    def _last_status(self) -> UpdateStatus:
        return self.events[-1].status

    @property
    def is_rolling_back(self) -> bool:
        return self.status in (
            UpdateStatus.ROLLING_BACK,
            UpdateStatus.ROLL_BACK_PAUSED,
            UpdateStatus.ROLL_BACK_AWAITING_PULSE,
        )

    @property
    def settings(self) -> UpdateSettings:
        return self.instructions.settings

    @property
    def wishes(self) -> Wishes:
        """What it asks for beyond Aurora's settings."""
        return wishes(self.metadata)

    @property
    def created_ms(self) -> int:
        return self.events[0].timestamp_ms

    @property
    def last_modified_ms(self) -> int:
        last = self.events[-1].timestamp_ms
        return max(last, self.instance_events[-1].timestamp_ms) if self.instance_events else last

    @property
    def is_coordinated(self) -> bool:
        """Does a heartbeat gate this update?"""
        return self.settings.pulse_timeout_ms > 0
