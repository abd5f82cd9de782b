"""Rehearsals change nothing, and histories end where the record ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from scheduler.core import invariants
from scheduler.core.answers import Answer, Code, Refused, error
from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.transaction import Transaction
from scheduler.core.updates import rehearsal, replay, requests
from scheduler.core.updates.records import (
    BatchStrategy,
    JobUpdate,
    QueueStrategy,
    UpdateEvent,
    UpdateStatus,
    VariableBatchStrategy,
)
from scheduler.core.updates.rehearsal import Rehearsal
from scheduler.core.updates.replay import Replay
from scheduler.testing.script import Script, commands
from scheduler.testing.snapshot import everything
from scheduler.testing.stage import service

TRANSCRIPTS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.txt"))


def rehearsed(script: Script, settings: SettingsRequest, count: int = 4) -> Answer:
    request = UpdateRequest(service(script.job, "new"), count, settings)
    return script.stage.controller.write(rehearsal.rehearse, request, "me").answer


def start_and_refuse(tx: Transaction, request: UpdateRequest, user: str) -> Answer:
    """As when what the start leads to could not be recorded: its plan was made by then."""
    assert requests.start(tx, request, user, None).ok
    raise Refused(error("planted"))


def scene() -> Script:
    script = Script()
    script.do("job web 0-4 old")
    return script


@pytest.mark.parametrize(
    ("strategy", "groups"),
    [
        (QueueStrategy(2), ["replace 0-1", "replace 2-3", "remove 4"]),
        (BatchStrategy(3), ["replace 0-2", "replace 3, remove 4"]),
        (VariableBatchStrategy((1, 2)), ["replace 0", "replace 1-2", "replace 3, remove 4"]),
    ],
)
def test_the_groups_are_those_of_the_strategy(strategy: QueueStrategy, groups: list[str]) -> None:
    found = rehearsed(scene(), SettingsRequest(strategy=strategy)).result
    assert isinstance(found, Rehearsal)
    assert [group.sentence for group in found.groups] == groups
    assert found.if_pulses_stopped == "No heartbeat gates it: it would go on."


def test_it_says_what_silence_would_do() -> None:
    settings = SettingsRequest(strategy=BatchStrategy(2, True), block_if_no_pulses_after_ms=60_000)
    found = rehearsed(scene(), settings).result
    assert isinstance(found, Rehearsal)
    assert found.sentences[0] == "Nothing starts before the first heartbeat."
    assert "pauses after each group" in " ".join(found.sentences)
    assert "nothing starts from 60 s after the last one" in found.if_pulses_stopped
    assert "3 s later" in found.if_pulses_stopped


def test_nothing_happens() -> None:
    script = scene()
    before, offset = everything(script.stage.state), script.stage.controller.decided_offset
    rehearsed(script, SettingsRequest(strategy=QueueStrategy(2)))
    assert everything(script.stage.state) == before
    assert script.stage.controller.decided_offset == offset
    assert script.stage.controller.take_effects() == []
    assert script.do("start new 0-3")[0].endswith("= OK u1")


@pytest.mark.parametrize("decision", [rehearsal.rehearse, start_and_refuse])
def test_no_plan_is_left_of_what_was_undone(decision: Callable[..., Answer]) -> None:
    """It is as large as the job, and nobody would ever ask for it again."""
    script = scene()
    request = UpdateRequest(service(script.job, "new"), 4, SettingsRequest(strategy=QueueStrategy(2)))
    for _ in range(3):
        script.stage.controller.write(decision, request, "me")
    assert not script.stage.state.updates.plans
    assert invariants.broken(script.stage.state) == []


def test_it_is_refused_as_a_start_is() -> None:
    script = scene()
    settings = SettingsRequest(strategy=QueueStrategy(0))
    request = UpdateRequest(service(script.job, "new"), 4, settings)
    assert rehearsed(script, settings) == script.stage.ask(requests.start, request, "me", None)
    script.do("start other 0-4")
    assert rehearsed(script, SettingsRequest(strategy=QueueStrategy(2))).code is Code.INVALID_REQUEST


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_every_history_ends_where_the_record_ends(path: Path) -> None:
    script = Script()
    for command in commands(path.read_text(encoding="utf-8")):
        script.do(command)
        if command.startswith("policy"):
            continue
        for update in list(script.stage.state.updates.values()):
            found = script.stage.controller.read(replay.replay, update.key).answer.result
            assert isinstance(found, Replay)
            assert (found.differences, found.ends_as) == ((), update.status), command


def test_a_history_that_cannot_be_is_found() -> None:
    script = scene()
    script.do("start new 0-4")
    update = script.update()
    assert update is not None
    state = script.stage.state
    back = UpdateEvent(UpdateStatus.ROLL_BACK_PAUSED, 99)
    broken: JobUpdate = attrs.evolve(update, events=update.events.appended(back))
    state.replace(state.updates, update.key, broken)
    state.replace(state.progress, (update.key, 0), None)
    found = script.stage.controller.read(replay.replay, update.key).answer.result
    assert isinstance(found, Replay)
    assert found.differences[0] == "ROLLING_FORWARD -> ROLL_BACK_PAUSED at 99 is not in the table."
    assert len(found.differences) == 2


def test_steps_are_sentences_in_the_order_of_time() -> None:
    script = scene()
    script.do("start new 0-4 batch=2")
    script.do('pause user=alice "lunch"')
    found = script.stage.controller.read(replay.replay, script.key()).answer.result
    assert isinstance(found, Replay)
    assert [step.sentence for step in found.steps] == [
        "ROLLING_FORWARD by UNSECURE",
        "Instances 0-1: UPDATING",
        "ROLL_FORWARD_PAUSED by alice: lunch",
    ]


def steps_of(*commands: str) -> list[str]:
    script = scene()
    for command in commands:
        script.do(command)
    found = script.stage.controller.read(replay.replay, script.key()).answer.result
    assert isinstance(found, Replay)
    return [step.sentence for step in found.steps]


def test_of_one_instant_the_cause_comes_first() -> None:
    assert steps_of("start new 0-4 only=2 watch=0", "swap 2")[-2:] == ["Instance 2: UPDATED", "ROLLED_FORWARD"]
    assert steps_of("start new 0-4 only=2 pulse=10s", "pulse") == [
        "ROLL_FORWARD_AWAITING_PULSE by UNSECURE",
        "ROLLING_FORWARD",
        "Instance 2: UPDATING",
    ]
    assert steps_of("start new 0-4 only=2", "swap 2", "wait 1s", "exit 2 FAILED")[1:] == [
        "Instance 2: UPDATING",
        "Instance 2: UPDATE_FAILED",
        "ROLLING_BACK: Latest failure: instance 2 exited.",
        "Instance 2: ROLLING_BACK",
    ]
    assert steps_of("start new 0-4 batch=1 autopause", "swap 0", "wait 2s")[-2:] == [
        "Instance 0: UPDATED",
        "ROLL_FORWARD_PAUSED: Update auto paused",
    ]
