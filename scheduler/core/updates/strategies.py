"""How many instances to start next: one pure function per strategy.

All of them work on counts. Instances start in the plan's order, so "which" follows from "how many".
Source: Aurora's documentation, "Job updates", section on update strategies.
"""

from __future__ import annotations

from attrs import frozen

from scheduler.core.updates.records import BatchStrategy, QueueStrategy, Strategy, VariableBatchStrategy


@frozen
class Counts:
    """Where one direction of an update stands."""

    total: int
    started: int
    working: int

    @property
    def idle(self) -> int:
        return self.total - self.started


def next_group_size(strategy: Strategy, counts: Counts, *, back: bool) -> int:
    """How many of the idle instances to start now; 0: wait."""
    if isinstance(strategy, QueueStrategy):
        return min(counts.idle, max(0, strategy.group_size - counts.working))
    if counts.working:
        return 0
    if isinstance(strategy, BatchStrategy):
        return min(counts.idle, strategy.group_size)
    size = _size_back(strategy, counts.idle) if back else _size_forward(strategy, counts.started)
    return min(counts.idle, size)


def pauses_between_groups(strategy: Strategy) -> bool:
    return not isinstance(strategy, QueueStrategy) and strategy.autopause_after_batch


def group_sizes(strategy: Strategy) -> tuple[int, ...]:
    """All sizes a strategy names, for the checks at start."""
    return strategy.group_sizes if isinstance(strategy, VariableBatchStrategy) else (strategy.group_size,)


def _size_forward(strategy: VariableBatchStrategy, started: int) -> int:
    """The size whose running sum first passes what was started; past the list, its last size."""
    reached = 0
    for size in strategy.group_sizes:
        reached += size
        if reached > started:
            return size
    return strategy.group_sizes[-1]


def _size_back(strategy: VariableBatchStrategy, idle: int) -> int:
    """The groups of the forward direction, from the end: what is left over after whole groups goes first."""
    for size in strategy.group_sizes:
        if idle <= size:
            return idle
        idle -= size
    last = strategy.group_sizes[-1]
    return idle % last or last
