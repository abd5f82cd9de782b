"""What each request does in each status: the answer's code and sentence, and what is added to the history.

Written out from Aurora's documentation of the requests; `# differs` marks where Thesan differs on purpose.
"""

from __future__ import annotations

import pytest

from scheduler.core.answers import invalid
from scheduler.core.records import JobKey
from scheduler.core.updates import requests, updater
from scheduler.core.updates.records import UpdateKey, UpdateStatus
from scheduler.testing.script import Script
from scheduler.testing.stage import Stage
from tests.core.updates.test_status import FOLLOWS

SCENE = ["job web 0-1 old", "wait 60000"]
FRESH = [*SCENE, "start new 0-1 pulse=60000", "pulse"]
FAIL = ["swap 0", "exit 0 FAILED"]

# How an update gets to each status. "overdue": the heartbeat is, and nobody has noticed: the grace is not over.
WAYS: dict[str, list[str]] = {
    "ROLLING_FORWARD": [*SCENE, "start new 0-1"],
    "ROLLING_FORWARD fresh": FRESH,
    "ROLLING_FORWARD overdue": [*FRESH, "wait 60000"],
    "ROLLING_BACK": [*SCENE, "start new 0-1", "rollback"],
    "ROLLING_BACK fresh": [*FRESH, "rollback"],
    "ROLLING_BACK overdue": [*FRESH, "rollback", "wait 60000"],
    "ROLL_FORWARD_PAUSED": [*SCENE, "start new 0-1", "pause"],
    "ROLL_FORWARD_PAUSED fresh": [*FRESH, "pause"],
    "ROLL_FORWARD_PAUSED overdue": [*FRESH, "pause", "wait 60000"],
    "ROLL_FORWARD_PAUSED never": [*SCENE, "start new 0-1 pulse=60000", "pause"],
    "ROLL_BACK_PAUSED": [*SCENE, "start new 0-1", "rollback", "pause"],
    "ROLL_BACK_PAUSED fresh": [*FRESH, "rollback", "pause"],
    "ROLL_BACK_PAUSED overdue": [*FRESH, "rollback", "pause", "wait 60000"],
    "ROLL_FORWARD_AWAITING_PULSE never": [*SCENE, "start new 0-1 pulse=60000"],
    "ROLL_FORWARD_AWAITING_PULSE overdue": [*FRESH, "wait 1d"],
    "ROLL_BACK_AWAITING_PULSE never": [*SCENE, "start new 0-1 pulse=60000", "rollback"],
    "ROLL_BACK_AWAITING_PULSE overdue": [*FRESH, "rollback", "wait 1d"],
    "ROLLED_FORWARD": [*SCENE, "start new 0-1", "finish"],
    "ROLLED_FORWARD fresh": [*FRESH, "finish"],
    "ROLLED_BACK": [*SCENE, "start new 0-1", "rollback", "finish"],
    "ABORTED": [*SCENE, "start new 0-1", "abort"],
    "ABORTED fresh": [*FRESH, "abort"],
    "FAILED": [*SCENE, "start new 0-1 norollback", *FAIL],
    "ERROR": [*SCENE, "start poison 0-1"],
}

RF, RB = "ROLLING_FORWARD", "ROLLING_BACK"
RF_PAUSED, RB_PAUSED = "ROLL_FORWARD_PAUSED", "ROLL_BACK_PAUSED"
RF_AWAITING, RB_AWAITING = "ROLL_FORWARD_AWAITING_PULSE", "ROLL_BACK_AWAITING_PULSE"
WAITS = "The update waits for a heartbeat (pulseJobUpdate); a resume does not replace it."
TERMINAL = ("ROLLED_FORWARD", "ROLLED_FORWARD fresh", "ROLLED_BACK", "ABORTED", "ABORTED fresh", "FAILED", "ERROR")


def no(status: str, to: str) -> str:
    return f"INVALID_REQUEST Cannot transition update from {status} to {to}"


