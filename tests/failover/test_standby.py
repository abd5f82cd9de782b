"""What a standby answers: reads from its copy of the log within a bound, and the same events as the leader."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.interface import aurora
from scheduler.testing.asking import job, tasks_of, update_query, update_request
from scheduler.testing.fleet import Fleet, Member
from scheduler.testing.zookeeper import shared_server
from tests.failover.test_leaders import HOUR_MS, OK, TRANSIENT, create, until
from tests.rpc.calls import binary_call

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
_numbers = itertools.count(1)
_SAID = re.compile(r"Answered by a standby: everything committed more than (\d+) ms ago is in it\.")


@pytest.fixture
def path() -> str:
    return f"/standby-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def fleet(path: str) -> Iterator[Fleet]:
    with Fleet(shared_server().port, path=path, flags=["--serve-stale-reads", "3secs"]) as fleet:
        yield fleet


def names(member: Member) -> set[str]:
    with member.scheduler.client() as client:
        return {task.assignedTask.task.job.name for task in tasks_of(client)}


def offset(member: Member) -> int:
    return int(member.scheduler.ask("getServerState").committedOffset)


def test_a_standby_answers_reads_and_says_how_old_they_may_be(fleet: Fleet) -> None:
    leader = fleet.start(2)
    (standby,) = fleet.others(leader)
    until(lambda: f"standby: 127.0.0.1:{leader.scheduler.http_port} leads" in standby.scheduler.log())
    assert create(leader, "one", 2) == OK
    request = update_request("rolling", "sleep 600", 2, pulse_timeout_ms=HOUR_MS)
    key = leader.scheduler.ask("startJobUpdate", request, "go").result.startJobUpdateResult.key

    running = aurora.TaskQuery(role="www", statuses={aurora.ScheduleStatus.RUNNING})
    until(lambda: len(leader.scheduler.ask("getTasksStatus", running).result.scheduleStatusResult.tasks) == 2)
    until(lambda: offset(standby) == offset(leader))  # and nothing moves any more
    assert names(standby) == {"one"}
    for method, arguments in (("getJobs", (None,)), ("getRoleSummary", ()), ("getQuota", ("www",)),
                              ("getTierConfigs", ()), ("getJobUpdateSummaries", (update_query(),))):  # fmt: skip
        answer = standby.scheduler.ask(method, *arguments)
        assert answer.responseCode == OK, method
        said = _SAID.fullmatch(answer.details[-1].message)
        assert said is not None and int(said[1]) <= 3_000
        expected = leader.scheduler.ask(method, *arguments)
        assert expected.result == answer.result and expected.serverInfo == answer.serverInfo
        assert not expected.details

    # Why an update is not moving is for the leader to say: it alone hears heartbeats.
    theirs = standby.scheduler.ask("getJobUpdateDetails", None, update_query(key=key))
    ours = leader.scheduler.ask("getJobUpdateDetails", None, update_query(key=key))
    assert theirs.result == ours.result
    assert len(ours.details) == 1 and "heartbeat" in ours.details[0].message
    assert [bool(_SAID.fullmatch(one.message)) for one in theirs.details] == [True]

    for method, arguments in (("getPendingReason", (aurora.TaskQuery(),)), ("createJob", (job("x", "sleep 1"),)),
                              ("pulseJobUpdate", (key,)), ("listBackups", ()), ("explainUpdate", (key,))):  # fmt: skip
        assert standby.scheduler.ask(method, *arguments).responseCode == TRANSIENT, method


def test_over_http_a_standby_answers_only_who_asks_for_it(fleet: Fleet) -> None:
    leader = fleet.start(2)
    (standby,) = fleet.others(leader)
    binary = "application/vnd.apache.thrift.binary"
    headers = {"Content-Type": binary, "Accept": binary}
    body = binary_call("getRoleSummary")

    assert standby.http("/api", "POST", body, **headers).status == 307
    here: Any = standby.http("/api", "POST", body, **headers, **{"Bypass-Leader-Redirect": "1"})
    assert here.status == 200 and b"Answered by a standby" in here.body
    assert b"Answered by a standby" not in leader.http("/api", "POST", body, **headers).body  # type: ignore[attr-defined]


def test_a_standby_that_is_cut_off_answers_no_longer_than_allowed_and_comes_back(fleet: Fleet) -> None:
    leader = fleet.start(2)
    (standby,) = fleet.others(leader)
    assert create(leader, "before") == OK
    until(lambda: names(standby) == {"before"})

    standby.network.cut()
    until(lambda: standby.scheduler.ask("getJobs", None).responseCode == TRANSIENT)
    assert create(leader, "meanwhile") == OK
    assert "ms old, of 3000 ms allowed" in standby.scheduler.ask("getJobs", None).details[0].message
    standby.network.heal()
    until(lambda: standby.scheduler.ask("getJobs", None).responseCode == OK)
    assert names(standby) == {"before", "meanwhile"}


def test_a_leader_that_was_deposed_answers_from_what_it_read_since(fleet: Fleet) -> None:
    old = fleet.start(2)
    assert create(old, "before") == OK
    epoch = old.epoch
    old.network.cut()
    new = fleet.leader(after=epoch)
    assert new is not old and create(new, "meanwhile") == OK
    answer = old.scheduler.ask("getJobs", None)
    assert answer.responseCode == TRANSIENT, "what it has in memory is not all committed"
    old.network.heal()
    until(lambda: old.scheduler.ask("getJobs", None).responseCode == OK)
    assert names(old) == {"before", "meanwhile"}
    assert old.scheduler.ask("getJobs", None).details
    assert not new.scheduler.ask("getJobs", None).details


def updates(member: Member, query: Any) -> list[Any]:
    found = member.scheduler.ask("getJobUpdateSummaries", query).result.getJobUpdateSummariesResult.updateSummaries
    return list(found)


def events(member: Member, after: int | None) -> tuple[list[Any], int]:
    """What watchEvents has after a cursor, to its end, and the cursor there."""
    found: list[Any] = []
    with member.scheduler.client() as client:
        while True:
            batch = client.watchEvents(after, 20, 0)
            assert batch.responseCode == OK, batch
            found += batch.events or []
            if not batch.events:
                return found, int(batch.nextCursor)
            after = batch.nextCursor


def test_a_standby_tells_the_same_events_as_the_leader_under_the_same_cursors(path: str) -> None:
    with Fleet(shared_server().port, path=path) as fleet:
        leader = fleet.start(2)
        (standby,) = fleet.others(leader)
        request = update_request("rolling", "sleep 600", 4, watch_ms=0)
        assert leader.scheduler.ask("startJobUpdate", request, "go").responseCode == OK
        assert create(leader, "one", 3) == OK
        until(lambda: [one.taskStatus for one in events(leader, 0)[0]].count(aurora.ScheduleStatus.RUNNING) == 7)
        query = update_query(updateStatuses=[aurora.JobUpdateStatus.ROLLED_FORWARD])
        until(lambda: bool(updates(leader, query)))

        until(lambda: events(standby, 0) == events(leader, 0))
        told, last = events(leader, 0)
        for at in {one.cursor for one in told} | {0, last}:
            assert events(standby, at)[0] == events(leader, at)[0]
        epoch = leader.epoch
        leader.scheduler.kill()
        second = fleet.leader(after=epoch)
        assert second is standby and events(second, 0)[0][: len(told)] == told
