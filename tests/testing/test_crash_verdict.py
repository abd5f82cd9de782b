"""The reckoning of tasks finds what it is for: every kind of violation is planted, and a good end is left alone."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve

from scheduler.core.records import TaskStatus
from scheduler.failpoints import NAMES
from scheduler.testing.crash.__main__ import report
from scheduler.testing.crash.kills import INSIDE_A_COMMIT, PLACES, Kill, plan
from scheduler.testing.crash.run import Outcome
from scheduler.testing.crash.verdict import CUT_OFF, Ran, judge
from scheduler.testing.history.records import Heard, TaskEventRow, TaskRow, World

JOB = "www/prod/web"


def task(task_id: str, instance: int, *statuses: TaskStatus, why: str | None = None) -> TaskRow:
    path = (TaskStatus.PENDING, TaskStatus.ASSIGNED, *statuses)
    events = tuple(TaskEventRow(at, status) for at, status in enumerate(path))
    events = (*events[:-1], evolve(events[-1], message=why))
    return TaskRow(task_id, JOB, instance, path[-1], "c", events)


RUNNING, KILLING, KILLED = TaskStatus.RUNNING, TaskStatus.KILLING, TaskStatus.KILLED
FINISHED, FAILED, LOST = TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.LOST
WORLD = World(
    (
        task("runs", 0, RUNNING),
        task("done", 1, RUNNING, FINISHED),
        task("killed", 2, RUNNING, KILLING, KILLED),
        task("cut", 3, LOST, why=CUT_OFF),
        task("after-cut", 3, RUNNING),
        task("never", 4, KILLING, LOST, why="never started on this host"),
    )
)
RAN = Ran(
    starts={"runs": (10,), "done": (11,), "killed": (12,), "after-cut": (13,)},
    ends={"done": (11,)},
    living={"runs": (10,), "after-cut": (13,)},
    folders={"runs": "alive", "done": "ended", "after-cut": "alive"},
)


def with_task(row: TaskRow) -> World:
    return World([row if one.task_id == row.task_id else one for one in WORLD.tasks])


def test_a_good_end_is_left_alone() -> None:
    assert judge(WORLD, RAN, kills=1) == []
    assert judge(World(), Ran(), kills=0) == []


def ran(**changes: dict[str, tuple[int, ...]] | dict[str, str]) -> Ran:
    """`RAN` with entries added, replaced, or taken away by an empty value."""
    merged = {}
    for name, rows in changes.items():
        merged[name] = {key: value for key, value in {**getattr(RAN, name), **rows}.items() if value}
    return evolve(RAN, **merged)


PLANTED = {
    "started twice": ("ran twice", "runs", WORLD, ran(starts={"runs": (10, 20)})),
    "lives twice": ("ran twice", "runs", WORLD, ran(living={"runs": (10, 20)})),
    "two tasks of one instance live": (
        "ran twice",
        JOB,
        World((*WORLD.tasks, task("second", 0, RUNNING))),
        ran(starts={"second": (30,)}, living={"second": (30,)}, folders={"second": "alive"}),
    ),
    "started and unknown": ("ran unrecorded", "ghost", WORLD, ran(starts={"ghost": (40,)})),
    "running, never started": ("lost", "runs", WORLD, ran(starts={"runs": ()})),
    "running, not alive": ("lost", "runs", WORLD, ran(living={"runs": ()})),
    "lost for no reason": ("lost", "runs", with_task(task("runs", 0, LOST, why="its executor died")), RAN),
    "cut off, and had started": ("lost", "cut", WORLD, ran(starts={"cut": (50,)})),
    "more cut off than kills": ("lost", "tasks", World((*WORLD.tasks, task("cut-2", 5, LOST, why=CUT_OFF))), RAN),
    "ended and alive": ("unwanted", "killed", WORLD, ran(living={"killed": (12,)})),
    "finished before its end": ("end unknown", "done", WORLD, ran(ends={"done": ()})),
    "failed": ("end unknown", "done", with_task(task("done", 1, RUNNING, FAILED)), RAN),
    "at its end and not finished": ("end unknown", "runs", WORLD, ran(ends={"runs": (10,)})),
    "a folder of nobody": ("folder", "ghost", WORLD, ran(folders={"ghost": "ended"})),
    "a living folder of an ended task": ("folder", "done", WORLD, ran(folders={"done": "alive"})),
    "a dead folder of a running task": ("folder", "runs", WORLD, ran(folders={"runs": "dead"})),
    "a running task without a folder": ("folder", "runs", WORLD, ran(folders={"runs": ""})),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_found(case: str) -> None:
    rule, subject, world, what_ran = PLANTED[case]

    found = judge(world, what_ran, kills=1)

    assert any(one.rule == rule and one.subject == subject for one in found), list(map(str, found))


def test_every_ten_kills_have_every_kind_of_place() -> None:
    for seed in range(20):
        planned = list(plan(20, Random(seed)))
        for block in (planned[:10], planned[10:]):
            names = [one.failpoint.partition(":")[0] for one in block if one.failpoint]
            assert sorted(next(i for i, places in enumerate(PLACES) if name in places) for name in names) == [
                0,
                1,
                2,
                3,
                4,
            ]
            assert sum(one.taking_over for one in block) == 1
    assert {name for places in PLACES for name in places} <= set(NAMES)
    assert set(NAMES) >= INSIDE_A_COMMIT
    assert list(plan(10, Random("7"))) == list(plan(10, Random("7")))


GOOD = Outcome(
    seed=7,
    kills=(Kill(1.0, "at random"), Kill(2.0, "at after-append:3:kill", "after-append")),
    seconds=12.0,
    acknowledged=(5, 20, 3),
    calls={Heard.ACKNOWLEDGED: 28, Heard.REFUSED: 2, Heard.UNKNOWN: 1},
    unknown_and_there=1,
    inside_a_commit=(2,),
    tasks=9,
    started=8,
    cut_off=1,
    violations=(),
)


def test_a_run_that_tested_nothing_fails() -> None:
    assert GOOD.complaints == []
    assert evolve(GOOD, acknowledged=(5, 0, 3)).complaints == [
        "no call was acknowledged between kills: nothing was tested"
    ]
    assert evolve(GOOD, inside_a_commit=()).complaints == ["no kill fell inside a commit: nothing was tested"]


def test_the_report_has_the_figures() -> None:
    text = "\n".join(report(GOOD))
    for part in ("2 kills in 12.0 s with seed 7", "28 acknowledged", "5, 20, 3", "inside a commit: 1 (numbers 2)"):
        assert part in text
