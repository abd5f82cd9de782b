"""Deadlines, against a plain dictionary that is searched through."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from scheduler.controller.deadlines import Deadlines
from scheduler.core.transaction import Deadline, DeadlineKind


def named(number: int) -> Deadline:
    return DeadlineKind.WATCH, number


steps = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 30)), max_size=60)


@settings(deadline=None, print_blob=True)
@given(steps)
def test_whatever_is_armed_moved_and_taken(story: list[tuple[bool, int, int]]) -> None:
    """True: arm number `which` at `at`; False: take what is due at `at`."""
    deadlines, plain = Deadlines(), dict[Deadline, int]()
    for arming, which, at in story:
        if arming:
            deadlines.arm(named(which), at)
            plain[named(which)] = at
        else:
            due = deadlines.due(at)
            expected = {deadline for deadline, when in plain.items() if when <= at}
            if due is None:
                assert not expected
            else:
                assert due in expected
                assert plain[due] == min(plain.values())  # the oldest first
                del plain[due]
        assert deadlines.next_ms() == min(plain.values(), default=None)
        assert len(deadlines) == len(plain)
        assert all(deadline in deadlines for deadline in plain)
        assert (named(99) in deadlines) is False


def test_deadlines_of_one_instant_come_in_the_order_they_were_armed() -> None:
    deadlines = Deadlines()
    for number in (3, 1, 2):
        deadlines.arm(named(number), 10)
    assert [deadlines.due(10) for _ in range(4)] == [named(3), named(1), named(2), None]


def test_moving_a_deadline_on_costs_no_room() -> None:
    """A heartbeat a second for a day moves one deadline: the heap must not grow with it."""
    deadlines = Deadlines()
    for second in range(86_400):
        deadlines.arm(named(1), 1000 * second + 60_000)
    assert len(deadlines._heap) == 1
    assert deadlines.next_ms() == 1000 * 86_399 + 60_000
