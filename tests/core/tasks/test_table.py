"""Every pair of task states with what it does, against a table written out from Aurora's documentation of task states.

Each pair is carried out for real: a task is brought to the first state, the second is asked for, and what came of it is
compared: the events, a successor, what the engine is told, whether the task is gone.
"""

from __future__ import annotations

import pytest

from scheduler.core import ops
from scheduler.core.effects import Effect, Terminate
from scheduler.core.policy import Policy
from scheduler.core.records import JobKey, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.state import State, apply
from scheduler.core.tasks.lifecycle import Outcome, transition
from scheduler.core.transaction import Clocks, TaskChanged, TaskDeleted, Transaction, World
from scheduler.testing.stage import service

JOB = JobKey("www", "prod", "web")
NUMBERS = {
    "PENDING": 0,
    "STARTING": 1,
    "RUNNING": 2,
    "FINISHED": 3,
    "FAILED": 4,
    "KILLED": 5,
    "KILLING": 6,
    "LOST": 7,
    "ASSIGNED": 9,
    "INIT": 11,
    "RESTARTING": 12,
    "PREEMPTING": 13,
    "THROTTLED": 16,
    "DRAINING": 17,
    "PARTITIONED": 18,
}
ACTIVE = set(NUMBERS) - {"INIT", "FINISHED", "FAILED", "KILLED", "LOST"}

# From -> to: what is done besides saving the new state. "gone": the task is removed instead of saved.
# successor: one is created; service: of a service only; limit: of a service, or while failures are left.
LEGAL: dict[str, dict[str, str]] = {
    "INIT": {"PENDING": "", "THROTTLED": ""},
    "THROTTLED": {"PENDING": "", "KILLING": "gone"},
    "PENDING": {"ASSIGNED": "", "KILLING": "gone"},
    "ASSIGNED": {
        "STARTING": "",
        "RUNNING": "",
        "FINISHED": "service",
        "FAILED": "count limit",
        "KILLED": "successor",
        "LOST": "successor kill",
        "KILLING": "kill",
        "RESTARTING": "kill",
        "DRAINING": "kill",
        "PREEMPTING": "kill",
    },
    "STARTING": {
        "RUNNING": "",
        "PARTITIONED": "",
        "FINISHED": "service",
        "FAILED": "count limit",
        "KILLED": "successor",
        "LOST": "successor",
        "KILLING": "kill",
        "RESTARTING": "kill",
        "DRAINING": "kill",
        "PREEMPTING": "kill",
    },
    "RUNNING": {
        "PARTITIONED": "",
        "FINISHED": "service",
        "FAILED": "count limit",
        "KILLED": "successor",
        "LOST": "successor",
        "KILLING": "kill",
        "RESTARTING": "kill",
        "DRAINING": "kill",
        "PREEMPTING": "kill",
    },
    "PARTITIONED": {
        "ASSIGNED": "",
        "STARTING": "",
        "RUNNING": "",
        "FINISHED": "",
        "FAILED": "count limit",
        "LOST": "successor kill",
        "KILLING": "lost",
        "RESTARTING": "lost successor kill",
        "DRAINING": "lost successor kill",
        "PREEMPTING": "lost successor kill",
    },
    "PREEMPTING": {
        "FINISHED": "successor",
        "FAILED": "successor",
        "KILLED": "successor",
        "LOST": "successor kill",
        "KILLING": "",
        "PARTITIONED": "lost successor kill",
    },
    "KILLING": {
        "FINISHED": "",
        "FAILED": "",
        "KILLED": "",
        "LOST": "",
        "PARTITIONED": "lost kill",  # not replaced: its history has a KILLING
    },
    "FINISHED": {},
    "FAILED": {},
    "KILLED": {},
    "LOST": {},
}
LEGAL["RESTARTING"] = LEGAL["DRAINING"] = LEGAL["PREEMPTING"]

# Refused, but the engine is told (again) to end what it calls alive.
ZOMBIES = {"PREEMPTING", "RESTARTING", "DRAINING", "KILLING", "FINISHED", "FAILED", "KILLED", "LOST", "unknown"}
ALIVE = {"ASSIGNED", "STARTING", "RUNNING"}

PAIRS = [(a, b) for a in NUMBERS for b in NUMBERS]


