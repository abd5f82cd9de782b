"""What history is forgotten (Aurora's documentation, history pruning; the differences: docs/compatibility.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, strategies as st

from scheduler.core import invariants, ops, pruning
from scheduler.core.effects import Forget
from scheduler.core.ended import Ended
from scheduler.core.policy import DAY_MS, HOUR_MS, Policy
from scheduler.core.records import JobKey, Task, TaskConfig, TaskEvent, TaskStatus
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
POLICY = Policy()


class Scene:
    def __init__(self) -> None:
        self.state = State()
        apply(self.state, ops.SaveConfig(b"c", CONFIG))

    def task(
        self, name: str, age_ms: int, status: TaskStatus = TaskStatus.FAILED, *, config: TaskConfig = CONFIG
    ) -> None:
        events = (TaskEvent(0, TaskStatus.PENDING), TaskEvent(NOW_MS - age_ms, status))
        apply(self.state, ops.SaveTask(Task(name, 0, config, status, events)))

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

    def prune(self, policy: Policy = POLICY) -> list[Transaction]:
        """One sweep; its decisions."""
        return [self.decide(decision, jobs, policy) for decision, jobs in pruning.steps(self.state)]

    def decide(self, decision: Callable[..., None], jobs: pruning.Jobs, policy: Policy = POLICY) -> Transaction:
        tx = Transaction(self.state, World(policy, "me", lambda: "id", lambda: 0.0), Clocks(NOW_MS, 0))
        decision(tx, jobs)
        tx.close()
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
    made = scene.prune()
    assert scene.tasks == {"almost", "runs"}
    assert [effect for tx in made for effect in tx.effects if isinstance(effect, Forget)] == [Forget(("just",))]


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


def test_a_sweep_forgets_all_there_is_in_short_decisions() -> None:
    scene = Scene()
    for number in range(2 * pruning.TASKS_AT_ONCE + 7):
        scene.task(f"t{number}", 3 * DAY_MS)
    scene.task("runs", 0, TaskStatus.RUNNING)
    for number in range(pruning.UPDATES_AT_ONCE + 10):
        scene.update(f"u{number}", 40 * DAY_MS)
    made = scene.prune()
    assert scene.tasks == {"runs"}
    assert not scene.updates
    forgotten = [len(op.task_ids) for tx in made for op in tx.ops if isinstance(op, ops.RemoveTasks)]
    assert forgotten == [pruning.TASKS_AT_ONCE, pruning.TASKS_AT_ONCE, 7]
    assert [len(op.keys) for tx in made for op in tx.ops if isinstance(op, ops.RemoveUpdates)] == [50, 10]


def test_a_decision_looks_at_some_jobs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "JOBS_AT_ONCE", 3)
    scene = Scene()
    for number in range(7):
        config = service(JobKey("www", "prod", f"web{number}"), "x")
        apply(scene.state, ops.SaveConfig(b"%d" % number, config))
        scene.task(f"t{number}", HOUR_MS, config=config)
    assert [len(tx.ops) for tx in scene.prune()] == [0, 0, 0]
    assert len(scene.tasks) == 7


def test_what_is_kept_is_not_looked_at() -> None:
    """A sweep took half a second every minute at 500,000 ended tasks, though there was nothing to forget."""
    scene = Scene()
    for number in range(500):
        scene.task(f"t{number}", number)
    looked_at = 0

    class Counting(Ended):
        def oldest_first(self, job: JobKey) -> Iterator[tuple[int, str]]:
            nonlocal looked_at
            for row in super().oldest_first(job):
                looked_at += 1
                yield row

    scene.state.tasks.ended.__class__ = Counting
    scene.prune()
    assert len(scene.tasks) == 500
    assert looked_at == 1


def test_a_decision_that_raises_is_not_made_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    for number in range(pruning.TASKS_AT_ONCE + 1):
        scene.task(f"t{number}", 3 * DAY_MS)
    monkeypatch.setattr(Transaction, "apply", lambda self, op: 1 / 0)
    for count, (decision, jobs) in enumerate(pruning.steps(scene.state), 1):
        with pytest.raises(ZeroDivisionError):
            scene.decide(decision, jobs)
        assert count == 1


ages_ms = st.lists(st.integers(0, 40), max_size=25)


@given(jobs=st.lists(ages_ms, max_size=4), retention_ms=st.integers(0, 30), threshold_ms=st.integers(0, 30),
       most=st.integers(0, 8))  # fmt: skip
def test_the_rule_job_by_job(jobs: list[list[int]], retention_ms: int, threshold_ms: int, most: int) -> None:
    scene, kept = Scene(), set()
    for which, ages in enumerate(jobs):
        config = service(JobKey("www", "prod", f"web{which}"), "x")
        apply(scene.state, ops.SaveConfig(b"%d" % which, config))
        for number, age_ms in enumerate(ages):
            scene.task(f"{which}-{number}", age_ms, config=config)
        # Of tasks that ended at once, that with the greater id counts as the newer one.
        newest_first = sorted(enumerate(ages), key=lambda row: (-row[1], f"{which}-{row[0]}"), reverse=True)
        for position, (number, age_ms) in enumerate(newest_first):
            doomed = age_ms >= retention_ms and (position >= most or age_ms >= threshold_ms)
            kept |= set() if doomed else {f"{which}-{number}"}
    scene.prune(
        Policy(history_min_retention_ms=retention_ms, history_prune_threshold_ms=threshold_ms, history_max_per_job=most)
    )
    assert scene.tasks == kept
    assert not [sentence for sentence in invariants.broken(scene.state) if "index" in sentence]


def test_nothing_to_forget_writes_nothing() -> None:
    scene = Scene()
    scene.task("runs", 0, TaskStatus.RUNNING)
    scene.task("ended", 1)
    (tx,) = scene.prune()
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
