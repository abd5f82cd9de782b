"""The gate to the millisecond: when a heartbeat is fresh, when its absence is recorded, and what it costs."""

from __future__ import annotations

import pytest
from attrs import evolve

from scheduler.core.policy import Policy
from scheduler.core.updates import pulses, requests
from scheduler.testing.script import Script

SCENE = ["job web 0-1 old", "wait 1s"]


def beating(timeout: str, *, policy: tuple[str, ...] = ()) -> Script:
    """An update that was just heard of, and that nothing makes look at its heartbeat."""
    script = Script()
    if policy:
        script.do(f"policy {' '.join(policy)}")
    for command in (*SCENE, f"start new 0-1 pulse={timeout}", "pulse", "hosts off", "exit 0 KILLED"):
        script.do(command)
    return script


def status(script: Script) -> str:
    update = script.update()
    assert update is not None
    return update.status.name


# Timeout -> grace: a twentieth, at least 1 s, at most 5 s.
@pytest.mark.parametrize(("timeout_ms", "grace_ms"), [
    (1, 1000), (1000, 1000), (20_000, 1000), (20_020, 1001), (60_000, 3000), (100_000, 5000), (2**31 - 1, 5000)
])  # fmt: skip
def test_grace(timeout_ms: int, grace_ms: int) -> None:
    assert Policy().pulse_grace_ms(timeout_ms) == grace_ms
    assert evolve(Policy(), pulse_record_grace_ms=7).pulse_grace_ms(timeout_ms) == 7


@pytest.mark.parametrize(("age_ms", "fresh"), [(0, True), (1, True), (9999, True), (10_000, False), (10_001, False)])
def test_fresh_ends_at_exactly_the_timeout(age_ms: int, fresh: bool) -> None:
    script = beating("10000")
    script.do(f"wait {age_ms}")
    update = script.update()
    assert update is not None
    assert pulses.is_fresh(script.stage.state, update, script.stage.clock.mono_ms()) is fresh
    assert status(script) == "ROLLING_FORWARD"  # and nobody has noticed


@pytest.mark.parametrize(("policy", "recorded_ms"), [((), 11_000), (("pulse_record_grace_ms=0",), 10_000)])
def test_silence_is_recorded_at_the_timeout_and_its_grace(policy: tuple[str, ...], recorded_ms: int) -> None:
    script = beating("10000", policy=policy)
    script.do(f"wait {recorded_ms - 1}")
    assert status(script) == "ROLLING_FORWARD"
    script.do("wait 1")
    assert status(script) == "ROLL_FORWARD_AWAITING_PULSE"
    update = script.update()
    assert update is not None
    assert update.events[-1].message == "Pulses from external service have timed out."
    assert update.events[-1].user is None


def test_every_heartbeat_moves_the_record_on() -> None:
    script = beating("10000")
    for _ in range(10):
        script.do("wait 10999")
        script.do("pulse")
    assert status(script) == "ROLLING_FORWARD"
    update = script.update()
    assert update is not None
    assert len(update.events) == 2  # awaiting, rolling: no trace of any of them
    script.do("wait 11000")
    assert status(script) == "ROLL_FORWARD_AWAITING_PULSE"


@pytest.mark.parametrize("pause", ["", "pause"])
def test_a_heartbeat_that_changes_no_status_writes_nothing(pause: str) -> None:
    script = beating("10000")
    if pause:
        script.do(pause)
    entries, effects = len(script.stage.log), len(script.stage.effects)
    deadlines = len(script.stage.controller.deadlines)
    for _ in range(50):
        script.do("wait 100")
        script.do("pulse")
    assert len(script.stage.log) == entries
    assert len(script.stage.effects) == effects
    assert len(script.stage.controller.deadlines) == deadlines


def test_never_is_not_zero() -> None:
    """At wall time 0, with a timeout longer than the clock has run: never heard of is still not fresh."""
    script = Script()
    script.do("job web 0 old")
    script.do("start new 0-0 pulse=1h")
    assert script.stage.clock.wall_ms() == 0
    update = script.update()
    assert update is not None
    assert pulses.age_ms(script.stage.state, update, script.stage.clock.mono_ms()) is None
    assert not pulses.is_fresh(script.stage.state, update, script.stage.clock.mono_ms())
    script.do("rollback")
    assert status(script) == "ROLL_BACK_AWAITING_PULSE"


@pytest.mark.parametrize("verb", ["pause", "pulse"])
def test_a_restart_forgets_when_it_was_heard_of(verb: str) -> None:
    script = beating("1h")
    script.do(verb)
    script.do("restart")
    update = script.update()
    assert update is not None
    assert script.stage.state.pulses.get(update.key) is None
    expected = "ROLL_FORWARD_PAUSED" if verb == "pause" else "ROLL_FORWARD_AWAITING_PULSE"
    assert status(script) == expected
    script.do("restart")
    assert status(script) == expected


@pytest.mark.parametrize(
    "commands", [("abort",), ("rollback", "hosts on", "finish beating"), ("hosts on", "finish beating")]
)
def test_an_ended_update_leaves_no_heartbeat_behind(commands: tuple[str, ...]) -> None:
    script = beating("10000")
    for command in commands:
        script.do(command)
    assert len(script.stage.state.pulses) == 0
    assert not script.stage.state.updates.plans


def test_heartbeats_of_one_update_are_no_others() -> None:
    script = beating("10000")
    for command in ("job api 0-1 old", "start new 0-1 pulse=10000", "pulse", "wait 9s", "on web", "pulse", "wait 3s"):
        script.do(command)
    assert status(script) == "ROLLING_FORWARD"
    script.do("on api")
    assert status(script) == "ROLL_FORWARD_AWAITING_PULSE"


@pytest.mark.parametrize("key", ["blank id", "bad job"])
def test_a_key_that_is_none_is_an_error_and_not_finished(key: str) -> None:
    script = beating("10000")
    good = script.key()
    wrong = evolve(good, id=" ") if key == "blank id" else evolve(good, job=evolve(good.job, role="a b"))
    answer = script.stage.ask(requests.pulse, wrong)
    said = "The update key has no id" if key == "blank id" else "The job key's role is 'a b'"
    assert (answer.code.name, answer.result) == ("ERROR", None)
    assert str(answer.details[0]).startswith(said)
