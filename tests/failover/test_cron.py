"""Cron across real failovers: what was begun does not begin again, and what nobody led for is counted and told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.interface import aurora
from scheduler.testing.asking import job, job_key, tasks_of
from scheduler.testing.fleet import Fleet, Member
from scheduler.testing.zookeeper import shared_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAME = "nightly"
MINUTE_MS = 60_000
INSTANCES = 2
WITHIN_S = 90
"""A run that a busy machine is too late for is missed, and the next one comes a minute later."""


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet(shared_server().port, path=f"/cron-{os.getpid()}") as fleet:
        yield fleet


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def to_second(second: int, *, minutes: int = 0) -> int:
    """How far a clock must be ahead to show this second of a minute, so many minutes from now at least."""
    return minutes * MINUTE_MS + (second * 1_000 - now_ms()) % MINUTE_MS


def set_clocks(fleet: Fleet, ahead_ms: int) -> None:
    for member in fleet.members:
        member.scheduler.ahead_ms = ahead_ms


def shown(member: Member) -> Any:
    return member.scheduler.ask("showCronJob", job_key(NAME))


def tasks(member: Member) -> list[Any]:
    with member.scheduler.client() as client:
        return tasks_of(client, [NAME])


def test_a_run_that_was_begun_is_not_begun_again_and_missed_ones_are_counted(fleet: Fleet) -> None:
    first, second = fleet.add(), fleet.add()
    set_clocks(fleet, to_second(5))  # nothing is due while it is scheduled
    first.scheduler.start()
    asked = job(NAME, "sleep 600", INSTANCES, service=False)
    asked.cronSchedule = "* * * * *"
    assert first.scheduler.ask("scheduleCronJob", asked).responseCode == aurora.ResponseCode.OK
    due_ms = shown(first).nextRunMs
    first.scheduler.kill()

    # Half an hour later, four seconds before a minute begins, somebody leads again and dies in the first run: it is
    # recorded, and not one task of it was launched.
    set_clocks(fleet, to_second(56, minutes=30))
    first.scheduler.start(failpoint="before-effect")
    epoch = first.epoch
    second.scheduler.start(wait=False)
    assert first.scheduler.wait_for_end(WITHIN_S) == -signal.SIGKILL
    assert fleet.leader(after=epoch, within_s=WITHIN_S) is second

    run = until_it_runs(second)
    began = shown(second)
    assert began.nextRunMs - MINUTE_MS <= began.lastRunMs < began.nextRunMs, "the instant that was due, not another"
    assert (began.nextRunMs - MINUTE_MS - due_ms) // MINUTE_MS == began.missedRuns >= 29
    assert began.heldBackRuns == 0 and not began.waitingSinceMs
    assert said(fleet).count("a run begins (due at ") == 1
    assert sorted(task.assignedTask.instanceId for task in run) == list(range(INSTANCES))

    # Nobody leads for another half hour.
    second.scheduler.kill()
    set_clocks(fleet, to_second(5, minutes=60))
    second.scheduler.start()
    give_up_at = time.monotonic() + WITHIN_S
    while (missed := shown(second)).missedRuns == began.missedRuns:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    more = (missed.nextRunMs - began.nextRunMs) // MINUTE_MS
    assert missed.missedRuns - began.missedRuns == more >= 28
    assert missed.lastMissedMs == missed.nextRunMs - MINUTE_MS and missed.lastRunMs == began.lastRunMs
    assert second.vars()["cron_job_misfires"] == more
    assert f"{more} runs were missed while no scheduler led" in second.scheduler.log()
    assert {task.assignedTask.taskId for task in tasks(second)} == {task.assignedTask.taskId for task in run}


def until_it_runs(member: Member) -> list[Any]:
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        found = tasks(member)
        if [task.status for task in found] == [aurora.ScheduleStatus.RUNNING] * INSTANCES:
            return found
        assert time.monotonic() < give_up_at, found
        time.sleep(0.05)


def said(fleet: Fleet) -> str:
    return "".join(member.scheduler.log() for member in fleet.members)
