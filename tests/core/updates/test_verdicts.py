"""Verdicts where transcripts do not reach: the short way of a pulse, several at once, the recorded clock."""

from __future__ import annotations

from scheduler.controller.moments import Moments
from scheduler.core.answers import Code
from scheduler.core.records import JobKey
from scheduler.core.updates.notes import NO_NOTES
from scheduler.core.updates.records import JobUpdate, UpdateKey, UpdateStatus
from scheduler.core.updates.standing import Outcome
from scheduler.core.updates.verdicts import Heartbeat, MonitorVerdict, heartbeats
from scheduler.testing.clock import VirtualClock
from scheduler.testing.script import Script
from scheduler.testing.stage import replayed


def scene(*commands: str) -> Script:
    script = Script()
    script.do("job web 0-1 old")
    for command in commands:
        script.do(command)
    return script


def update_of(script: Script) -> JobUpdate:
    update = script.update()
    assert update is not None
    return update


def test_the_short_way_of_a_pulse_lifts_a_wait_too() -> None:
    script = scene("start new 0-1 pulse=10s", "pulse", "pause", 'heartbeat WAIT "x"')
    assert update_of(script).notes.hold is not None
    script.stage.controller.pulse(script.key())
    script.stage.settle()
    assert update_of(script).notes == NO_NOTES
    assert update_of(script).status is UpdateStatus.ROLL_FORWARD_PAUSED


def test_the_short_way_lifts_it_without_a_gate() -> None:
    script = scene("start new 0-1", 'heartbeat WAIT "x"')
    script.stage.controller.pulse(script.key())
    script.stage.settle()
    assert update_of(script).status is UpdateStatus.ROLLING_FORWARD


def test_one_refused_takes_nothing_from_the_others() -> None:
    script = scene("start new 0-1 pulse=10s")
    nobody = UpdateKey(JobKey("", "", ""), "x")
    told = [Heartbeat(key, MonitorVerdict.PROCEED) for key in (script.key(), nobody, script.key())]
    answers = script.stage.ask(heartbeats, told, "me").result.answers
    assert [answer.code for answer in answers] == [Code.OK, Code.ERROR, Code.OK]
    assert answers[2].result.outcome is Outcome.OK
    assert update_of(script).status is UpdateStatus.ROLLING_FORWARD


def test_what_is_noted_carries_the_recorded_clock_over_to_the_next_leader() -> None:
    script = scene("start new 0-1 pulse=10s", "wait 50s", 'heartbeat WAIT "x"')
    state = replayed(script.stage.log)
    assert Moments(VirtualClock(0), state).take().now_ms >= 50_000


def test_a_wait_survives_its_scheduler() -> None:
    script = scene("start new 0-1 pulse=10s", 'heartbeat WAIT source=probe "x"', "restart")
    hold = update_of(script).notes.hold
    assert hold is not None and (hold.reason, hold.source) == ("x", "probe")


def test_a_reason_is_one_line_and_nothing_a_terminal_obeys() -> None:
    script = scene("start new 0-1 pulse=10s")
    told = Heartbeat(script.key(), MonitorVerdict.WAIT, "high \n\x1b]0;pwn\x07bad", "http://x/\x9b", "pro\u202ebe")
    script.stage.ask(heartbeats, [told], "me")
    hold = update_of(script).notes.hold
    assert hold is not None
    assert (hold.reason, hold.link, hold.source) == ("high \\x1b]0;pwn\\x07bad", "http://x/\\x9b", "pro\\u202ebe")
