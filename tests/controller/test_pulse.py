"""A heartbeat on its short way does exactly what it does as a decision, in every status an update can be in."""

from __future__ import annotations

import pytest

from scheduler.contracts import Ticket
from scheduler.core.updates import requests
from scheduler.core.updates.records import UpdateKey
from scheduler.testing.script import Script
from scheduler.testing.stage import Stage
from tests.core.updates.test_verbs import WAYS, poison

__all__ = ["poison"]  # a fixture


def played(way: str) -> tuple[Stage, UpdateKey]:
    script = Script()
    for line in WAYS[way]:
        script.do(line)
    return script.stage, script.key()


def left_by(stage: Stage, key: UpdateKey, ticket: Ticket) -> dict[str, object]:
    """All there is to see of a heartbeat."""
    offset = ticket.offset - stage.controller.durable_offset
    stage.settle()
    update = stage.state.updates[key]
    return {
        "answer": ticket.answer,
        "waits for": offset,
        "heard": dict(stage.state.pulses.items()),
        "events": [(event.status, event.timestamp_ms) for event in update.events],
        "deadlines": len(stage.controller.deadlines),
        "entries": len(stage.log),
    }


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("way", WAYS)
def test_the_short_way_and_the_long_one(way: str) -> None:
    stage, key = played(way)
    short = left_by(stage, key, stage.controller.pulse(key))
    stage, key = played(way)
    long = left_by(stage, key, stage.controller.write(requests.pulse, key))
    assert short == long


@pytest.mark.parametrize("way", ["ROLLING_FORWARD fresh", "ROLL_BACK_PAUSED fresh"])
def test_the_short_way_needs_no_transaction(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, key = played(way)
    monkeypatch.setattr(stage.controller, "write", None)
    assert stage.controller.pulse(key).answer is requests.BEATING


def test_it_waits_for_what_was_decided_before_it() -> None:
    """The update it speaks of may not be durable yet."""
    stage, key = played("ROLLING_FORWARD fresh")
    stage.controller.write(requests.pause, key, "bob", None)
    assert stage.controller.pulse(key).offset == stage.controller.durable_offset + 1
