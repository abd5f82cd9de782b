"""Flapping, THROTTLED, and patience with silent hosts (Aurora's documentation, "Task lifecycle")."""

from __future__ import annotations

import pytest
from attrs import evolve

from scheduler.core import ops
from scheduler.core.policy import Policy
from scheduler.core.records import JobKey, PartitionPolicy, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.state import State, apply
from scheduler.core.tasks import actions
from scheduler.core.tasks.lifecycle import transition
from scheduler.core.tasks.rescheduling import has_flapped, penalty_ms, task_id
from scheduler.core.transaction import Clocks, Transaction, World
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")
CONFIG = service(JOB, "x")
MINUTE_MS = 60_000


def task_with(*events: tuple[int, str], name: str = "t", ancestor: str | None = None) -> Task:
    history = tuple(TaskEvent(at_ms, TaskStatus[status]) for at_ms, status in events)
    return Task(name, 0, CONFIG, history[-1].status, history, ancestor_id=ancestor)


@pytest.mark.parametrize(("events", "flapped"), [
    ([(0, "RUNNING"), (5 * MINUTE_MS - 1, "FAILED")], True),
    ([(0, "RUNNING"), (5 * MINUTE_MS, "FAILED")], False),
    ([(0, "RUNNING"), (1, "FINISHED")], True),
    ([(0, "ASSIGNED"), (1, "LOST")], True),
    # It counts from the last active event, however long ago the first was.
    ([(0, "RUNNING"), (10 * MINUTE_MS, "PARTITIONED"), (10 * MINUTE_MS + 1, "LOST")], True),
    ([(0, "RUNNING"), (1, "RESTARTING"), (2, "KILLED")], False),
    ([(0, "RUNNING"), (1, "KILLING"), (2, "KILLED")], False),
    ([(0, "RUNNING"), (1, "DRAINING"), (2, "KILLED")], False),
    ([(0, "RUNNING"), (1, "PREEMPTING"), (2, "KILLED")], True),  # preemption is not among them
])  # fmt: skip
def test_has_flapped(events: list[tuple[int, str]], flapped: bool) -> None:
    assert has_flapped(task_with(*events), Policy().flapping_task_threshold_ms) is flapped


def penalty_after(flapping: int, chance: float, *, then_stable: int = 0, policy: Policy | None = None) -> int:
    """The penalty of a task with so many flapping ancestors, which follow so many stable ones."""
    state = State()
    apply(state, ops.SaveConfig(b"c", CONFIG))
    ancestor = None
    for number in range(then_stable + flapping):
        lived_ms = 1 if number >= then_stable else 5 * MINUTE_MS
        events = ((0, "RUNNING"), (lived_ms, "FAILED"))
        apply(state, ops.SaveTask(task_with(*events, name=f"t{number}", ancestor=ancestor)))
        ancestor = f"t{number}"
    world = World(policy or Policy(), "me", lambda: "id", lambda: chance)
    return penalty_ms(Transaction(state, world, Clocks(0, 0)), ancestor)


@pytest.mark.parametrize(("flapping", "chance", "seconds"), [
    (0, 0.5, 0),
    (1, 0.0, 30), (1, 0.5, 45), (1, 0.999, 59.97),  # the first step is 30 to 60 s
    (2, 0.0, 30), (2, 0.5, 67.5),
    (3, 0.5, 101.25),
    (50, 0.5, 300), (50, 0.0, 30),  # at most five minutes
])  # fmt: skip
def test_penalty(flapping: int, chance: float, seconds: float) -> None:
    assert penalty_after(flapping, chance) == int(seconds * 1000)


def test_a_stable_ancestor_ends_the_chain() -> None:
    assert penalty_after(1, 0.5, then_stable=7) == 45_000
    assert penalty_after(0, 0.5, then_stable=7) == 0


def test_history_that_was_pruned_ends_the_chain() -> None:
    assert penalty_after(1, 0.5) == 45_000
    state = State()
    world = World(Policy(), "me", lambda: "id", lambda: 0.5)
    assert penalty_ms(Transaction(state, world, Clocks(0, 0)), "pruned") == 0


def test_task_ids_keep_word_characters_and_dashes() -> None:
    config = service(JobKey("www.data", "test", "hello_world-1"), "x")
    assert task_id(config, 7, "0a-1b") == "www-data-test-hello_world-1-7-0a-1b"


def running(config: TaskConfig) -> Stage:
    """A stage with one task of this configuration, which runs."""
    stage = Stage()

    def create(tx: Transaction) -> None:
        actions.create(tx, config, 0)

    stage.ask(create)
    stage.run(stage.active(JOB, 0))
    return stage


