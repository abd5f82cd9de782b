"""Whoever makes something of the log as it is read: a state, and what follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from scheduler.contracts import Entry
from scheduler.core.ops import Op
from scheduler.core.state import State


class Reader(Protocol):
    """Fed by a membership: `begin`, then ops and entries in the log's order."""

    @property
    def state(self) -> State:
        """What the ops have made since `begin`."""

    def begin(self, lineage: str) -> Callable[[Op], None]:
        """From the start, perhaps for a second time: returns how to apply an op to a fresh state."""

    def passed(self, entry: Entry) -> None:
        """All ops of this entry were applied. Entries that are folded into a base are not told."""

    def caught_up(self, offset: int) -> None:
        """Everything that was there at the start is read, up to here."""
