"""The difference between a job and what is wanted, and the order of work, against the naive way of saying them."""

from __future__ import annotations

import time

from hypothesis import given, strategies as st

from scheduler.core.records import JobKey, Task, TaskConfig, TaskStatus
from scheduler.core.updates.diff import compare, grouped
from scheduler.core.updates.plan import make_plan
from scheduler.core.updates.records import (
    InstanceConfigs,
    Instructions,
    QueueStrategy,
    Range,
    UpdateSettings,
    instance_ids,
    to_ranges,
)
from scheduler.testing.stage import service

JOB = JobKey("www", "prod", "web")
CONFIGS = {name: service(JOB, name) for name in ("new", "old", "older")}
current_jobs = st.dictionaries(st.integers(0, 12), st.sampled_from(sorted(CONFIGS)))
scopes = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=3).map(
    lambda pairs: tuple(Range(first, first + more) for first, more in pairs)
)


@given(current_jobs, st.integers(0, 10), scopes)
def test_diff(current: dict[int, str], count: int, scope: tuple[Range, ...]) -> None:
    tasks = {i: Task(f"t{i}", i, service(JOB, name), TaskStatus.RUNNING) for i, name in current.items()}
    diff = compare(tasks, CONFIGS["new"], count, scope)
    inside = set(instance_ids(scope)) if scope else set(range(100))
    wanted = dict.fromkeys(range(count), "new")
    added = {i for i in wanted if i not in current} & inside
    removed = {i for i in current if i not in wanted} & inside
    replaced = {i for i in wanted if i in current and current[i] != "new"} & inside
    assert set(diff.added) == added
    assert set(diff.removed) == removed
    assert set(diff.replaced) == replaced
    assert set(diff.unchanged) == set(current) - removed - replaced
    assert diff.is_noop is not (added or removed or replaced)
    strangers = {i for i in instance_ids(scope) if i not in current and i not in wanted}
    assert set(diff.irrelevant) == strangers
    initial = {i: part.config for part in diff.initial() for i in instance_ids(part.instances)}
    assert initial == {i: CONFIGS[current[i]] for i in removed | replaced}
    desired = diff.desired(CONFIGS["new"])
    assert (set(instance_ids(desired.instances)) if desired else set()) == added | replaced


def test_a_hundred_thousand_ranges_are_no_burden() -> None:
    """One request may name so many; looking at each of them for each instance took half a minute."""
    started = time.process_time()
    apart = compare({}, CONFIGS["new"], 4000, tuple(Range(2 * i, 2 * i) for i in range(100_000)))
    assert apart.added == tuple(range(0, 4000, 2))
    assert apart.irrelevant == tuple(range(4000, 4040, 2))
    nested = compare({}, CONFIGS["new"], 4000, tuple(Range(0, 3999) for _ in range(100_000)))
    assert (len(nested.added), nested.irrelevant) == (4000, ())
    huge = compare({}, CONFIGS["new"], 2**31 - 1, (Range(5, 2**31 + 1),), 4001)
    assert (huge.added, huge.irrelevant) == (tuple(range(5, 4006)), (2**31 - 1, 2**31, 2**31 + 1))
    assert time.process_time() - started < 2


@given(st.sets(st.integers(0, 30)))
def test_ranges_hold_exactly_these_ids_and_are_the_fewest(ids: set[int]) -> None:
    ranges = to_ranges(ids)
    assert list(instance_ids(ranges)) == sorted(ids)
    assert len(ranges) == sum(i - 1 not in ids for i in ids)


def plan_of(initial: dict[int, TaskConfig], desired: set[int]) -> tuple[list[int], list[int]]:
    wanted = InstanceConfigs(CONFIGS["new"], to_ranges(desired)) if desired else None
    plan = make_plan(Instructions(grouped(initial.items()), wanted, UpdateSettings(QueueStrategy(1))))
    for i in initial.keys() | desired:
        assert plan.concerns(i)
        assert plan.target(i, back=False) is (CONFIGS["new"] if i in desired else None)
        assert plan.target(i, back=True) == initial.get(i)
    assert not plan.concerns(99)
    return list(plan.order(back=False)), list(plan.order(back=True))


def test_the_documented_order() -> None:
    forward, back = plan_of(dict.fromkeys((0, 2, 4, 5, 6), CONFIGS["old"]), {0, 1, 2, 3})
    assert forward == [1, 3, 0, 2, 4, 5, 6]
    assert back == [6, 5, 4, 2, 0, 3, 1]


@given(
    st.dictionaries(st.integers(0, 15), st.sampled_from([CONFIGS["old"], CONFIGS["older"]])),
    st.sets(st.integers(0, 15)),
)
def test_create_then_replace_then_remove_and_back_in_reverse(initial: dict[int, TaskConfig], desired: set[int]) -> None:
    forward, back = plan_of(initial, desired)
    create = [i for i in range(16) if i in desired and i not in initial]
    replace = [i for i in range(16) if i in desired and i in initial]
    remove = [i for i in range(16) if i not in desired and i in initial]
    assert forward == create + replace + remove
    assert back == forward[::-1]
