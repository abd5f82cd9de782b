"""The invariants notice what they are there for: each is broken by hand once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from scheduler.core import invariants
from scheduler.core.records import JobKey, Task, TaskEvent, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.records import (
    InstanceAction,
    InstanceEvent,
    InstanceProgress,
    JobUpdate,
    Phase,
    UpdateEvent,
    UpdateKey,
    UpdateStatus,
)
from scheduler.testing.script import Script


@pytest.fixture
def state() -> State:
    script = Script()
    for command in ("job web 0-3 old", "wait 10s", "start new 0-3 queue=2 pulse=60000", "pulse", "swap 0"):
        script.do(command)
    return script.stage.state


def task_of(state: State, status: TaskStatus) -> Task:
    return next(iter(state.tasks.by_status[status].values()))


def update_of(state: State) -> JobUpdate:
    return next(iter(state.updates.values()))


def replace_task(state: State, **changes: object) -> None:
    task = task_of(state, TaskStatus.RUNNING)
    state.tasks.replace(task.task_id, evolve(task, **changes))


def replace_update(state: State, **changes: object) -> None:
    update = update_of(state)
    state.updates.replace(update.key, evolve(update, **changes))


def twice_active(state: State) -> None:
    task = task_of(state, TaskStatus.RUNNING)
    state.tasks.replace("twin", evolve(task, task_id="twin"))


def backwards(state: State) -> None:
    task = task_of(state, TaskStatus.RUNNING)
    replace_task(state, events=(*task.events, TaskEvent(-1, TaskStatus.RUNNING)))


def illegal_move(state: State) -> None:
    events = update_of(state).events
    replace_update(state, events=events.appended(UpdateEvent(UpdateStatus.ROLLED_BACK, 10**9)))


def time_back(state: State) -> None:
    events = update_of(state).events
    replace_update(state, events=events.appended(UpdateEvent(UpdateStatus.ROLLING_BACK, 0)))


def recorded_twice(state: State) -> None:
    update = update_of(state)
    event = InstanceEvent(0, 10**9, InstanceAction.INSTANCE_UPDATING)
    replace_update(state, instance_events=update.instance_events.appended(event))


def progress(phase: Phase) -> Callable[[State], None]:
    def change(state: State) -> None:
        for instance in (2, 3):
            state.progress.replace((update_of(state).key, instance), InstanceProgress(phase))

    return change


def ended_with_progress(state: State) -> None:
    events = update_of(state).events
    replace_update(state, events=events.appended(UpdateEvent(UpdateStatus.ABORTED, 10**9)))


def plan_of_nothing(state: State) -> None:
    key = update_of(state).key
    state.updates.plans[UpdateKey(key.job, "gone")] = state.updates.plans[key]


def two_ports(state: State) -> None:
    for task in list(state.tasks.active[update_of(state).key.job].values()):
        state.tasks.replace(task.task_id, evolve(task, ports=(("http", 31000),)))
    usage = state.tasks.by_host["host-1"]
    usage.tasks.update({task.task_id: task for task in state.tasks.values() if task.is_active and task.host})


def index_lies(state: State) -> None:
    state.tasks.by_host["host-1"].tasks.popitem()


def config_unused(state: State) -> None:
    state.config_uses.replace(next(iter(state.configs)), 99)


@pytest.mark.parametrize(("damage", "sentence"), [
    (twice_active, "two active tasks"),
    (lambda state: replace_task(state, status=TaskStatus.STARTING), "not that of its last event"),
    (backwards, "time goes backwards"),
    (lambda state: replace_task(state, host=None), "without a host"),
    (illegal_move, "is not in the table"),
    (time_back, "time goes backwards"),
    (recorded_twice, "recorded twice"),
    (progress(Phase.WORKING), "more than its group"),
    (progress(Phase.FAILED), "more than it tolerates"),
    (ended_with_progress, "progress is kept"),
    (ended_with_progress, "heartbeat is kept"),
    (plan_of_nothing, "a plan is kept"),
    (two_ports, "a port is given twice"),
    (index_lies, "index of tasks by host"),
    (config_unused, "miscounted"),
    (lambda state: state.tasks.counts.clear(), "counts of active tasks"),
    (lambda state: state.updates.active.clear(), "index of active updates"),
    (lambda state: state.tasks.active.clear(), "index of active tasks"),
    (lambda state: state.tasks.ended.add(JobKey("a", "b", "c"), 1, "gone"), "index of ended tasks"),
    (lambda state: state.updates.ended.add(JobKey("a", "b", "c"), 1, "gone"), "index of ended updates"),
])  # fmt: skip
def test_damage_is_noticed(state: State, damage: Callable[[State], None], sentence: str) -> None:
    assert invariants.broken(state) == []
    damage(state)
    assert any(sentence in found for found in invariants.broken(state)), invariants.broken(state)