class Scene:
    """A state with one task in it, and one decision about that task."""

    def __init__(self, status: str, config: TaskConfig, *, failures: int = 0, earlier: tuple[str, ...] = ()) -> None:
        self.state = State()
        apply(self.state, ops.SaveConfig(b"config", config))
        assigned = status not in ("INIT", "PENDING", "THROTTLED")
        events = tuple(TaskEvent(i, TaskStatus[name]) for i, name in enumerate((*earlier, status)))
        host = ("host-1", "agent-1") if assigned else (None, None)
        task = Task("task", 3, config, TaskStatus[status], events, failures, host=host[0], agent_id=host[1])
        apply(self.state, ops.SaveTask(task))
        self.tx = Transaction(
            self.state, World(Policy(), "me", lambda: "successor", lambda: 0.0), Clocks(10_000_000, 10_000_000)
        )

    def ask(self, to: str) -> Outcome:
        return transition(self.tx, "task", TaskStatus[to], "why")

    @property
    def task(self) -> Task | None:
        return self.state.tasks.get("task")

    @property
    def successors(self) -> list[Task]:
        return [task for task in self.state.tasks.values() if task.task_id != "task"]

    @property
    def told(self) -> list[Effect]:
        return [effect for effect in self.tx.effects if isinstance(effect, Terminate)]

    def done(self) -> str:
        """What was done, in the words of `LEGAL`."""
        words = []
        events = [] if self.task is None else [e.status.name for e in self.task.events if e.message or e.scheduler]
        if self.task is None:
            words.append("gone")
        elif self.task.failure_count:
            words.append("count")
        if events[1:] == ["LOST"]:
            words.append("lost")
        if self.successors:
            words.append("successor")
        if self.told:
            words.append("kill")
        return " ".join(words)


def config(*, is_service: bool = True, max_task_failures: int = 0) -> TaskConfig:
    return TaskConfig(
        JOB,
        is_service=is_service,
        max_task_failures=max_task_failures,
        executor=service(JOB, "x").executor,
        resources=service(JOB, "x").resources,
    )


def test_names_and_numbers() -> None:
    assert {status.name: status.value for status in TaskStatus} == NUMBERS
    assert set(LEGAL) == set(NUMBERS)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_every_pair(a: str, b: str) -> None:
    scene = Scene(a, config())
    before = scene.task
    outcome = scene.ask(b)
    expected = LEGAL[a].get(b)
    if a == b:
        assert outcome is Outcome.NOOP
    elif expected is not None:
        assert outcome is Outcome.SUCCESS
        words = expected.replace("service", "successor").replace("limit", "successor")
        assert scene.done() == words
        assert scene.tx.ops
        _check_saved(scene, a, b)
        return
    elif a in ZOMBIES and b in ALIVE:
        assert outcome is Outcome.ILLEGAL_WITH_SIDE_EFFECTS
        assert scene.told == [Terminate("task", hard=a not in ACTIVE, host="host-1")]
    else:
        assert outcome is Outcome.ILLEGAL
        assert not scene.told
    assert scene.task is before
    assert not scene.tx.ops
    assert not scene.tx.changes


def _check_saved(scene: Scene, a: str, b: str) -> None:
    if scene.task is None:
        (change,) = scene.tx.changes
        assert isinstance(change, TaskDeleted)
        return
    saved = [event.status.name for event in scene.task.events]
    assert saved == ([a, b, "LOST"] if "lost" in LEGAL[a][b] else [a, b])
    assert scene.task.events[1] == TaskEvent(10_000_000, TaskStatus[b], "why", "me")
    assert scene.task.status.name == saved[-1]
    assert all(isinstance(change, TaskChanged) for change in scene.tx.changes)
    for successor in scene.successors:
        assert successor.instance_id == 3
        assert successor.ancestor_id == "task"
        assert successor.config is scene.task.config
        assert successor.failure_count == scene.task.failure_count
        assert successor.host is None
        assert [event.status.name for event in successor.events] == ["PENDING"]


@pytest.mark.parametrize(("a", "b"), [(a, b) for a in LEGAL for b in LEGAL[a]])
def test_every_pair_of_a_task_that_is_no_service(a: str, b: str) -> None:
    scene = Scene(a, config(is_service=False, max_task_failures=1))
    assert scene.ask(b) is Outcome.SUCCESS
    assert bool(scene.successors) is ("successor" in LEGAL[a][b])


