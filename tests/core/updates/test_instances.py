"""What one look at one instance finds: every state of its task, wanted or not, with a KILLING in its past or without.

Written out from Aurora's documentation of updates ("one instance").
"""

from __future__ import annotations

from itertools import product

import pytest

from scheduler.core.records import JobKey, Task, TaskEvent, TaskStatus
from scheduler.core.updates.instances import Verdict, judge
from scheduler.testing.stage import service

JOB = JobKey("www", "prod", "web")
NEW, OLD = service(JOB, "new"), service(JOB, "old")
WATCH_MS = 2000

ALIVE = [
    "PENDING",
    "THROTTLED",
    "ASSIGNED",
    "STARTING",
    "RUNNING",
    "RESTARTING",
    "PREEMPTING",
    "DRAINING",
    "PARTITIONED",
]
ENDED = ["FAILED", "FINISHED", "KILLED", "LOST"]
ALL = [*ALIVE, "KILLING", *ENDED]


def expected(wanted: str, status: str, *, was_killing: bool, running_ms: int) -> str:
    """The table, in words."""
    if was_killing and status != "KILLING":  # its end was asked for and has come: as good as absent
        return "SUCCEEDED" if wanted == "nothing" else "ADD"
    if wanted in ("nothing", "other"):
        return "KILL" if status in ALIVE else "WAIT"
    if status == "RUNNING":
        return "SUCCEEDED" if running_ms >= WATCH_MS else "WATCH"
    return "EXITED" if status in ENDED else "WAIT"


CASES = list(product(["nothing", "same", "other"], ALL, [False, True], [0, WATCH_MS - 1, WATCH_MS, WATCH_MS + 1]))


@pytest.mark.parametrize(("wanted", "status", "was_killing", "running_ms"), CASES)
def test_every_case(wanted: str, status: str, was_killing: bool, running_ms: int) -> None:
    names = ["PENDING", *(["KILLING"] if was_killing else []), status]
    events = tuple(TaskEvent(1000, TaskStatus[name]) for name in names)
    task = Task("t", 0, OLD if wanted == "other" else NEW, TaskStatus[status], events)
    found = judge(None if wanted == "nothing" else NEW, task, now_ms=1000 + running_ms, watch_ms=WATCH_MS)
    assert found.name == expected(wanted, status, was_killing=was_killing, running_ms=running_ms)


def test_nothing_is_there() -> None:
    assert judge(None, None, now_ms=0, watch_ms=0) is Verdict.SUCCEEDED
    assert judge(NEW, None, now_ms=0, watch_ms=0) is Verdict.ADD


def test_an_equal_configuration_is_the_same_one() -> None:
    task = Task("t", 0, service(JOB, "new"), TaskStatus.RUNNING, (TaskEvent(0, TaskStatus.RUNNING),))
    assert judge(service(JOB, "new"), task, now_ms=0, watch_ms=0) is Verdict.SUCCEEDED


def test_the_watch_runs_from_the_latest_event() -> None:
    events = tuple(
        TaskEvent(at, TaskStatus[name]) for at, name in ((0, "RUNNING"), (9, "PARTITIONED"), (10, "RUNNING"))
    )
    task = Task("t", 0, NEW, TaskStatus.RUNNING, events)
    assert judge(NEW, task, now_ms=2009, watch_ms=2000) is Verdict.WATCH
    assert judge(NEW, task, now_ms=2010, watch_ms=2000) is Verdict.SUCCEEDED
