"""A disk that is really full: a small file system of its own where one may be mounted, else a limit on file sizes."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from scheduler.interface import aurora
from scheduler.testing.asking import job, tasks_of
from scheduler.testing.cluster import BROKEN, Cluster, Scheduler
from scheduler.testing.fleet import Fleet
from scheduler.testing.zookeeper import shared_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OK = aurora.ResponseCode.OK
TRANSIENT = aurora.ResponseCode.ERROR_TRANSIENT


class Disk(Protocol):
    def fill(self) -> None: ...

    def free(self) -> None: ...


class Mounted:
    """A file system of 4 MB in memory, filled by a file that is in the way."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            for size in (65_536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        self._filler.unlink()


class Limited:
    """No file of the scheduler may grow."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def _limit(self, most: int) -> None:
        assert self._scheduler.pid is not None
        resource.prlimit(self._scheduler.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def fill(self) -> None:
        self._limit(4096)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)


def small_disk(scheduler: Scheduler) -> Iterator[Disk]:
    """Under the data directory of a scheduler that does not run yet."""
    scheduler.data_dir.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "thesan-test", str(scheduler.data_dir)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield Limited(scheduler)
        return
    try:
        yield Mounted(scheduler.data_dir)
    finally:
        scheduler.kill()
        subprocess.run(["umount", str(scheduler.data_dir)], check=True)


@pytest.fixture
def alone() -> Iterator[tuple[Scheduler, Disk]]:
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler(flags=["--engine-dir", str(cluster.folder)])
        disks = small_disk(scheduler)
        yield scheduler, next(disks)
        next(disks, None)


@pytest.fixture
def member() -> Iterator[tuple[Fleet, Scheduler, Disk]]:
    with Fleet(shared_server().port, path=f"/disk-{os.getpid()}", session_ms=5_000) as fleet:
        scheduler = fleet.add().scheduler
        disks = small_disk(scheduler)
        yield fleet, scheduler, next(disks)
        next(disks, None)


def create(scheduler: Scheduler, name: str) -> int | None:
    """The response's code; None when the connection broke."""
    try:
        return int(scheduler.ask("createJob", job(name, "sleep 600", 1, token=name)).responseCode)
    except BROKEN:
        return None


def jobs(scheduler: Scheduler) -> set[str]:
    with scheduler.client() as client:
        return {task.assignedTask.task.job.name for task in tasks_of(client)}


def until(holds: Callable[[], bool], within_s: float = 60) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {within_s:g} s"
        time.sleep(0.05)


def test_alone_nothing_is_acknowledged_and_it_recovers(alone: tuple[Scheduler, Disk]) -> None:
    scheduler, disk = alone
    scheduler.start()
    assert create(scheduler, "before") == OK
    disk.fill()
    acknowledged: set[str] = {"before"}
    refused = 0
    for number in range(400):
        code = create(scheduler, f"job-{number}")
        if code == OK:
            acknowledged.add(f"job-{number}")  # there was room for it yet
        else:
            refused += 1
            if refused > 5:
                break
    assert refused > 5, "the disk was never full"
    assert scheduler.alive
    assert "nothing was written: " in scheduler.log() or "cannot be opened now" in scheduler.log()

    disk.free()
    until(lambda: create(scheduler, "after") == OK)
    found = jobs(scheduler)
    assert acknowledged | {"after"} <= found
    scheduler.kill()
    scheduler.start()
    assert found <= jobs(scheduler)


def test_with_zookeeper_the_log_stays_the_truth_and_the_copy_catches_up(
    member: tuple[Fleet, Scheduler, Disk],
) -> None:
    fleet, scheduler, disk = member
    scheduler.start()
    assert create(scheduler, "before") == OK
    disk.fill()
    one = fleet.members[0]
    made = {"before"}
    for number in range(400):
        assert create(scheduler, f"job-{number}") == OK
        made.add(f"job-{number}")
        if one.vars()["checkpoint_is_behind"]:
            break
    assert one.vars()["checkpoint_is_behind"] == 1
    assert "the checkpoint is not written" in scheduler.log()
    refused = scheduler.ask("snapshot")
    assert "the checkpoint is behind" in refused.details[0].message
    assert create(scheduler, "later") == OK

    disk.free()
    until(lambda: one.vars()["checkpoint_is_behind"] == 0)
    assert one.vars()["checkpoint_offset"] == one.vars()["log_head_offset"]
    assert scheduler.ask("snapshot").responseCode == OK
    scheduler.kill()
    scheduler.start()
    assert jobs(scheduler) == made | {"later"}
    if not isinstance(disk, Mounted):
        return  # limits of a process end with it

    scheduler.stop()  # what SQLite keeps beside its file is gone now, and there is no room to make it again
    disk.fill()
    scheduler.start()
    assert create(scheduler, "full") == OK
    assert jobs(scheduler) == made | {"later", "full"}
    assert one.vars()["checkpoint_is_behind"] == 1
    assert "(the disk is full)" in scheduler.log()

    disk.free()
    scheduler.stop()
    scheduler.start()
    assert one.vars()["checkpoint_is_behind"] == 0
    assert scheduler.ask("snapshot").responseCode == OK