# (way, verb) -> the answer and the statuses added.
EXPECTED: dict[tuple[str, str], tuple[str, list[str]]] = {
    ("ROLLING_FORWARD", "pause"): ("OK", [RF_PAUSED]),
    ("ROLLING_FORWARD", "resume"): ("OK", []),
    ("ROLLING_FORWARD", "abort"): ("OK", ["ABORTED"]),
    ("ROLLING_FORWARD", "rollback"): ("OK", [RB]),
    ("ROLLING_FORWARD", "pulse"): ("OK FINISHED", []),
    ("ROLLING_FORWARD fresh", "pause"): ("OK", [RF_PAUSED]),
    ("ROLLING_FORWARD fresh", "resume"): ("OK", []),
    ("ROLLING_FORWARD fresh", "abort"): ("OK", ["ABORTED"]),
    ("ROLLING_FORWARD fresh", "rollback"): ("OK", [RB]),
    ("ROLLING_FORWARD fresh", "pulse"): ("OK beating", []),
    ("ROLLING_FORWARD overdue", "pause"): ("OK", [RF_PAUSED]),
    ("ROLLING_FORWARD overdue", "resume"): ("OK", []),  # differs: Aurora refuses, "to null"
    ("ROLLING_FORWARD overdue", "abort"): ("OK", ["ABORTED"]),
    ("ROLLING_FORWARD overdue", "rollback"): ("OK", [RB, RB_AWAITING]),
    ("ROLLING_FORWARD overdue", "pulse"): ("OK beating", []),
    ("ROLLING_BACK", "pause"): ("OK", [RB_PAUSED]),
    ("ROLLING_BACK", "resume"): ("OK", []),
    ("ROLLING_BACK", "abort"): ("OK", ["ABORTED"]),
    ("ROLLING_BACK", "rollback"): ("OK", []),
    ("ROLLING_BACK", "pulse"): ("OK FINISHED", []),
    ("ROLLING_BACK fresh", "pause"): ("OK", [RB_PAUSED]),
    ("ROLLING_BACK fresh", "resume"): ("OK", []),
    ("ROLLING_BACK fresh", "abort"): ("OK", ["ABORTED"]),
    ("ROLLING_BACK fresh", "rollback"): ("OK", []),
    ("ROLLING_BACK fresh", "pulse"): ("OK beating", []),
    ("ROLLING_BACK overdue", "pause"): ("OK", [RB_PAUSED]),
    ("ROLLING_BACK overdue", "resume"): ("OK", []),  # differs: Aurora refuses, "to null"
    ("ROLLING_BACK overdue", "abort"): ("OK", ["ABORTED"]),
    ("ROLLING_BACK overdue", "rollback"): ("OK", []),
    ("ROLLING_BACK overdue", "pulse"): ("OK beating", []),
    ("ROLL_FORWARD_PAUSED", "pause"): ("OK", []),
    ("ROLL_FORWARD_PAUSED", "resume"): ("OK", [RF]),
    ("ROLL_FORWARD_PAUSED", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_FORWARD_PAUSED", "rollback"): ("OK", [RB]),
    ("ROLL_FORWARD_PAUSED", "pulse"): ("OK FINISHED", []),
    ("ROLL_FORWARD_PAUSED fresh", "pause"): ("OK", []),
    ("ROLL_FORWARD_PAUSED fresh", "resume"): ("OK", [RF]),
    ("ROLL_FORWARD_PAUSED fresh", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_FORWARD_PAUSED fresh", "rollback"): ("OK", [RB]),
    ("ROLL_FORWARD_PAUSED fresh", "pulse"): ("OK beating", []),
    ("ROLL_FORWARD_PAUSED overdue", "pause"): ("OK", []),
    ("ROLL_FORWARD_PAUSED overdue", "resume"): ("OK", [RF_AWAITING]),
    ("ROLL_FORWARD_PAUSED overdue", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_FORWARD_PAUSED overdue", "rollback"): ("OK", [RB, RB_AWAITING]),
    ("ROLL_FORWARD_PAUSED overdue", "pulse"): ("OK beating", []),
    ("ROLL_FORWARD_PAUSED never", "pause"): ("OK", []),
    ("ROLL_FORWARD_PAUSED never", "resume"): ("OK", [RF_AWAITING]),
    ("ROLL_FORWARD_PAUSED never", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_FORWARD_PAUSED never", "rollback"): ("OK", [RB, RB_AWAITING]),
    ("ROLL_FORWARD_PAUSED never", "pulse"): ("OK beating", []),
    ("ROLL_BACK_PAUSED", "pause"): ("OK", []),
    ("ROLL_BACK_PAUSED", "resume"): ("OK", [RB]),
    ("ROLL_BACK_PAUSED", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_BACK_PAUSED", "rollback"): ("OK", [RB]),
    ("ROLL_BACK_PAUSED", "pulse"): ("OK FINISHED", []),
    ("ROLL_BACK_PAUSED fresh", "pause"): ("OK", []),
    ("ROLL_BACK_PAUSED fresh", "resume"): ("OK", [RB]),
    ("ROLL_BACK_PAUSED fresh", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_BACK_PAUSED fresh", "rollback"): ("OK", [RB]),
    ("ROLL_BACK_PAUSED fresh", "pulse"): ("OK beating", []),
    ("ROLL_BACK_PAUSED overdue", "pause"): ("OK", []),
    ("ROLL_BACK_PAUSED overdue", "resume"): ("OK", [RB_AWAITING]),
    ("ROLL_BACK_PAUSED overdue", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_BACK_PAUSED overdue", "rollback"): ("OK", [RB, RB_AWAITING]),
    ("ROLL_BACK_PAUSED overdue", "pulse"): ("OK beating", []),
    ("ROLL_FORWARD_AWAITING_PULSE never", "pause"): ("OK", [RF_PAUSED]),
    ("ROLL_FORWARD_AWAITING_PULSE never", "resume"): ("OK " + WAITS, []),  # differs: Aurora says nothing
    ("ROLL_FORWARD_AWAITING_PULSE never", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_FORWARD_AWAITING_PULSE never", "rollback"): ("OK", [RB, RB_AWAITING]),
    ("ROLL_FORWARD_AWAITING_PULSE never", "pulse"): ("OK beating", [RF]),
    ("ROLL_FORWARD_AWAITING_PULSE overdue", "pause"): ("OK", [RF_PAUSED]),
    ("ROLL_FORWARD_AWAITING_PULSE overdue", "resume"): ("OK " + WAITS, []),
    ("ROLL_FORWARD_AWAITING_PULSE overdue", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_FORWARD_AWAITING_PULSE overdue", "rollback"): ("OK", [RB, RB_AWAITING]),
    ("ROLL_FORWARD_AWAITING_PULSE overdue", "pulse"): ("OK beating", [RF]),
    ("ROLL_BACK_AWAITING_PULSE never", "pause"): ("OK", [RB_PAUSED]),
    ("ROLL_BACK_AWAITING_PULSE never", "resume"): ("OK " + WAITS, []),
    ("ROLL_BACK_AWAITING_PULSE never", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_BACK_AWAITING_PULSE never", "rollback"): ("OK", [RB, RB_AWAITING]),
    # Nothing was touched on the way forward, and all of it is stable: the first look ends it.
    ("ROLL_BACK_AWAITING_PULSE never", "pulse"): ("OK beating", [RB, "ROLLED_BACK"]),
    ("ROLL_BACK_AWAITING_PULSE overdue", "pause"): ("OK", [RB_PAUSED]),
    ("ROLL_BACK_AWAITING_PULSE overdue", "resume"): ("OK " + WAITS, []),
    ("ROLL_BACK_AWAITING_PULSE overdue", "abort"): ("OK", ["ABORTED"]),
    ("ROLL_BACK_AWAITING_PULSE overdue", "rollback"): ("OK", [RB, RB_AWAITING]),
    ("ROLL_BACK_AWAITING_PULSE overdue", "pulse"): ("OK beating", [RB]),
}
for _way in TERMINAL:
    _status = _way.partition(" ")[0]
    EXPECTED[_way, "pause"] = (no(_status, "null"), [])
    EXPECTED[_way, "resume"] = (no(_status, "null"), [])
    EXPECTED[_way, "abort"] = ("OK", []) if _status == "ABORTED" else (no(_status, "ABORTED"), [])
    EXPECTED[_way, "rollback"] = (no(_status, "ROLLING_BACK"), [])
    EXPECTED[_way, "pulse"] = ("OK FINISHED", [])


def test_every_pair_is_written_out() -> None:
    verbs = ("pause", "resume", "abort", "rollback", "pulse")
    assert set(EXPECTED) == {(way, verb) for way in WAYS for verb in verbs}
    assert {way.partition(" ")[0] for way in WAYS} == {status.name for status in UpdateStatus}


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at an instance that is to run "poison" raises."""
    judge = updater.judge

    def judging(wanted: object, *rest: object, **named: object) -> object:
        if "poison" in repr(wanted):
            raise RuntimeError("planted")
        return judge(wanted, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(updater, "judge", judging)


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize(("way", "verb"), list(EXPECTED), ids=lambda word: str(word).replace(" ", "_"))
def test_verb(way: str, verb: str) -> None:
    script = Script()
    for command in WAYS[way]:
        script.do(command)
    update = script.update()
    assert update is not None
    assert update.status.name == way.partition(" ")[0]
    before = len(update.events)

    command = f"{verb} user=ann" if verb != "pulse" else verb
    lines = [line.split(maxsplit=1)[1] for line in script.do(command)]

    answer, added = EXPECTED[way, verb]
    assert lines[0].removeprefix("= ").replace('"', "") == answer
    update = script.update()
    assert update is not None
    news = list(update.events)[before:]
    assert [event.status.name for event in news] == added
    if news and verb != "pulse":
        assert news[0].user == "ann"
    assert all(event.user is None for event in (news if verb == "pulse" else news[1:]))


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_id_is_that_of_no_update(blank: str) -> None:
    """Aurora asserts the key of the job only; a heartbeat's id, too: see `test_pulses.py`."""
    stage, key = Stage(), UpdateKey(JobKey("www", "prod", "web"), blank)
    for verb in (requests.pause, requests.abort, requests.rollback):
        assert stage.ask(verb, key, "ann", None) == invalid(f"Update does not exist www/prod/web/{blank}")
    assert stage.ask(requests.resume, key, "ann", None) == invalid(f"Update does not exist: www/prod/web/{blank}")


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize(
    "way", [next(w for w in WAYS if w.partition(" ")[0] == status.name) for status in UpdateStatus]
)
def test_a_move_that_is_not_in_the_table_is_refused_and_changes_nothing(way: str) -> None:
    script = Script()
    for command in WAYS[way]:
        script.do(command)
    update = script.update()
    assert update is not None
    refused = [to for to in UpdateStatus if to.name not in FOLLOWS[update.status.name].split()]
    assert update.status in refused
    for to in refused:
        answer = script.stage.ask(lambda tx, to=to: updater.move(tx, update, to))
        assert answer == invalid(f"Cannot transition update from {update.status.name} to {to.name}")
        assert script.update() is update
