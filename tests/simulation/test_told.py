"""The history checker hears of the calls of a run, and finds what is planted in what it heard."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from scheduler.testing.history import Heard
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.told import Told
from scheduler.testing.simulation.invent import Inventor
from scheduler.testing.simulation.world import World


@pytest.fixture(scope="module")
def told() -> Told:
    """After some hundred steps; without restarts, so that little is unknown."""
    world, inventor = World(3), Inventor(3, restarts=0)
    while world.steps < 600:
        world.do(inventor.next(world))
    (check,) = (check for check in world.checks if isinstance(check, Told))
    return check


def test_a_good_run_is_left_alone(told: Told) -> None:
    assert sum(call.heard is Heard.ACKNOWLEDGED for call in told._calls.values()) >= 5
    told.healed()


def _was_refused(told: Told) -> None:
    number = _acknowledged(told)
    told._calls[number] = evolve(told._calls[number], heard=Heard.REFUSED)


def _was_lost(told: Told) -> None:
    call = told._calls[_acknowledged(told)]
    for one in told._updates.values():
        one.events = [event for event in one.events if event.message != call.token]


def _happened_twice(told: Told) -> None:
    call = told._calls[_acknowledged(told)]
    for one in told._updates.values():
        one.events = [event for event in one.events for _ in range(1 + (event.message == call.token))]


def _acknowledged(told: Told) -> int:
    """A pause that is in the history."""
    messages = {event.message for one in told._updates.values() for event in one.events}
    for number, call in told._calls.items():
        if call.kind.value == "pauseJobUpdate" and call.heard is Heard.ACKNOWLEDGED and call.token in messages:
            return number
    raise AssertionError("no pause was acknowledged")


@pytest.mark.parametrize("plant", [_was_refused, _was_lost, _happened_twice])
def test_what_is_planted_is_found(plant: Callable[[Told], None], told: Told) -> None:
    calls, events = dict(told._calls), {key: list(one.events) for key, one in told._updates.items()}
    try:
        plant(told)
        with pytest.raises(Broken, match=r"(refused|lost|twice|half|fold)"):
            told.healed()
    finally:
        _restore(told, calls, events)


def _restore(told: Told, calls: dict[int, Any], events: dict[Any, Any]) -> None:
    told._calls = calls
    for key, before in events.items():
        told._updates[key].events = before
