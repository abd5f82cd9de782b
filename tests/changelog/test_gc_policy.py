"""Reading a state back is not interrupted by looks for garbage, and what was read is not looked at again."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from scheduler.changelog.gc_policy import THRESHOLDS, quiet_moment, rehydrating


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    gc.enable()


def test_off_inside_and_frozen_after() -> None:
    gc.unfreeze()

    with rehydrating():
        assert not gc.isenabled()
        kept = [[i] for i in range(1000)]

    assert gc.isenabled()
    assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() > len(kept)


def test_also_when_reading_fails() -> None:
    with pytest.raises(RuntimeError), rehydrating():
        raise RuntimeError

    assert gc.isenabled()


def test_who_had_it_off_keeps_it_off() -> None:
    gc.disable()

    with rehydrating():
        pass

    assert not gc.isenabled()


def test_a_quiet_moment_frees_what_died_young_and_freezes_the_rest() -> None:
    gc.unfreeze()
    gc.disable()
    cycle: list[object] = []
    cycle.append(cycle)
    seen: list[str] = []

    class Told:
        def __del__(self) -> None:
            seen.append("gone")

    cycle.append(Told())
    del cycle

    quiet_moment()

    assert seen == ["gone"]
    assert gc.get_freeze_count() > 0