@pytest.mark.parametrize("to", list(NUMBERS))
def test_a_task_nobody_knows(to: str) -> None:
    scene = Scene("RUNNING", config())
    outcome = transition(scene.tx, "stranger", TaskStatus[to])
    assert outcome is (Outcome.ILLEGAL_WITH_SIDE_EFFECTS if to in ALIVE else Outcome.ILLEGAL)
    assert scene.told == ([Terminate("stranger", hard=True)] if to in ALIVE else [])
    assert not scene.tx.ops


@pytest.mark.parametrize(("task", "expected", "outcome"), [
    ("task", "RUNNING", Outcome.SUCCESS),
    ("task", "STARTING", Outcome.INVALID_CAS_STATE),
    ("stranger", "RUNNING", Outcome.INVALID_CAS_STATE),
])  # fmt: skip
def test_only_from_the_expected_state(task: str, expected: str, outcome: Outcome) -> None:
    scene = Scene("RUNNING", config())
    assert transition(scene.tx, task, TaskStatus.FINISHED, expected=TaskStatus[expected]) is outcome
    assert bool(scene.tx.ops) is (outcome is Outcome.SUCCESS)
    assert not scene.told


# maxTaskFailures, failures so far -> is it replaced when it fails? Counted before this one (Aurora: "< limit - 1").
@pytest.mark.parametrize(("limit", "failures", "replaced"), [
    (-1, 0, True), (-1, 1000, True), (0, 0, False), (1, 0, False), (2, 0, True), (2, 1, False), (3, 1, True),
    (3, 2, False),
])  # fmt: skip
@pytest.mark.parametrize("status", ["ASSIGNED", "STARTING", "RUNNING", "PARTITIONED"])
def test_failure_limit(status: str, limit: int, failures: int, replaced: bool) -> None:
    scene = Scene(status, config(is_service=False, max_task_failures=limit), failures=failures)
    scene.ask("FAILED")
    assert bool(scene.successors) is replaced
    assert scene.task is not None
    assert scene.task.failure_count == failures + 1
    assert [task.failure_count for task in scene.successors] == ([failures + 1] if replaced else [])


@pytest.mark.parametrize("status", ["RESTARTING", "DRAINING", "PREEMPTING"])
def test_a_failure_after_being_asked_to_end_does_not_count(status: str) -> None:
    scene = Scene(status, config(is_service=False, max_task_failures=1), failures=7)
    scene.ask("FAILED")
    assert scene.successors
    assert scene.task is not None
    assert scene.task.failure_count == 7


def test_a_partitioned_task_that_was_killing_is_not_replaced() -> None:
    scene = Scene("PARTITIONED", config(), earlier=("RUNNING", "KILLING"))
    scene.ask("LOST")
    assert not scene.successors
    assert scene.told


def test_partitions_are_counted_and_their_history_is_bounded() -> None:
    scene = Scene("RUNNING", config())
    for _ in range(50):
        scene.ask("PARTITIONED")
        scene.ask("RUNNING")
    assert scene.task is not None
    assert scene.task.times_partitioned == 50
    assert [event.status.name for event in scene.task.events] == ["RUNNING", "PARTITIONED", "RUNNING"]
    scene.ask("PARTITIONED")
    assert [event.status.name for event in scene.task.events] == ["RUNNING", "PARTITIONED"]


def test_history_that_is_no_flapping_is_kept() -> None:
    scene = Scene("STARTING", config())
    for to in ("PARTITIONED", "RUNNING", "PARTITIONED"):
        scene.ask(to)
    assert scene.task is not None
    names = [event.status.name for event in scene.task.events]
    assert names == ["STARTING", "PARTITIONED", "RUNNING", "PARTITIONED"]


def test_when_it_happened_is_kept_but_never_before_what_is_known_nor_in_the_future() -> None:
    scene = Scene("STARTING", config(), earlier=("PENDING", "ASSIGNED"))
    transition(scene.tx, "task", TaskStatus.RUNNING, at_ms=1)
    transition(scene.tx, "task", TaskStatus.FINISHED, at_ms=10_000_001)
    assert scene.task is not None
    assert [event.timestamp_ms for event in scene.task.events] == [0, 1, 2, 2, 10_000_000]
