"""Delta debugging by itself: what is needed stays, what is not goes."""

from itertools import count

import pytest

from scheduler.testing.simulation.shrink import fewest


def shrunk(items: tuple[int, ...], needed: set[int], *, tries: int = 10_000) -> tuple[int, ...]:
    best = [items]
    left = count(tries, -1)

    def fails(some: tuple[int, ...]) -> bool:
        if needed <= set(some):
            best[0] = some
            return True
        return False

    fewest(items, fails, is_time_up=lambda: next(left) <= 0)
    return best[0]


@pytest.mark.parametrize("needed", [set(), {0}, {99}, {3, 50}, {1, 2, 3, 97, 98}, set(range(20))])
def test_only_what_is_needed_is_left(needed: set[int]) -> None:
    assert set(shrunk(tuple(range(100)), needed)) == needed


def test_it_keeps_the_order() -> None:
    assert shrunk((5, 1, 4, 2, 3), {4, 3, 5}) == (5, 4, 3)


def test_it_stops_when_time_is_up() -> None:
    assert len(shrunk(tuple(range(100)), {1}, tries=2)) > 1
