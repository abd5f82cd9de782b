"""Why is it not moving? There is a sentence for every status and every reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.policy import Policy
from scheduler.core.queries import UpdateQuery
from scheduler.core.records import Task
from scheduler.core.state import State
from scheduler.core.transaction import Clocks
from scheduler.core.updates import explain, updater
from scheduler.core.updates.explain import Explanation, HeldBy, span
from scheduler.core.updates.records import UpdateStatus
from scheduler.core.views import KEY_IS_DEPRECATED
from scheduler.interface import thesan
from scheduler.testing.script import Script, commands
from scheduler.testing.snapshot import everything

TRANSCRIPTS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.txt"))


def explanations(script: Script) -> Iterator[Explanation]:
    for update in list(script.stage.state.updates.values()):
        found = script.stage.controller.read_now(explain.explain, update.key).answer.result
        assert isinstance(found, Explanation)
        yield found


@pytest.fixture(scope="module")
def met() -> list[Explanation]:
    """What every update of every transcript was explained by, after every command."""
    found = []
    for path in TRANSCRIPTS:
        script = Script()
        for command in commands(path.read_text(encoding="utf-8")):
            script.do(command)
            if not command.startswith("policy"):
                found += explanations(script)
    return found


def broken_update(monkeypatch: pytest.MonkeyPatch) -> Explanation:
    script = Script()
    script.do("job web 0 old")
    script.do("start new 0-0")

    def breaks(*_: object) -> None:
        raise ValueError("a planted fault")

    monkeypatch.setattr(updater, "_judge", breaks)
    script.do("exit 0 KILLED")
    (found,) = explanations(script)
    return found


def test_every_status_has_a_row() -> None:
    assert set(explain._HOLDERS) == set(UpdateStatus)


def test_every_status_has_a_sentence(met: list[Explanation], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [*met, broken_update(monkeypatch)]
    assert {one.status for one in found} == set(UpdateStatus)
    for one in found:
        assert one.sentence.endswith(".") and "  " not in one.sentence and ".." not in one.sentence, one.sentence
        assert one.holder.next, one
        assert one.holder.since_ms <= 10**9


def test_every_reason_is_met(met: list[Explanation]) -> None:
    """But two: the core cannot know of the store, and an update that rolls always has something in progress."""
    assert {one.holder.held_by for one in met} == set(HeldBy) - {HeldBy.STORE, HeldBy.NOBODY}


def test_an_update_with_nothing_in_progress_is_held_by_nobody() -> None:
    script = Script()
    script.do("job web 0-1 old")
    script.do("start new 0-1")
    update = script.update()
    assert update is not None
    state = State()
    state.replace(state.updates, update.key, update)
    found = explain.explained(state, Policy(), Clocks(5000, 0), update)
    assert (found.holder.held_by, found.waiting) == (HeldBy.NOBODY, ())
    assert found.sentence == "Nothing holds it: it rolls forward. The next step follows."


def test_a_status_is_held_by_what_can_hold_it(met: list[Explanation]) -> None:
    by_kind: dict[str, set[HeldBy]] = {}
    for one in met:
        name = one.status.name
        kind = "AWAITING" if "AWAITING" in name else "PAUSED" if "PAUSED" in name else name
        by_kind.setdefault(kind, set()).add(one.holder.held_by)
    rolling = {HeldBy.NOBODY, HeldBy.INSTANCES, HeldBy.ENGINE, HeldBy.OVERDUE}
    assert by_kind["PAUSED"] == {HeldBy.PERSON, HeldBy.AUTO_PAUSE}
    assert by_kind["AWAITING"] == set(HeldBy) - rolling - {HeldBy.STORE, HeldBy.ENDED} - by_kind["PAUSED"] | {
        HeldBy.OVERDUE
    }
    assert by_kind["ROLLING_FORWARD"] | by_kind["ROLLING_BACK"] == rolling - {HeldBy.NOBODY}
    assert by_kind["ROLLED_FORWARD"] == {HeldBy.ENDED}


def test_numbers_and_names_are_those_of_the_interface() -> None:
    assert {member.name: member.value for member in HeldBy} == thesan.HeldBy._NAMES_TO_VALUES


def test_reading_changes_nothing() -> None:
    script = Script()
    script.do("job web 0-1 old")
    script.do("start new 0-1 pulse=10000")
    script.do('heartbeat WAIT "x"')
    before = everything(script.stage.state)
    list(explanations(script))
    assert everything(script.stage.state) == before


def test_the_same_sentence_is_a_detail_of_the_details_of_one_update() -> None:
    script = Script()
    script.do("job web 0-1 old")
    script.do("start new 0-1")
    (one,) = explanations(script)
    read = script.stage.controller.read_now
    by_key = read(explain.details, one.key, None).answer
    assert by_key.details == (KEY_IS_DEPRECATED, one.sentence)
    assert read(explain.details, None, UpdateQuery(key=one.key)).answer.details == (one.sentence,)
    assert read(explain.details, None, UpdateQuery(job=one.key.job)).answer.details == ()
    assert one.waiting[0].instance == 0
    task = script.task(0)
    assert isinstance(task, Task)
    assert (one.waiting[0].status, one.waiting[0].since_ms) == (task.status, task.latest_event_ms)


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (-5, "0 ms"),
        (850, "850 ms"),
        (12_999, "12 s"),
        (60_000, "1 min"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"),
        (3_600_000, "1 h"),
        (273_600_000, "3 d 4 h"),
    ],
)
def test_spans(ms: int, words: str) -> None:
    assert span(ms) == words
