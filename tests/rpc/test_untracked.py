"""A long list that the collector passes over is a list like any other."""

from __future__ import annotations

import gc
import weakref

from scheduler.rpc.untracked import LONG, untrack


class Record:
    """Something that can be watched."""


def test_only_long_ones_are_left_alone() -> None:
    members = [Record() for _ in range(LONG)]
    long, short = tuple(members), tuple(members[:-1])
    for each in (long, short, members):
        untrack(each)
    assert (gc.is_tracked(long), gc.is_tracked(short), gc.is_tracked(members)) == (False, True, False)


def test_what_is_in_it_lives_as_long_as_it_does_and_no_longer() -> None:
    long = tuple(Record() for _ in range(LONG))
    untrack(long)
    untrack(long)
    first = weakref.ref(long[0])
    gc.collect()
    assert first() is long[0]
    del long
    assert first() is None


def test_a_list_may_still_grow_and_shrink() -> None:
    members: list[Record] = [Record() for _ in range(LONG)]
    untrack(members)
    members += [Record() for _ in range(LONG)]
    last = weakref.ref(members[-1])
    gc.collect()
    assert last() is members.pop()
    assert last() is None
