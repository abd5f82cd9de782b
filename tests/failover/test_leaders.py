"""Several real schedulers over a real ZooKeeper: who leads, what a standby says, and what becomes of an old leader.

Nothing here pretends: processes are killed, stopped and thawed, and connections are cut in a proxy.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from kazoo.client import KazooClient

from scheduler.interface import aurora
from scheduler.testing.asking import job, tasks_of, update_query, update_request
from scheduler.testing.cluster import BROKEN
from scheduler.testing.fleet import SESSION_MS, Fleet, Member
from scheduler.testing.zookeeper import ZooKeeper, shared_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OK = aurora.ResponseCode.OK
TRANSIENT = aurora.ResponseCode.ERROR_TRANSIENT
HOUR_MS = 3_600_000
_numbers = itertools.count(1)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet(shared_server().port, path=f"/fleet-{os.getpid()}-{next(_numbers)}") as fleet:
        yield fleet


def until(holds: Callable[[], bool], within_s: float = 60) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {within_s:g} s"
        time.sleep(0.02)


def create(member: Member, name: str, instances: int = 1) -> aurora.ResponseCode:
    return member.scheduler.ask("createJob", job(name, "sleep 600", instances, token=name)).responseCode


def jobs(member: Member) -> set[str]:
    with member.scheduler.client() as client:
        return {task.assignedTask.task.job.name for task in tasks_of(client)}


def test_an_acknowledged_call_survives_the_death_of_its_leader(fleet: Fleet) -> None:
    first = fleet.start(3)
    assert create(first, "one", 3) == OK
    epoch = first.epoch

    first.scheduler.kill()
    second = fleet.leader(after=epoch)

    assert second is not first and second.epoch == epoch + 1
    assert jobs(second) == {"one"}
    assert create(second, "two") == OK
    figures = second.vars()
    assert figures["scheduler_lifecycle_LEADING"] == 1 and figures["takeover_total_ms"] < 5_000
    assert {f"takeover_{step}_ms" for step in ("claim", "read", "begin", "engine", "advertise")} <= set(figures)

    first.scheduler.start(wait=False)
    fleet.until_all_follow()
    second.scheduler.stop()
    assert "stop asked: stopping, was leading" in second.scheduler.log()
    third = fleet.leader(after=epoch + 1)
    assert jobs(third) == {"one", "two"}


def test_a_standby_says_who_leads_and_answers_nothing_from_its_state(fleet: Fleet) -> None:
    leader = fleet.start(2)
    (standby,) = fleet.others(leader)

    assert leader.http("/leaderhealth").status == 200
    assert standby.http("/leaderhealth").status == 503
    redirect = standby.http("/api?x=1", "POST")
    assert redirect.status == 307
    assert redirect.getheader("Location") == f"http://127.0.0.1:{leader.scheduler.http_port}/api?x=1"
    assert standby.http("/api", "POST", **{"Bypass-Leader-Redirect": "1"}).status != 307

    answer = standby.scheduler.ask("createJob", job("x", "sleep 600"))
    assert answer.responseCode == TRANSIENT
    stands_by = f"This scheduler stands by; 127.0.0.1:{leader.scheduler.http_port} leads."
    assert [one.message for one in answer.details] == [stands_by]
    tiers: Any = standby.http("/tiers", **{"Bypass-Leader-Redirect": "1"})
    assert (tiers.status, stands_by in tiers.body.decode()) == (503, True)
    ours, theirs = standby.state(), leader.state()
    assert (ours.epoch, ours.committedOffset, ours.lineage) == (0, theirs.committedOffset, theirs.lineage)
    answer = standby.scheduler.ask("pulseJobUpdate", aurora.JobUpdateKey(job=aurora.JobKey("www", "prod", "x"), id="u"))
    assert answer.responseCode == TRANSIENT, "FINISHED would send a monitor home"
    figures = standby.vars()
    assert figures["scheduler_lifecycle_STANDBY"] == 1 and figures["framework_registered"] == 0
    assert figures["standby_lag_entries"] == 0 and figures["standby_staleness_ms"] < 5_000


def test_an_update_waits_for_its_heartbeat_after_a_failover_and_goes_on_with_it(fleet: Fleet) -> None:
    leader = fleet.start(2)
    request = update_request("rolling", "sleep 600", 2, pulse_timeout_ms=HOUR_MS, watch_ms=4_000)
    key = leader.scheduler.ask("startJobUpdate", request, "go").result.startJobUpdateResult.key
    assert leader.scheduler.ask("pulseJobUpdate", key).responseCode == OK
    epoch = leader.epoch

    leader.scheduler.kill()
    leader = fleet.leader(after=epoch)

    assert _status(leader, key) == aurora.JobUpdateStatus.ROLL_FORWARD_AWAITING_PULSE
    leader.scheduler.ask("pulseJobUpdate", key)
    until(lambda: _status(leader, key) == aurora.JobUpdateStatus.ROLLED_FORWARD, within_s=30)


def _status(leader: Member, key: aurora.JobUpdateKey) -> int:
    found = leader.scheduler.ask("getJobUpdateSummaries", update_query(key=key)).result.getJobUpdateSummariesResult
    return int(found.updateSummaries[0].state.status)


def test_a_leader_frozen_past_its_session_neither_writes_nor_answers_when_it_wakes(fleet: Fleet) -> None:
    frozen = fleet.start(2)
    assert create(frozen, "before") == OK
    epoch = frozen.epoch
    with frozen.scheduler.client(timeout_s=15) as client:
        frozen.scheduler.signal(signal.SIGSTOP)
        other = fleet.leader(after=epoch)
        assert other is not frozen
        assert create(other, "meanwhile") == OK

        # The call stands in the old leader's socket before it wakes: the first thing it sees.
        client._send("createJob", description=job("too-late", "sleep 600"))
        frozen.scheduler.signal(signal.SIGCONT)
        with suppress(*BROKEN):  # a closed connection says neither yes nor no
            assert client._recv("createJob").responseCode == TRANSIENT

    until(lambda: frozen.epoch == 0 and frozen.http("/leaderhealth").status == 503)
    until(lambda: frozen.vars()["scheduler_lifecycle_STANDBY"] == 1)
    assert jobs(other) == {"before", "meanwhile"}


def test_a_leader_cut_off_for_less_than_its_session_goes_on_in_the_same_epoch(fleet: Fleet) -> None:
    leader = fleet.start(2)
    assert create(leader, "before") == OK
    epoch = leader.epoch

    leader.network.cut()
    # Not by a write: one that was on its way when the connection broke is held until it is known what became of it.
    until(lambda: leader.scheduler.ask("getJobs", None).responseCode == TRANSIENT, within_s=SESSION_MS / 1000)
    assert leader.vars()["scheduler_lifecycle_SUSPENDED"] == 1
    assert create(leader, "refused") == TRANSIENT
    leader.network.heal()

    until(lambda: create(leader, "after") == OK)
    assert leader.epoch == epoch, "nothing was lost, so nobody takes over"
    assert jobs(leader) == {"before", "after"}


def test_a_leader_cut_off_for_longer_is_deposed_and_stands_by_again(fleet: Fleet) -> None:
    old = fleet.start(2)
    assert create(old, "before") == OK
    epoch = old.epoch

    old.network.cut()
    new = fleet.leader(after=epoch)
    assert new is not old
    assert create(new, "meanwhile") == OK
    old.network.heal()

    until(lambda: old.epoch == 0)
    fleet.until_all_follow()
    new.scheduler.kill()
    again = fleet.leader(after=epoch + 1)
    assert again is old and jobs(again) == {"before", "meanwhile"}


def test_leadership_moves_when_the_candidate_is_removed_by_hand(fleet: Fleet) -> None:
    leader = fleet.start(2)
    assert create(leader, "one") == OK
    epoch = leader.epoch

    with zookeeper() as client:
        path = f"{fleet.path}/aurora/scheduler"
        found = [name for name in client.get_children(path) if name.startswith("candidate_")]
        client.delete(f"{path}/{min(found, key=lambda name: name[-10:])}")
    new = fleet.leader(after=epoch)

    assert new is not leader and jobs(new) == {"one"}


@contextmanager
def zookeeper() -> Iterator[KazooClient]:
    client = KazooClient(shared_server().address)
    client.start()
    try:
        yield client
    finally:
        client.stop()
        client.close()


def test_without_zookeeper_nothing_is_acknowledged_and_everything_comes_back_by_itself() -> None:
    with ZooKeeper.temporary() as server, Fleet(server.port) as fleet:
        leader = fleet.start(2)
        assert create(leader, "before", 2) == OK
        server.kill()

        until(lambda: not any(one.epoch for one in fleet.members))
        for one in fleet.members:
            assert create(one, "during") == TRANSIENT
            assert one.http("/health").status == 200

        server.start()
        again = fleet.leader(within_s=40)
        assert jobs(again) == {"before"}
        assert create(again, "after") == OK


def test_a_machine_that_lost_its_disk_or_was_away_begins_with_the_snapshot(fleet: Fleet) -> None:
    leader = fleet.start(3)
    away, emptied = fleet.others(leader)
    away.scheduler.kill()
    emptied.scheduler.kill()
    shutil.rmtree(emptied.scheduler.data_dir / "checkpoint")
    for number in range(3):
        assert create(leader, f"job-{number}") == OK
        assert leader.scheduler.ask("snapshot").responseCode == OK
    assert leader.vars()["log_cut_entries"] > 0
    epoch = leader.epoch

    away.scheduler.start(wait=False)
    emptied.scheduler.start(wait=False)
    until(lambda: "begins with the snapshot" in away.scheduler.log())
    until(lambda: "begins with the snapshot" in emptied.scheduler.log())
    assert (away.scheduler.data_dir / "checkpoint-set-aside").exists()
    fleet.until_all_follow()
    leader.scheduler.kill()
    assert jobs(fleet.leader(after=epoch)) == {"job-0", "job-1", "job-2"}


def test_a_backup_is_restored_by_one_leader_and_led_by_the_next(fleet: Fleet) -> None:
    leader = fleet.start(2)
    assert create(leader, "kept") == OK
    assert leader.scheduler.ask("performBackup").responseCode == OK
    (backup,) = leader.scheduler.ask("listBackups").result.listBackupsResult.backups
    assert create(leader, "dropped") == OK
    epoch = leader.epoch

    assert leader.scheduler.ask("stageRecovery", backup).responseCode == OK
    assert leader.scheduler.ask("commitRecovery").responseCode == OK
    assert jobs(fleet.leader(after=epoch)) == {"kept"}
    fleet.until_all_follow()
