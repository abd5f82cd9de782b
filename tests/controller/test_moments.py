"""Recorded time when the wall's clock is set back, set forward, and across a change of leaders."""

from attrs import evolve

from scheduler.controller.moments import Moments
from scheduler.core import ops
from scheduler.core.records import ExecutorConfig, JobKey, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.state import State, apply
from scheduler.testing.clock import VirtualClock
from scheduler.testing.script import Script

CONFIG = TaskConfig(job=JobKey("www", "prod", "web"), executor=ExecutorConfig("AuroraExecutor", "v1"))


def state_recorded_at(now_ms: int) -> State:
    state = State()
    task = Task("id", 0, CONFIG, TaskStatus.PENDING, (TaskEvent(now_ms, TaskStatus.PENDING),))
    apply(state, ops.SaveConfig(b"0" * 16, CONFIG))
    apply(state, ops.SaveTask(evolve(task)))
    return state


def test_it_follows_the_wall_as_long_as_that_goes_on() -> None:
    clock = VirtualClock(10_000)
    moments = Moments(clock, State())
    assert moments.take() == (10_000, clock.mono_ms())
    clock.advance(500)
    clock.step_wall(2_000)
    assert moments.take().now_ms == 12_500


def test_a_wall_set_back_costs_no_time() -> None:
    clock = VirtualClock(10_000_000)
    moments = Moments(clock, State())
    moments.take()
    clock.step_wall(-3_600_000)
    assert moments.take().now_ms == 10_000_000
    clock.advance(1_500)
    assert moments.take().now_ms == 10_001_500


def test_when_the_wall_is_right_again_it_is_followed_again() -> None:
    clock = VirtualClock(10_000_000)
    moments = Moments(clock, State())
    moments.take()
    clock.step_wall(-1_000)
    clock.advance(400)
    moments.take()
    clock.step_wall(5_000)
    assert moments.take().now_ms == clock.wall_ms()


def test_what_was_only_remarked_is_recorded_too() -> None:
    """An override of a rolling update leaves no event in its history."""
    script = Script()
    for command in ("job web 0-1 old", "start new 0-1 pulse=60000 watch=60000", "pulse", "wait 5s"):
        script.do(command)
    script.do('override 10s user=ann "why"')
    now_ms = script.stage.clock.wall_ms()
    clock = VirtualClock(now_ms - 60_000)
    assert Moments(clock, script.stage.state).take().now_ms == now_ms


def test_the_next_leader_goes_on_from_what_is_recorded() -> None:
    clock = VirtualClock(9_000)
    moments = Moments(clock, state_recorded_at(10_000))
    clock.advance(250)
    assert moments.take().now_ms == 10_250
