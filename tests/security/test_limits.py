"""Buckets of tokens with the clock turned by hand."""

import pytest
from hypothesis import given, strategies as st

from scheduler.security import limits
from scheduler.security.limits import Limits, host_of


class Hand:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate_each_for_himself() -> None:
    clock = Hand()
    bucket = Limits(2, 3, clock)
    assert [bucket.take("alice") for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take("bob") == 0
    clock.now += 0.49
    assert bucket.take("alice") > 0
    clock.now += 0.01
    assert [bucket.take("alice"), bucket.take("alice")] == [0, 0.5]
    clock.now += 1000
    assert [bucket.take("alice") for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.refused == 4


def test_what_is_given_back_can_be_taken() -> None:
    bucket = Limits(1, 1, Hand())
    assert bucket.take("a") == 0
    bucket.give_back("a")
    bucket.give_back("a")
    assert [bucket.take("a"), bucket.take("a")] == [0, 1]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 10)
    bucket = Limits(1, 1, Hand())
    for number in range(100):
        bucket.take(str(number))
    assert len(bucket) == 10
    assert bucket.take("99") > 0
    assert bucket.take("0") == 0


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_that_lets_nothing_through_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="lets nothing through"):
        Limits(rate, burst, Hand())


@given(st.lists(st.floats(0, 5), max_size=60))
def test_never_more_than_burst_and_rate(steps: list[float]) -> None:
    clock = Hand()
    bucket = Limits(2, 5, clock)
    taken = 0
    for step in steps:
        clock.now += step
        taken += bucket.take("x") == 0
    assert taken <= 5 + 2 * sum(steps) + 1e-6


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.0.0.7:51234", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("::1:51234", "::/64"),
        ("2001:db8:1:2:3:4:5:6:51234", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host
