"""One decision in the making: it reads the state, applies ops at once, and collects what must happen after commit.

All or nothing: `undo` puts the state back as it was. A part can be taken back alone (`savepoint`, `rollback`), which is
how one broken update is set aside without harming the decision it was part of.

Time and randomness come in here as values: `now_ms` (the wall's clock, for what is recorded), `mono_ms` (a clock that
never jumps, for deadlines), `new_id` and `random`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NamedTuple

from attrs import frozen

from scheduler.core import ops
from scheduler.core.answers import Refused, error
from scheduler.core.effects import Effect, Say
from scheduler.core.policy import Policy
from scheduler.core.records import Task, TaskConfig, content_hash
from scheduler.core.state import Journal, State, apply
from scheduler.core.updates.records import UpdateKey

NOT_YET: Final = (
    "Another scheduler of this cluster is older and could not read what this would record: finish the upgrade first,"
    " and let the leader change once."
)


class Clocks(NamedTuple):
    """The moment of a decision."""

    now_ms: int
    mono_ms: int


@frozen
class World:
    """What a decision gets from outside besides the moment: who decides, by which rules, and chance."""

    policy: Policy
    scheduler: str
    new_id: Callable[[], str]
    random: Callable[[], float]
    format_level: int = ops.FORMAT_LEVEL
    """What every scheduler of the cluster can read."""


class DeadlineKind(Enum):
    """What a deadline is about; the second part of its name is the id of what it is for."""

    PULSE = "pulse"  # an UpdateKey: record that the heartbeat is overdue
    OVERRIDE = "override"  # an UpdateKey: an override of its heartbeat ends
    PROGRESS = "progress"  # an UpdateKey: nothing has moved in it for as long as it allows
    RESUME = "resume"  # an UpdateKey: a timed pause ends
    WATCH = "watch"  # (UpdateKey, instance): the watch window may be over
    THROTTLE = "throttle"  # a task id: its penalty is over
    KILL = "kill"  # a task id: ask again, harder
    TRANSIENT = "transient"  # a task id: it has been on its way for too long
    DRAIN = "drain"  # a host: look whether more tasks may leave it
    DEPARTURE = "departure"  # a host: the time has come to move its tasks, because it said that it will go away
    CRON = "cron"  # a JobKey: its next run may be due
    PARTITION = "partition"  # a task id: its host has been silent for as long as its policy allows
    HOST = "host"  # a host: nothing has been heard of it for too long
    RESERVATION = "reservation"  # a ReservationKey: room was kept for long enough
    PREEMPT = "preempt"  # None: somebody has waited long enough for others to make way
    PLACE = "place"  # None: a group of pending tasks has backed off for long enough


Deadline = tuple[DeadlineKind, Any]


@frozen
class TaskChanged:
    """A task came to a new state. Updates look at it when the change itself is done."""

    task: Task


@frozen
class TaskDeleted:
    """A task that had not ended left the state."""

    task: Task


class Savepoint(NamedTuple):
    journal: int
    ops: int
    effects: int
    armed: int
    changes: int


class Transaction:
    """See the module. Made by the controller, one for each decision."""

    __slots__ = (
        "armed",
        "begun",
        "changes",
        "cleared",
        "effects",
        "failures",
        "journal",
        "mono_ms",
        "now_ms",
        "ops",
        "policy",
        "state",
        "wants_placement",
        "world",
    )

    def __init__(self, state: State, world: World, clocks: Clocks) -> None:
        self.state = state
        self.world = world
        self.policy: Policy = world.policy
        self.now_ms, self.mono_ms = clocks
        self.ops: list[ops.Op] = []
        self.effects: list[Effect] = []
        self.armed: list[tuple[Deadline, int]] = []
        self.changes: deque[TaskChanged | TaskDeleted] = deque()
        self.begun: set[tuple[UpdateKey, int]] = set()
        """Instances that updates took up in this decision. What changed in it had changed before."""
        self.cleared: set[str] = set()
        """Ids of tasks whose coordinators have let them go."""
        self.failures: list[tuple[str, Exception]] = []
        """Parts that raised and were taken back alone: what they were about, for the log."""
        self.wants_placement = False
        """Should the next turn look for hosts, though no op of this decision asks for one?"""
        self.journal: Journal = []
        state.journal = self.journal

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.now_ms, self.mono_ms)

    def apply(self, op: ops.Op) -> None:
        """Record `op` and carry it out in memory. Raises Refused for one that others could not read yet."""
        if self.world.format_level < ops.FORMAT_LEVEL and ops.level_of((op,)) > self.world.format_level:
            raise Refused(error(NOT_YET))
        apply(self.state, op)
        self.ops.append(op)

    def intern(self, config: TaskConfig) -> TaskConfig:
        """The one object for this content, logged before its first use."""
        known = self.state.configs.canonical(config)
        if known is config and config not in self.state.configs.digests:
            self.apply(ops.SaveConfig(content_hash(config), config))
        return known

    def effect(self, effect: Effect) -> None:
        self.effects.append(effect)

    def say(self, subject: object, sentence: str) -> None:
        self.effects.append(Say(str(subject), sentence))

    def arm(self, kind: DeadlineKind, key: Any, at_ms: int) -> None:
        """Be woken at a wall-clock instant. Arming again moves the deadline."""
        self.arm_mono(kind, key, self.mono_ms + max(0, at_ms - self.now_ms))

    def arm_mono(self, kind: DeadlineKind, key: Any, at_mono_ms: int) -> None:
        self.armed.append(((kind, key), at_mono_ms))

    def savepoint(self) -> Savepoint:
        return Savepoint(len(self.journal), len(self.ops), len(self.effects), len(self.armed), len(self.changes))

    def rollback(self, to: Savepoint) -> None:
        """Take back everything since `to`. Changes that were looked at since are not brought back."""
        undone = self.journal[to.journal :]
        del self.journal[to.journal :]
        self.state.journal = None
        self.state.undo(undone)
        self.state.journal = self.journal
        del self.ops[to.ops :]
        del self.effects[to.effects :]
        del self.armed[to.armed :]
        while len(self.changes) > to.changes:
            self.changes.pop()

    def attempt(self, what: str, part: Callable[..., object], *args: Any) -> bool:
        """Run `part(*args)`; if it raises, only that is taken back, and noted as `what`. Returns whether it was done.

        For one of many things a decision does that have nothing to do with each other. What the part did to hints
        (`placement/memory.py`) is not taken back.
        """
        before = self.savepoint()
        try:
            part(*args)
        except Exception as failure:  # whatever it is, it is this part's alone
            self.rollback(before)
            self.failures.append((what, failure))
            return False
        return True

    def close(self) -> None:
        """Keep what was decided."""
        self.state.journal = None

    def undo(self) -> None:
        """Keep nothing."""
        self.state.journal = None
        self.state.undo(self.journal)
        self.ops.clear()
        self.effects.clear()
        self.armed.clear()
        self.changes.clear()
