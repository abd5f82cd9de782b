"""SLA figures of tasks with known histories. Times are seconds; the window is the last minute, from 60 to 120."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from scheduler.core.records import JobKey, Resource, ResourceKind, Task, TaskEvent, TaskStatus
from scheduler.core.sla.figures import Uptime, Window, by_instance, job_uptimes, platform_uptime, sizes_of, times_of
from scheduler.testing.stage import service

JOB = JobKey("www", "prod", "web")
CONFIG = service(JOB, "x")
WINDOW = Window(60_000, 120_000)


def task(history: str, instance: int = 0) -> Task:
    """`PENDING@0 RUNNING@10`."""
    words = [word.partition("@") for word in history.split()]
    events = tuple(TaskEvent(int(float(at) * 1000), TaskStatus[name]) for name, _, at in words)
    return Task(f"task-{history}", instance, CONFIG, events[-1].status, events)


def of_all(tasks: list[Task]) -> Uptime:
    whole = Uptime()
    for of_one in by_instance(tasks):
        whole.add(platform_uptime(of_one, WINDOW))
    return whole


@pytest.mark.parametrize(("histories", "percent"), [
    ((), 100),  # nothing counts
    (("PENDING@0 RUNNING@10",), 100),
    (("PENDING@0 RUNNING@90",), 100),  # before that it was not yet to be up
    (("RUNNING@0 LOST@90",), 50),
    (("RUNNING@0 LOST@90", "PENDING@90 ASSIGNED@95 STARTING@100 RUNNING@105"), 75),  # still down on its way back
    (("RUNNING@0 DRAINING@75 KILLED@90",), 25),
    (("RUNNING@0 PREEMPTING@75 KILLED@90",), 25),
    (("RUNNING@0 KILLED@90",), 50),  # nobody asked for it
    (("RUNNING@0 KILLING@90 KILLED@95",), 100),  # somebody did
    (("RUNNING@0 RESTARTING@90 KILLED@95", "PENDING@95 RUNNING@110"), 100),
    (("RUNNING@0 FAILED@90", "THROTTLED@90 PENDING@100 RUNNING@110"), 100),  # its own doing
    (("RUNNING@0 FINISHED@90",), 100),
    (("RUNNING@0 PARTITIONED@90",), 100),  # for all we know it runs
    (("RUNNING@0 PARTITIONED@75 LOST@90",), 50),
    (("RUNNING@0 LOST@30",), 0),
    (("RUNNING@200",), 100),
])  # fmt: skip
def test_platform_uptime(histories: tuple[str, ...], percent: float) -> None:
    assert of_all([task(history) for history in histories]).percent == percent


def test_instances_are_added_up() -> None:
    found = of_all([task("RUNNING@0", 0), task("RUNNING@0 LOST@90", 1), task("PENDING@100", 2)])
    assert (found.up_ms, found.counted_ms) == (90_000, 120_000)


EVENTS = st.lists(st.tuples(st.sampled_from(list(TaskStatus)), st.integers(0, 200)), min_size=1, max_size=12)


@given(st.lists(EVENTS, max_size=4))
def test_nothing_is_counted_twice(histories: list[list[tuple[TaskStatus, int]]]) -> None:
    tasks = [
        task(" ".join(f"{status.name}@{at}" for status, at in sorted(events, key=lambda event: event[1])), number % 2)
        for number, events in enumerate(histories)
    ]
    found = of_all(tasks)
    assert 0 <= found.up_ms <= found.counted_ms <= WINDOW.length_ms * len({one.instance_id for one in tasks})


@pytest.mark.parametrize(("since", "expected"), [
    ([], [0, 0, 0, 0, 0]),
    ([20], [100, 100, 100, 100, 100]),
    (list(range(20, 120)), [51, 26, 11, 6, 2]),
    ([0, 119.9], [120, 0, 0, 0, 0]),
])  # fmt: skip
def test_job_uptimes(since: list[float], expected: list[int]) -> None:
    tasks = [task(f"PENDING@0 RUNNING@{at}", i) for i, at in enumerate(since)] + [task("RUNNING@0 LOST@5", 500)]
    assert list(job_uptimes(tasks, 120_000).values()) == expected


@pytest.mark.parametrize(("history", "taken"), [
    ("PENDING@61 ASSIGNED@62 STARTING@64 RUNNING@68", {"mtta": [1000], "mtts": [3000], "mttr": [7000]}),
    ("THROTTLED@0 PENDING@50 ASSIGNED@60 STARTING@64", {"mtta": [], "mtts": [14_000], "mttr": []}),
    ("PENDING@70", {"mtta": [], "mtts": [], "mttr": []}),
    ("PENDING@0 ASSIGNED@1 RUNNING@10 PARTITIONED@20 RUNNING@80", {"mtta": [], "mtts": [], "mttr": [80_000]}),
    ("PENDING@0 ASSIGNED@1 RUNNING@60", None),
    ("RUNNING@100", None),
])  # fmt: skip
def test_how_long_it_took(history: str, taken: dict[str, list[int]] | None) -> None:
    found = times_of(task(history), WINDOW)
    assert (None if found is None else found.taken_ms) == taken


@pytest.mark.parametrize(("cpus", "ram_mb", "disk_mb", "sizes"), [
    (0.1, 16, 16, ["cpu_small", "ram_small", "disk_small"]),
    (1, 1024, 4096, ["cpu_small", "ram_small", "disk_small"]),
    (1.1, 1025, 4097, ["cpu_medium", "ram_medium", "disk_medium"]),
    (8, 16384, 32768, ["cpu_large", "ram_large", "disk_large"]),
    (16, 32768, 65536, ["cpu_xlarge", "ram_xlarge", "disk_xlarge"]),
    (17, 40000, 70000, ["cpu_xxlarge", "ram_xxlarge", "disk_xxlarge"]),
])  # fmt: skip
def test_sizes(cpus: float, ram_mb: int, disk_mb: int, sizes: list[str]) -> None:
    kinds = (ResourceKind.CPUS, ResourceKind.RAM_MB, ResourceKind.DISK_MB)
    resources = tuple(map(Resource, kinds, (cpus, ram_mb, disk_mb)))
    assert list(sizes_of(evolve(CONFIG, resources=resources))) == sizes
