"""How many to start next, against walks that go instance by instance."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from scheduler.core.updates.records import BatchStrategy, QueueStrategy, Strategy, VariableBatchStrategy
from scheduler.core.updates.strategies import Counts, next_group_size, pauses_between_groups

sizes = st.integers(1, 12)
size_lists = st.lists(sizes, min_size=1, max_size=5).map(tuple)


def walk(strategy: Strategy, total: int, *, back: bool = False) -> list[int]:
    """The groups of a whole direction, when each is done before the next is asked for."""
    groups = []
    started = 0
    while started < total:
        size = next_group_size(strategy, Counts(total, started, 0), back=back)
        assert size > 0
        groups.append(size)
        started += size
    assert next_group_size(strategy, Counts(total, total, 0), back=back) == 0
    return groups


def naive_groups(group_sizes: tuple[int, ...], total: int) -> list[int]:
    """One instance after the other into groups of the given sizes, the last of which repeats."""
    groups: list[int] = []
    room = 0
    position = 0
    for _ in range(total):
        if room == 0:
            room = group_sizes[min(position, len(group_sizes) - 1)]
            position += 1
            groups.append(0)
        groups[-1] += 1
        room -= 1
    return groups


# Aurora's documented examples.
@pytest.mark.parametrize(("group_sizes", "total", "forward"), [
    ((1, 2), 10, [1, 2, 2, 2, 2, 1]),
    ((2, 3, 5), 20, [2, 3, 5, 5, 5]),
    ((1, 2, 3), 6, [1, 2, 3]),
    ((1, 2), 7, [1, 2, 2, 2]),
    ((3,), 7, [3, 3, 1]),
    ((5, 1), 3, [3]),
])  # fmt: skip
def test_variable_batches(group_sizes: tuple[int, ...], total: int, forward: list[int]) -> None:
    assert walk(VariableBatchStrategy(group_sizes), total) == forward


@pytest.mark.parametrize(("group_sizes", "total", "back"), [
    ((1, 2, 3), 6, [3, 2, 1]),
    ((1, 2), 7, [2, 2, 2, 1]),
    ((1, 2), 10, [1, 2, 2, 2, 2, 1]),
    ((2, 3, 5), 20, [5, 5, 5, 3, 2]),
    ((5, 1), 3, [3]),
])  # fmt: skip
def test_variable_batches_back(group_sizes: tuple[int, ...], total: int, back: list[int]) -> None:
    assert walk(VariableBatchStrategy(group_sizes), total, back=True) == back


@given(size_lists, st.integers(0, 80))
def test_variable_batches_are_those_of_the_walk_and_back_their_mirror(group_sizes: tuple[int, ...], total: int) -> None:
    forward = naive_groups(group_sizes, total)
    assert walk(VariableBatchStrategy(group_sizes), total) == forward
    assert walk(VariableBatchStrategy(group_sizes), total, back=True) == forward[::-1]


@given(sizes, st.integers(0, 80), st.booleans())
def test_batches(size: int, total: int, back: bool) -> None:
    assert walk(BatchStrategy(size), total, back=back) == naive_groups((size,), total)


@given(sizes, st.integers(0, 60), st.integers(0, 60), st.integers(0, 20), st.booleans())
def test_a_queue_is_filled_up(size: int, idle: int, done: int, working: int, back: bool) -> None:
    found = next_group_size(QueueStrategy(size), Counts(idle + done + working, done + working, working), back=back)
    slots = 0
    while slots < idle and working + slots < size:
        slots += 1
    assert found == slots


@given(
    st.one_of(size_lists.map(VariableBatchStrategy), sizes.map(BatchStrategy)), st.integers(1, 40), st.integers(1, 9)
)
def test_batches_wait_for_the_last_straggler(strategy: Strategy, idle: int, working: int) -> None:
    counts = Counts(idle + working, working, working)
    assert next_group_size(strategy, counts, back=False) == 0
    assert next_group_size(strategy, counts, back=True) == 0


def test_who_pauses_between_groups() -> None:
    assert not pauses_between_groups(QueueStrategy(1))
    assert not pauses_between_groups(BatchStrategy(1))
    assert pauses_between_groups(BatchStrategy(1, True))
    assert not pauses_between_groups(VariableBatchStrategy((1,)))
    assert pauses_between_groups(VariableBatchStrategy((1,), True))