class Flapper:
    """One instance whose tasks die young."""

    def __init__(self) -> None:
        self.stage = running(CONFIG)

    @property
    def now(self) -> Task:
        return self.stage.active(JOB, 0)

    def dies_young(self) -> Task:
        self.stage.advance(1000)
        self.stage.report(self.now, TaskStatus.FAILED)
        return self.now


@pytest.fixture
def flapper() -> Flapper:
    return Flapper()


def test_the_first_death_never_throttles_and_the_second_does(flapper: Flapper) -> None:
    assert flapper.dies_young().status is TaskStatus.ASSIGNED
    flapper.stage.run(flapper.now)
    held_back = flapper.dies_young()
    assert held_back.status is TaskStatus.THROTTLED
    assert held_back.events[0].message is not None
    assert "penalized for" in held_back.events[0].message


def test_the_penalty_runs_from_the_throttled_event_also_across_a_restart(flapper: Flapper) -> None:
    flapper.dies_young()
    flapper.stage.run(flapper.now)
    held_back = flapper.dies_young()
    # Two ancestors flapped: at least 30 s, at most 60 s doubled.
    flapper.stage.advance(29_999)
    assert flapper.now.status is TaskStatus.THROTTLED
    flapper.stage.restart()
    assert flapper.now.status is TaskStatus.THROTTLED
    flapper.stage.advance(90_001)
    assert flapper.now.task_id == held_back.task_id
    assert flapper.now.status is TaskStatus.ASSIGNED
    pending = [event for event in flapper.now.events if event.status is TaskStatus.PENDING]
    assert 30_000 <= pending[0].timestamp_ms - held_back.latest_event_ms <= 120_000


def test_a_restart_by_a_person_is_not_held_back(flapper: Flapper) -> None:
    flapper.dies_young()
    flapper.stage.run(flapper.now)
    task = flapper.now

    def restart(tx: Transaction) -> None:
        transition(tx, task.task_id, TaskStatus.RESTARTING)

    flapper.stage.ask(restart)
    flapper.stage.report(flapper.now, TaskStatus.KILLED)
    # The decision looks at the forebears of the task that ended, and its parent flapped: THROTTLED. But the time it is
    # held back counts the task itself, which was asked to end: none at all.
    assert [event.status for event in flapper.now.events] == [
        TaskStatus.THROTTLED,
        TaskStatus.PENDING,
        TaskStatus.ASSIGNED,
    ]
    assert flapper.now.events[0].timestamp_ms == flapper.now.events[1].timestamp_ms


# Policy -> how long a partition may last before the task is LOST.
@pytest.mark.parametrize(("policy", "patience_ms"), [
    (None, 0),
    (PartitionPolicy(reschedule=True), 0),
    (PartitionPolicy(reschedule=True, delay_secs=0), 0),
    (PartitionPolicy(reschedule=True, delay_secs=60), 60_000),
    (PartitionPolicy(reschedule=False), None),
    (PartitionPolicy(reschedule=False, delay_secs=60), None),
])  # fmt: skip
@pytest.mark.parametrize("restart", [False, True])
def test_patience_with_a_silent_host(policy: PartitionPolicy | None, patience_ms: int | None, restart: bool) -> None:
    stage = running(evolve(CONFIG, partition_policy=policy))
    task = stage.active(JOB, 0)
    stage.advance(1000)
    stage.report(task, TaskStatus.PARTITIONED)
    if patience_ms is None:
        stage.advance(10 * 24 * 60 * MINUTE_MS)
        assert stage.active(JOB, 0).status is TaskStatus.PARTITIONED
        return
    if patience_ms:
        stage.advance(patience_ms - 1)
        if restart:
            stage.restart()  # the time that has passed counts
        assert stage.active(JOB, 0).status is TaskStatus.PARTITIONED
        stage.advance(1)
    assert stage.state.tasks[task.task_id].status is TaskStatus.LOST
    assert stage.state.tasks[task.task_id].latest_event_ms == 1000 + patience_ms
    assert stage.active(JOB, 0).ancestor_id == task.task_id


def test_a_host_that_comes_back_in_time_starts_the_patience_anew() -> None:
    stage = running(evolve(CONFIG, partition_policy=PartitionPolicy(reschedule=True, delay_secs=60)))
    task = stage.active(JOB, 0)
    stage.report(task, TaskStatus.PARTITIONED)
    stage.advance(50_000)
    stage.report(task, TaskStatus.RUNNING)
    stage.advance(5_000)
    stage.report(task, TaskStatus.PARTITIONED)
    stage.advance(59_999)
    assert stage.active(JOB, 0).status is TaskStatus.PARTITIONED
    stage.advance(1)
    assert stage.state.tasks[task.task_id].status is TaskStatus.LOST
