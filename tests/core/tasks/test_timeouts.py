"""Kill retries and states that last too long (Aurora's documentation, "Scheduler configuration": timeouts)."""

from __future__ import annotations

import pytest

from scheduler.core.effects import Terminate
from scheduler.core.records import JobKey, Task, TaskStatus
from scheduler.core.tasks import actions
from scheduler.core.tasks.lifecycle import transition
from scheduler.core.transaction import Transaction
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")
FIVE_MINUTES_MS = 300_000


class Lone:
    """One task, and when the engine is told to end it."""

    def __init__(self, *, to: TaskStatus, by_hand: bool) -> None:
        self.stage = Stage()
        self.told: list[tuple[int, bool]] = []
        self.stage.on_effect = lambda effect: (
            self.told.append((self.stage.clock.wall_ms(), effect.hard)) if isinstance(effect, Terminate) else None
        )

        def create(tx: Transaction) -> None:
            actions.create(tx, service(JOB, "x"), 0)

        self.stage.ask(create)
        self.first = self.stage.active(JOB, 0)
        if by_hand:
            self.stage.run(self.first)
            self.stage.ask(self._transition, to)
        elif to is not TaskStatus.ASSIGNED:
            self.stage.report(self.first, to)

    def _transition(self, tx: Transaction, to: TaskStatus) -> None:
        transition(tx, self.first.task_id, to)

    @property
    def task(self) -> Task:
        return self.stage.state.tasks[self.first.task_id]


def test_a_kill_is_repeated_harder_and_less_and_less_often_until_the_task_is_lost() -> None:
    lone = Lone(to=TaskStatus.KILLING, by_hand=True)
    lone.stage.advance(FIVE_MINUTES_MS - 1)
    seconds = [0, 15, 30, 60, 120, 240]
    assert lone.told == [(s * 1000, s > 0) for s in seconds]
    assert lone.task.status is TaskStatus.KILLING
    lone.stage.advance(1)
    assert lone.task.status is TaskStatus.LOST
    assert lone.task.events[-1].message == "Task timed out"
    assert JOB not in lone.stage.state.tasks.active  # its end was asked for: nothing follows
    lone.stage.advance(FIVE_MINUTES_MS)
    assert len(lone.told) == len(seconds)


def test_no_retry_once_it_has_ended() -> None:
    lone = Lone(to=TaskStatus.KILLING, by_hand=True)
    lone.stage.advance(14_999)
    lone.stage.report(lone.first, TaskStatus.KILLED)
    lone.stage.advance(FIVE_MINUTES_MS)
    assert lone.told == [(0, False)]


@pytest.mark.parametrize("state", ["RESTARTING", "DRAINING", "PREEMPTING"])
def test_ends_that_were_asked_for_are_retried_and_time_out_with_a_successor(state: str) -> None:
    lone = Lone(to=TaskStatus[state], by_hand=True)
    lone.stage.advance(FIVE_MINUTES_MS - 1)
    assert lone.told == [(s * 1000, s > 0) for s in (0, 15, 30, 60, 120, 240)]
    assert lone.task.status.name == state
    lone.stage.advance(1)
    assert lone.task.status is TaskStatus.LOST
    assert lone.stage.active(JOB, 0).ancestor_id == lone.first.task_id
    assert lone.told[-1] == (FIVE_MINUTES_MS, False)  # LOST tells the engine, should it still be there


def test_a_task_that_never_starts_is_lost() -> None:
    lone = Lone(to=TaskStatus.ASSIGNED, by_hand=False)
    lone.stage.advance(FIVE_MINUTES_MS - 1)
    assert lone.task.status is TaskStatus.ASSIGNED
    lone.stage.advance(1)
    assert lone.task.status is TaskStatus.LOST
    assert lone.stage.active(JOB, 0).ancestor_id == lone.first.task_id


@pytest.mark.parametrize("state", ["STARTING", "RUNNING"])
def test_states_that_may_last(state: str) -> None:
    lone = Lone(to=TaskStatus[state], by_hand=False)
    lone.stage.advance(10 * FIVE_MINUTES_MS)
    assert lone.task.status.name == state
    assert not lone.told


def test_the_time_counts_across_restarts() -> None:
    """Aurora begins anew after a failover; here the recorded time counts."""
    lone = Lone(to=TaskStatus.ASSIGNED, by_hand=False)
    for _ in range(3):
        lone.stage.advance(100_000 - 1)
        lone.stage.restart()
        assert lone.task.status is TaskStatus.ASSIGNED
    lone.stage.advance(3)
    assert lone.task.status is TaskStatus.LOST


def test_a_new_state_is_given_the_whole_time_again() -> None:
    lone = Lone(to=TaskStatus.RESTARTING, by_hand=True)
    lone.stage.advance(FIVE_MINUTES_MS - 1)
    lone.stage.ask(lone._transition, TaskStatus.KILLING)
    lone.stage.advance(FIVE_MINUTES_MS - 1)
    assert lone.task.status is TaskStatus.KILLING
    lone.stage.advance(1)
    assert lone.task.status is TaskStatus.LOST


def test_a_clock_that_jumps_back_delays_and_does_not_hang() -> None:
    lone = Lone(to=TaskStatus.KILLING, by_hand=True)
    lone.stage.advance(10_000)
    lone.stage.clock.step_wall(-60_000)
    lone.stage.advance(FIVE_MINUTES_MS + 60_000)
    assert lone.task.status is TaskStatus.LOST
    assert len(lone.told) < 12
