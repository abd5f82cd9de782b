"""The pretended durable log. What it has taken it never loses; how long it takes, and whether it says so, is chance.

Several schedulers may write to it: every append carries an epoch, and an older one than the newest is refused. A
base (the state at an offset) and the entries after it are kept, as a real store keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from attrs import define

from scheduler.contracts import ChangelogError, Entry, Fenced, OutcomeUnknown, Unavailable
from scheduler.core.ops import Op
from scheduler.core.state import State, apply, dump
from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.chance import Chance

LATENCY: Final = 1
FOLD_AFTER: Final = 120
"""Entries after which the base is moved on."""

Done = Callable[[ChangelogError | None], None]


class Fault(Enum):
    """What may become of one append."""

    REFUSED = "refused"  # nothing was written, and the store says so
    UNKNOWN_KEPT = "unknown, kept"  # written, but nobody knows
    UNKNOWN_LOST = "unknown, lost"


@define(eq=False)
class Append:
    """One append on its way."""

    entry: Entry
    done: Done
    over: bool = False


class Store:
    """Shared by all schedulers of a run."""

    def __init__(
        self,
        agenda: Agenda,
        chance: Chance,
        taken: Callable[[Entry], None],
        failed: Callable[[Fault], None],
    ) -> None:
        self._agenda = agenda
        self._chance = chance
        self._taken = taken
        self._failed = failed
        self._base: tuple[Op, ...] = ()
        self.tail: list[Entry] = []
        self.durable = 0
        self.epoch = 0
        self.mirror = State()
        """The durable entries folded by the production code, as a standby would."""
        self.slow_until_ms = 0
        self.next_fault: Fault | None = None

    # --- writing ---

    def append(self, entry: Entry, done: Done) -> Append:
        """`done` is called when it is known what became of the entry."""
        on_its_way = Append(entry, done)
        wait_ms = self._chance.between(1, 12, LATENCY, entry.offset, entry.epoch)
        if self._agenda.now_ms < self.slow_until_ms:
            wait_ms *= 100
        self._agenda.after(wait_ms, self._answer, on_its_way)
        return on_its_way

    def _answer(self, append: Append) -> bool:
        if append.over:
            return False
        append.over = True
        fault, self.next_fault = self.next_fault, None
        if fault is not None:
            self._failed(fault)
        if append.entry.epoch < self.epoch:
            append.done(Fenced(f"epoch {self.epoch} has begun"))
        elif fault is Fault.REFUSED:
            append.done(Unavailable("the store cannot be written now"))
        elif fault is Fault.UNKNOWN_LOST:
            append.done(OutcomeUnknown("the store did not say"))
        else:
            self.take(append.entry)
            append.done(OutcomeUnknown("the store did not say") if fault is Fault.UNKNOWN_KEPT else None)
        return True

    def cut(self, append: Append | None, *, kept: bool) -> None:
        """The writer died: what it was writing is there whole or not at all."""
        if append is not None and not append.over:
            append.over = True
            if kept and append.entry.epoch >= self.epoch:
                self.take(append.entry)

    def take(self, entry: Entry, as_read: Entry | None = None) -> None:
        """It is durable. `as_read`: as somebody reads it who did not write it."""
        self._taken(entry)
        self.durable = entry.offset
        self.epoch = entry.epoch
        as_read = as_read or entry
        self.tail.append(as_read)
        for op in as_read.ops:
            apply(self.mirror, op)
        if len(self.tail) >= FOLD_AFTER:
            self._base = tuple(dump(self.mirror))
            self.tail.clear()

    # --- reading ---

    def load(self) -> State:
        """Base, then tail, into an empty state."""
        state = State()
        for op in self._base:
            apply(state, op)
        for entry in self.tail:
            for op in entry.ops:
                apply(state, op)
        return state
