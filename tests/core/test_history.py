"""`History` is a tuple that is cheap to extend: whatever is done with it, it says what a tuple would."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from scheduler.core.history import History


@given(st.lists(st.tuples(st.integers(0, 30), st.integers()), max_size=60))
def test_versions_never_disturb_each_other(steps: list[tuple[int, int]]) -> None:
    """Append to any version at any time, as undone decisions do."""
    versions: list[tuple[History[int], tuple[int, ...]]] = [(History(), ())]
    for which, item in steps:
        history, plain = versions[which % len(versions)]
        versions.append((history.appended(item), (*plain, item)))
    for history, plain in versions:
        assert tuple(history) == plain
        assert len(history) == len(plain)
        assert bool(history) is bool(plain)
        assert history[:] == list(plain)
        assert history[1:-1] == list(plain[1:-1])
        assert [history[i] for i in range(-len(plain), len(plain))] == [
            plain[i] for i in range(-len(plain), len(plain))
        ]
        assert history == History(plain)
        assert hash(history) == hash(History(plain))


def test_ends() -> None:
    history = History((1, 2)).appended(3)
    shorter = History((1, 2))
    shorter.appended(9)
    for index in (3, -4):
        with pytest.raises(IndexError):
            history[index]
    with pytest.raises(IndexError):
        shorter[2]  # it is in the shared list, and not in this version
    with pytest.raises(IndexError):
        History()[-1]
    assert history[-1] == 3


def test_appending_to_the_newest_version_copies_nothing() -> None:
    history: History[int] = History()
    for number in range(10_000):
        history = history.appended(number)
    assert len(history) == 10_000
    assert history._items is history.appended(1)._items


def test_equality_is_by_content_and_only_with_its_kind() -> None:
    assert History((1, 2)) == History((1,)).appended(2)
    assert History((1, 2)) != History((1,))
    assert History((1,)) != (1,)
    assert repr(History((1,))) == "History([1])"
