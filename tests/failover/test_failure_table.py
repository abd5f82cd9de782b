"""The failure table of docs/architecture.md, cell by cell: a process dies exactly there, and what is left is looked at.

Real schedulers over a real ZooKeeper. "leader": the leader dies while it answers a call. "standby": a standby dies, and
the leader does not notice. "new leader": the old leader is dead, and the one that takes over dies too.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from scheduler.core.records import TaskStatus
from scheduler.failpoints import NAMES
from scheduler.interface import aurora
from scheduler.testing.asking import job, tasks_of
from scheduler.testing.cluster import BROKEN
from scheduler.testing.fleet import Fleet, Member
from scheduler.testing.zookeeper import shared_server
from tests.changelog.stage import told_until
from tests.changelog.zookeeper_stage import Scheduler, standby_that_folds
from tests.zk.stage import Stage, on_stage

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
OK = aurora.ResponseCode.OK
_numbers = itertools.count(1)


@frozen
class Cell:
    """`nth` time the failpoint is reached in the life of the one that dies there. `happened`: is the call in the log?
    `answered`: did the client hear of it? None: it may be either.
    """

    nth: int
    happened: bool = True
    answered: bool | None = False
    ask: str = "createJob"


LEADER: Final = {
    "before-apply": Cell(1, happened=False),
    "after-decide": Cell(2, happened=False),
    "before-append": Cell(2, happened=False),
    "after-append": Cell(2),
    "before-tail-row": Cell(2, answered=None),
    "after-tail-row": Cell(2, answered=None),
    "fold-before-swap": Cell(1, ask="snapshot"),
    "fold-after-swap": Cell(1, ask="snapshot"),
    "before-snapshot-pointer": Cell(1, ask="snapshot"),
    "after-snapshot-pointer": Cell(1, ask="snapshot"),
    "before-truncate": Cell(3, ask="snapshot"),
    "after-truncate": Cell(3, ask="snapshot"),
    "after-commit": Cell(2),
    "after-acknowledge": Cell(2, answered=True),
    "before-effect": Cell(2, answered=True),  # the first asks the engine for the task there was before
    "after-effect": Cell(2, answered=True),
}
STANDBY: Final = ("follow-before-apply", "follow-after-apply", "before-tail-row", "after-tail-row")
FOLDING: Final = ("fold-before-swap", "fold-after-swap")
TAKING_OVER = {
    "follow-before-apply": Cell(1, ask=""),
    "follow-after-apply": Cell(1, ask=""),
    "before-append": Cell(1, ask=""),
    "after-append": Cell(1, ask=""),
    "before-tail-row": Cell(2, ask=""),
    "after-tail-row": Cell(2, ask=""),
}
TAKING_OVER |= {name: cell for name, cell in LEADER.items() if name not in TAKING_OVER}
"""Once it has taken over it is a leader, and dies as one."""


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet(shared_server().port, path=f"/table-{os.getpid()}-{next(_numbers)}") as fleet:
        yield fleet


def until(holds: Callable[[], bool], within_s: float = 60) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {within_s:g} s"
        time.sleep(0.02)


def create(member: Member, name: str) -> bool:
    return bool(member.scheduler.ask("createJob", job(name, "sleep 600", 1, token=name)).responseCode == OK)


def running(member: Member) -> dict[str, int]:
    """Job to how many of its tasks run."""
    with member.scheduler.client() as client:
        tasks = [task for task in tasks_of(client) if task.status == TaskStatus.RUNNING]
    names = [task.assignedTask.task.job.name for task in tasks]
    return {name: names.count(name) for name in names}


def dies_when_asked(member: Member, cell: Cell) -> None:
    """Ask until it dies, and look whether it answered."""
    answered = False
    with suppress(*BROKEN):
        if cell.ask == "createJob":
            answered = create(member, "called")
        for number in range(3 if cell.ask == "snapshot" else 0):
            create(member, f"more-{number}")
            member.scheduler.ask("snapshot")
    assert member.scheduler.wait_for_end() == -9
    if cell.ask == "createJob" and cell.answered is not None:
        assert answered == cell.answered


def goes_on(fleet: Fleet, next_one: Member, epoch: int, cell: Cell) -> None:
    """The next leader has what it should have, everything runs once, and calls are taken; the dead one follows."""
    assert fleet.leader(after=epoch) is next_one
    expected = {"before": 1} | ({"called": 1} if cell.ask == "createJob" and cell.happened else {})
    until(lambda: expected.items() <= running(next_one).items())
    assert ("called" in running(next_one)) == ("called" in expected)
    assert create(next_one, "after")
    assert next_one.scheduler.ask("snapshot").responseCode == OK
    for member in fleet.members:
        if not member.scheduler.alive:
            member.scheduler.start(wait=False)
    fleet.until_all_follow()
    until(lambda: running(next_one).get("after") == 1)


def with_a_job(fleet: Fleet) -> Member:
    """A cluster of two with a job and a snapshot, all of it stopped again."""
    first, _ = fleet.add(), fleet.add()
    first.scheduler.start()
    assert create(first, "before")
    until(lambda: running(first) == {"before": 1})
    first.scheduler.stop()
    return first


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", LEADER)
def test_the_leader_dies(point: str, fleet: Fleet) -> None:
    cell = LEADER[point]
    first = with_a_job(fleet)
    second = fleet.members[1]
    first.scheduler.start(failpoint=f"{point}:{cell.nth}")
    epoch = first.epoch
    second.scheduler.start(wait=False)
    fleet.until_all_follow()
    dies_when_asked(first, cell)
    goes_on(fleet, second, epoch, cell)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", STANDBY)
def test_a_standby_dies(point: str, fleet: Fleet) -> None:
    first = with_a_job(fleet)
    second = fleet.members[1]
    first.scheduler.start()
    epoch = first.epoch
    second.scheduler.start(failpoint=point, wait=False)
    assert create(first, "called")
    assert second.scheduler.wait_for_end() == -9
    assert create(first, "later")
    assert first.epoch == epoch, "the leader did not notice"

    second.scheduler.start(wait=False)
    fleet.until_all_follow()
    first.scheduler.kill()
    assert fleet.leader(after=epoch) is second
    until(lambda: running(second) == {"before": 1, "called": 1, "later": 1})


@pytest.mark.parametrize("point", FOLDING)
def test_a_standby_dies_while_it_folds(point: str, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        leader = await Scheduler.at(stage)
        await leader.lead()
        await leader.tell(60)
        assert await standby_that_folds(stage, tmp_path, failpoint=point) == -9
        await leader.tell(70)
        again = await Scheduler.at(stage, data_dir=tmp_path)
        assert again.changelog.offset == 60 and again.is_right
        assert await again.follow() == 10 and again.is_right
        assert await standby_that_folds(stage, tmp_path / "another") == 0
        assert told_until(70)

    on_stage(play)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", TAKING_OVER)
def test_the_one_that_takes_over_dies(point: str, fleet: Fleet) -> None:
    cell = TAKING_OVER[point]
    first = with_a_job(fleet)
    second = fleet.members[1]
    second.scheduler.start(failpoint=f"{point}:{cell.nth}", wait=bool(cell.ask))
    epoch = max(2, second.epoch)
    if cell.ask:
        dies_when_asked(second, cell)
    else:
        assert second.scheduler.wait_for_end() == -9
        epoch = 1
    first.scheduler.start(wait=False)
    goes_on(fleet, first, epoch, cell)


def test_the_table_is_these_cells() -> None:
    """Each row names its failpoints, and each cell without a dash has a test above."""
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("| dies") :].split("\n\n")[0]
    named: dict[str, set[str]] = {"leader": set(), "standby": set(), "new leader": set()}
    for row in table.splitlines()[2:]:
        _, points, *_, leader, standby, new_leader, _ = (cell.strip() for cell in row.split("|")[1:])
        names = re.findall(r"`([a-z-]+)`", points)
        assert names and set(names) <= set(NAMES), row
        for column, told in zip(named, (leader, standby, new_leader), strict=True):
            if told != "-":
                of_follower = [name for name in names if name.startswith("follow-")]
                own = [name for name in names if name not in of_follower]
                if column == "standby":
                    named[column].update(of_follower or own)
                elif column == "leader":
                    named[column].update(own)
                else:
                    named[column].update(names)
    assert named == {"leader": set(LEADER), "standby": {*STANDBY, *FOLDING}, "new leader": set(TAKING_OVER)}
