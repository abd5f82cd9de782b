"""What is done to an update and leaves its status as it was is on the record all the same, in every leader's."""

from __future__ import annotations

from attrs import evolve

from scheduler.contracts import EventKind
from scheduler.core import ops
from scheduler.core.invariants import broken
from scheduler.core.state import State, apply, dump
from scheduler.core.updates.notes import MOST_REMARKS, Remark
from scheduler.core.updates.replay import replay
from scheduler.stream.events import events_of
from scheduler.testing.script import Script


def rolling(*commands: str) -> Script:
    script = Script(through_codec=True)
    for command in ("job web 0-3 old", "start new 0-3 pulse=60000 watch=60000", "pulse", *commands):
        script.do(command)
    return script


def remarks(script: Script) -> list[tuple[str, str]]:
    return [(one.user, one.message) for one in script.stage.state.remarks.get(script.key()) or ()]


GIVEN = ("ann", "Heartbeat overridden for 100 s: the probe is down")


def test_an_override_of_a_rolling_update_is_on_the_record() -> None:
    script = rolling('override 100s user=ann "the probe is down"')
    update = script.update()
    assert update is not None
    assert [event.status.name for event in update.events] == ["ROLL_FORWARD_AWAITING_PULSE", "ROLLING_FORWARD"]
    assert remarks(script) == [GIVEN]
    script.do("restart")
    assert remarks(script) == [GIVEN]
    script.do("pulse")
    script.do("wait 50s")
    script.do("pulse")
    script.do("wait 51s")
    assert remarks(script) == [GIVEN, ("", "The override by ann has ended.")]
    script.do("abort")
    assert len(remarks(script)) == 2, "they outlive the update, as its history does"


def test_its_followers_see_it_too() -> None:
    script = rolling('override 100s user=ann "the probe is down"')
    found = [one for entry in list(script.stage.log) for one in events_of(entry) if one.kind is EventKind.REMARK]
    assert [(one.user, one.message) for one in found] == [GIVEN]
    assert [(one.job, one.update_id) for one in found] == [(script.job, script.key().id)]


def test_its_replay_shows_it_in_its_place() -> None:
    script = rolling('override 100s user=ann "the probe is down"', "wait 1s", "abort")
    found = replay(script.stage.state, script.stage.policy, script.key()).result
    said = [step.sentence for step in found.steps]
    assert said.index("Heartbeat overridden for 100 s: the probe is down (by ann)") == len(said) - 2
    assert not found.differences


def waiting(*commands: str) -> Script:
    script = Script(through_codec=True)
    for command in ("job web 0-3 old", "start new 0-3 pulse=10s", *commands):
        script.do(command)
    return script


def test_a_wait_that_changes_no_status_is_on_the_record() -> None:
    said = ("UNSECURE", "Monitor says wait: errors (probe)")
    wait = 'heartbeat WAIT source=probe "errors"'
    for commands in ((wait, wait, "heartbeat PROCEED"), ("pause", wait), ('override 60s "probe"', wait)):
        assert remarks(waiting(*commands)) == [said], commands
    rolled = waiting("pulse", wait)
    assert remarks(rolled) == [], "its event says so"
    update = rolled.update()
    assert update is not None and update.events[-1].message == said[1]


def test_a_monitor_that_toggles_in_a_pause_is_on_the_record_once_a_minute() -> None:
    script = waiting("pause")
    for n in range(25):
        script.do(f'heartbeat WAIT "{n}"')
        script.do("heartbeat PROCEED")
        script.do("wait 5s")
    assert [message for _, message in remarks(script)] == [f"Monitor says wait: {n}" for n in (0, 12, 24)]


def test_who_asks_again_and_again_does_not_make_it_grow() -> None:
    script = rolling()
    for n in range(MOST_REMARKS + 5):
        script.do(f'override 100s user=ann "{n}"')
    kept = remarks(script)
    assert len(kept) == MOST_REMARKS
    assert kept[-1][1].endswith(str(MOST_REMARKS + 4))


def test_a_monitor_pushes_out_nothing_that_a_person_did() -> None:
    script = rolling('override 100s user=ann "the probe is down"', "pause user=ann")
    for n in range(MOST_REMARKS + 5):
        script.do(f'heartbeat WAIT "{n}"')
        script.do("wait 61s")
    kept = remarks(script)
    assert len(kept) == MOST_REMARKS
    assert kept[0] == GIVEN
    assert kept[-1][1] == f"Monitor says wait: {MOST_REMARKS + 4}"
    assert sum(not message.startswith("Monitor says") for _, message in kept) == 2, "what Ann did, and its end"


def test_what_is_awaited_becomes_an_event_and_is_not_told_twice() -> None:
    script = Script()
    for command in ("job web 0-3 old", "start new 0-3 pulse=60000", 'override 100s user=ann "the probe is down"'):
        script.do(command)
    update = script.update()
    assert update is not None
    assert (update.events[-1].user, update.events[-1].message) == GIVEN
    assert remarks(script) == []


def test_a_base_holds_them() -> None:
    script = rolling('override 100s user=ann "the probe is down"')
    copy = State()
    for op in dump(script.stage.state):
        apply(copy, op)
    assert dict(copy.remarks.items()) == dict(script.stage.state.remarks.items())
    assert copy.remarks[script.key()] == (Remark(script.stage.clock.wall_ms(), *GIVEN),)


def test_a_restored_backup_brings_its_own() -> None:
    script = rolling()
    ops_of_before = list(dump(script.stage.state))
    script.do('override 100s user=ann "the probe is down"')
    state = State()
    for op in dump(script.stage.state):
        apply(state, op)
    apply(state, ops.Restored("yesterday"))
    assert not dict(state.remarks.items())
    for op in ops_of_before:
        apply(state, op)
    assert not broken(state)


def test_beside_an_older_scheduler_it_is_only_said() -> None:
    """It could not read a remark. What a person asks for is done all the same, and an override ends."""
    script = rolling()
    controller = script.stage.controller
    controller.world = evolve(controller.world, format_level=1)
    assert script.do('override 10s user=ann "the probe is down"')[0].endswith("ROLLING_FORWARD until 10000")
    script.do("wait 11s")
    update = script.update()
    assert update is not None
    assert update.notes.override is None
    assert remarks(script) == []
