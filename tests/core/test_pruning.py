"""What history is forgotten (Aurora's documentation, history pruning; the differences: docs/compatibility.md)."""

from __future__ import annotations

from scheduler.core import ops, pruning
from scheduler.core.effects import Forget
from scheduler.core.policy import DAY_MS, HOUR_MS, Policy
from scheduler.core.records import JobKey, Task, TaskEvent, TaskStatus
from scheduler.core.state import State, apply
from scheduler.core.transaction import Clocks, Transaction, World
from scheduler.core.updates.records import (
    Instructions,
    JobUpdate,
    QueueStrategy,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
)
from scheduler.testing.stage import service

NOW_MS = 1000 * DAY_MS
JOB = JobKey("www", "prod", "web")
CONFIG = service(JOB, "x")


class Scene:
    def __init__(self) -> None:
        self.state = State()
        apply(self.state, ops.SaveConfig(b"c", CONFIG))

    def task(self, name: str, age_ms: int, status: TaskStatus = TaskStatus.FAILED) -> None:
        events = (TaskEvent(0, TaskStatus.PENDING), TaskEvent(NOW_MS - age_ms, status))
        apply(self.state, ops.SaveTask(Task(name, 0, CONFIG, status, events)))

    def update(
        self, name: str, age_ms: int, status: UpdateStatus = UpdateStatus.ABORTED, *, lasted_ms: int = 0
    ) -> None:
        key = UpdateKey(JOB, name)
        first = UpdateEvent(UpdateStatus.ROLLING_FORWARD, NOW_MS - age_ms - lasted_ms)
        apply(
            self.state, ops.StartUpdate(key, "me", (), Instructions((), None, UpdateSettings(QueueStrategy(1))), first)
        )
        if status is not UpdateStatus.ROLLING_FORWARD:
            apply(self.state, ops.MoveUpdate(key, UpdateEvent(status, NOW_MS - age_ms)))

    def prune(self) -> Transaction:
        world = World(Policy(), "me", lambda: "id", lambda: 0.0)
        tx = Transaction(self.state, world, Clocks(NOW_MS, 0))
        pruning.prune_tasks(tx)
        pruning.prune_updates(tx)
        return tx

    @property
    def tasks(self) -> set[str]:
        return set(self.state.tasks)

    @property
    def updates(self) -> set[str]:
        return {update.key.id for update in self.state.updates.values()}


def test_ended_tasks_go_after_two_days_and_the_engine_is_told() -> None:
    scene = Scene()
    scene.task("just", 2 * DAY_MS)
    scene.task("almost", 2 * DAY_MS - 1)
    scene.task("runs", 50 * DAY_MS, TaskStatus.RUNNING)
    tx = scene.prune()
    assert scene.tasks == {"almost", "runs"}
    assert [effect for effect in tx.effects if isinstance(effect, Forget)] == [Forget(("just",))]


def test_a_hundred_ended_tasks_of_a_job_are_kept_and_those_of_the_last_hour() -> None:
    scene = Scene()
    for number in range(130):
        scene.task(f"t{number}", HOUR_MS + number)
    scene.prune()
    assert scene.tasks == {f"t{number}" for number in range(100)}

    scene = Scene()
    for number in range(130):
        scene.task(f"t{number}", number)
    scene.prune()
    assert len(scene.tasks) == 130


def test_tasks_of_the_last_hour_count_for_the_limit() -> None:
    scene = Scene()
    for number in range(90):
        scene.task(f"recent{number}", number)
    for number in range(30):
        scene.task(f"old{number}", HOUR_MS + number)
    scene.prune()
    assert scene.tasks == {f"recent{n}" for n in range(90)} | {f"old{n}" for n in range(10)}


def test_ended_updates_go_thirty_days_after_their_end() -> None:
    scene = Scene()
    scene.task("runs", 0, TaskStatus.RUNNING)
    scene.update("ended just so long ago", 30 * DAY_MS)
    scene.update("ended longer ago", 30 * DAY_MS + 1)
    scene.update("lasted for months", DAY_MS, lasted_ms=90 * DAY_MS)  # Aurora counts from its start and drops it
    scene.update("still rolls", 90 * DAY_MS, UpdateStatus.ROLLING_FORWARD)
    scene.prune()
    assert scene.updates == {"ended just so long ago", "lasted for months", "still rolls"}


def test_ten_ended_updates_of_a_job_are_kept_and_active_ones_do_not_count() -> None:
    scene = Scene()
    scene.task("runs", 0, TaskStatus.RUNNING)
    scene.update("paused", 50 * DAY_MS, UpdateStatus.ROLL_FORWARD_PAUSED)
    for number in range(15):
        scene.update(f"u{number}", number)
    scene.prune()
    assert scene.updates == {"paused"} | {f"u{number}" for number in range(10)}


def test_ended_updates_of_a_job_without_any_task_go() -> None:
    scene = Scene()
    scene.update("ended", 1)
    scene.update("waits", 1, UpdateStatus.ROLL_FORWARD_AWAITING_PULSE)
    scene.prune()
    assert scene.updates == {"waits"}

    scene = Scene()
    scene.task("history", HOUR_MS)
    scene.update("ended", 1)
    scene.prune()
    assert scene.updates == {"ended"}


def test_a_sweep_is_a_short_decision() -> None:
    scene = Scene()
    for number in range(pruning.MOST_AT_ONCE + 7):
        scene.task(f"t{number}", 3 * DAY_MS)
    scene.prune()
    assert len(scene.tasks) == 7
    scene.prune()
    assert not scene.tasks


def test_nothing_to_forget_writes_nothing() -> None:
    scene = Scene()
    scene.task("runs", 0, TaskStatus.RUNNING)
    tx = scene.prune()
    assert not tx.ops
    assert not tx.effects


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    scene = Scene()
    scene.task("t", 3 * DAY_MS)
    scene.update("u", 40 * DAY_MS)
    update = next(iter(scene.state.updates.values()))
    assert isinstance(update, JobUpdate)
    scene.prune()
    assert not list(scene.state.configs)
    assert not scene.state.tasks.by_job
    assert not scene.state.updates.by_job
