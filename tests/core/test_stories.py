"""Random stories of two jobs, their updates, an engine that does what it likes, restarts and pauses.

After every step the stage checks all invariants (`core/invariants.py`).
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given, note, settings

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.answers import Answer, Refused, invalid
from scheduler.core.decide import decide, settle
from scheduler.core.state import State, apply, dump
from scheduler.core.transaction import Clocks, Transaction
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.snapshot import everything, logged
from scheduler.testing.stage import Stage, replayed
from tests.core.stories import SHORT_TIMES, Command, Teller, random_story, stories

SEEDS = 30
LENGTH = 400


@settings(max_examples=300)
@given(story=stories)
def test_a_replay_of_the_log_gives_the_same_state(story: list[Command]) -> None:
    stage = Stage(SHORT_TIMES)
    Teller(stage).tell(story)
    expected = logged(stage.state)
    assert logged(replayed(stage.log)) == expected
    rebuilt = State()
    for op in dump(stage.state):
        apply(rebuilt, op)
    assert logged(rebuilt) == expected


@settings(max_examples=60)
@given(story=stories)
def test_the_bytes_of_the_log_give_the_same_state(story: list[Command]) -> None:
    told = []
    for through_codec in (False, True):
        stage = Stage(SHORT_TIMES, through_codec=through_codec)
        Teller(stage).tell(story)
        told.append(logged(stage.state))
        assert logged(replayed(stage.log)) == told[-1]
    assert told[0] == told[1]


@settings(max_examples=200)
@given(story=stories)
@pytest.mark.parametrize("how", ["refused", "raised"])
def test_a_decision_that_does_not_happen_leaves_no_trace(story: list[Command], how: str) -> None:
    stage = Stage(SHORT_TIMES)
    teller = Teller(stage)
    for command in story:
        _try_and_fail(teller, command, how)
        teller.step(command)


def _try_and_fail(teller: Teller, command: Command, how: str) -> None:
    """Carry out a command with all its consequences, and then have it refused, or raise."""
    decision = teller.decision(command)
    if decision is None:
        return
    state, stage = teller.stage.state, teller.stage
    before = everything(state)
    rows = {key: (task, list(task.events)) for key, task in state.tasks.items()}
    tx = Transaction(state, stage.controller.world, Clocks(stage.clock.wall_ms(), stage.clock.mono_ms()))

    def spoiled(tx: Transaction) -> Answer | None:
        decision[0](tx, *decision[1])
        settle(tx)
        note(f"{command}: {len(tx.ops)} ops undone")
        if how == "refused":
            raise Refused(invalid("spoiled"))
        raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        assert not (decide(tx, spoiled)).ok  # or the decision refuses by itself
    assert everything(state) == before
    assert {key: (task, list(task.events)) for key, task in state.tasks.items()} == rows
    assert not tx.ops
    assert not tx.effects
    assert not tx.armed


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_long_story(seed: int) -> None:
    stage = Stage(SHORT_TIMES, seed=seed)
    Teller(stage).tell(random_story(seed, LENGTH))
    assert logged(replayed(stage.log)) == logged(stage.state)


def test_the_long_stories_are_worth_telling() -> None:
    """What they come across. If a status is missing, the generator is to blame."""
    seen: Counter[str] = Counter()

    def watch(entry: Entry) -> None:
        for op in entry.ops:
            if isinstance(op, ops.StartUpdate | ops.MoveUpdate | ops.MoveTask):
                seen[op.event.status.name] += 1

    for seed in range(SEEDS):
        stage = Stage(SHORT_TIMES, seed=seed)
        stage.on_entry = watch
        Teller(stage).tell(random_story(seed, LENGTH))
    print(sorted(seen.items()))
    expected = {status.name for status in UpdateStatus} - {"ERROR"}
    assert expected <= seen.keys()
