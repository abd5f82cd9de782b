"""`scripts/bench failover`: how long a cluster of three schedulers has no leader, and how far its standbys are behind.

A real ZooKeeper, three real schedulers, the simulated engine, 1,000 coordinated updates of 10 instances in the middle
of their roll. The leader is killed (kill -9) again and again, and comes back as a standby; then stopped cleanly. All
the while a client on each of the others asks for a small write until one is acknowledged.

"Since the election" begins with the line of the new leader's log that says so: the rest is ZooKeeper noticing a death,
which takes the session timeout T and up to a tick or two.
"""

from __future__ import annotations

import argparse
import itertools
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from scheduler.interface import aurora
from scheduler.testing.asking import job, update_request
from scheduler.testing.bench.house import percentile
from scheduler.testing.bench.verdict import Report
from scheduler.testing.cluster import BROKEN
from scheduler.testing.fleet import Fleet, Member
from scheduler.testing.zookeeper import ZooKeeper

OK: Final = aurora.ResponseCode.OK
HOUR_MS: Final = 3_600_000
ASK_EVERY_S: Final = 0.005
GIVE_UP_S: Final = 60.0
AIM_ELECTED_P50_MS: Final = 500
AIM_ELECTED_MAX_MS: Final = 1_000
AIM_STOP_MS: Final = 300
_ELECTED = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) .*elected: taking over", re.MULTILINE)
_numbers = itertools.count(1)


@frozen
class Takeover:
    """Milliseconds to the first acknowledged write: since the old leader's end, and since the election."""

    leader: Member
    all_ms: float
    elected_ms: float


class Asking:
    """On each standby a thread asks for a write until one is acknowledged."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.acknowledged = threading.Event()
        self.at_s = 0.0
        self.by: Member | None = None
        self._threads = [threading.Thread(target=self._ask, args=(one,), daemon=True) for one in members]
        for thread in self._threads:
            thread.start()

    def _ask(self, member: Member) -> None:
        give_up_at = time.monotonic() + GIVE_UP_S
        while not self.acknowledged.is_set() and time.monotonic() < give_up_at:
            with suppress(*BROKEN), member.scheduler.client(timeout_s=10) as client:
                while not self.acknowledged.is_set() and time.monotonic() < give_up_at:
                    answer = client.createJob(job(f"write-{next(_numbers)}", "sleep 600"))
                    if answer.responseCode == OK:
                        self.at_s, self.by = time.time(), member
                        self.acknowledged.set()
                        return
                    time.sleep(ASK_EVERY_S)
            time.sleep(ASK_EVERY_S)

    def wait(self) -> Member:
        if not self.acknowledged.wait(GIVE_UP_S) or self.by is None:
            raise TimeoutError(f"no write was acknowledged within {GIVE_UP_S:g} s")
        for thread in self._threads:
            thread.join()
        return self.by


def elected_at_s(member: Member) -> float:
    """When its log last said that it was elected, by the wall's clock."""
    found = _ELECTED.findall(member.scheduler.log())
    return datetime.strptime(found[-1], "%Y-%m-%d %H:%M:%S,%f").timestamp()  # noqa: DTZ007 - the log's own time


def fill(leader: Member, updates: int, instances: int) -> list[Any]:
    """Jobs, and for each an update in the middle of its roll. Returns the updates' keys."""
    keys: list[Any] = []
    with leader.scheduler.client(timeout_s=60) as client:
        for number in range(updates):
            name = f"job-{number}"
            assert client.createJob(job(name, "sleep 600", instances)).responseCode == OK
        for number in range(updates):
            request = update_request(
                f"job-{number}", "sleep 601", instances, pulse_timeout_ms=HOUR_MS, watch_ms=HOUR_MS
            )
            answer = client.startJobUpdate(request, "go")
            assert answer.responseCode == OK, answer
            keys.append(answer.result.startJobUpdateResult.key)
        beat(client, keys)
    return keys


def beat(client: Any, keys: Sequence[Any]) -> None:
    for key in keys:
        client.pulseJobUpdate(key)


def take_over(fleet: Fleet, old: Member, how: str) -> Takeover:
    asking = Asking(fleet.others(old))
    began_s = time.time()
    getattr(old.scheduler, how)()
    leader = asking.wait()
    return Takeover(leader, (asking.at_s - began_s) * 1000, (asking.at_s - elected_at_s(leader)) * 1000)


def repeated(fleet: Fleet, leader: Member, how: str, count: int, keys: Sequence[Any]) -> Iterator[Takeover]:
    """The leader ends, another takes over and gets its heartbeats, the old one comes back as a standby."""
    for number in range(count):
        found = take_over(fleet, leader, how)
        steps = {k: v for k, v in found.leader.vars().items() if k.startswith("takeover_")}
        print(f"  {how} {number + 1}: {found.elected_ms:.0f} ms since the election, {found.all_ms:.0f} in all, {steps}")
        yield found
        leader.scheduler.start(wait=False)
        leader = found.leader
        with leader.scheduler.client(timeout_s=60) as client:
            beat(client, keys)
        fleet.until_all_follow(60)


def lag_under_load(fleet: Fleet, leader: Member, seconds: float) -> tuple[int, int, float]:
    """While a client writes as fast as it can: a standby's greatest lag, its greatest staleness, writes per second."""
    standby = fleet.others(leader)[0]
    ended = threading.Event()
    lags: list[int] = []
    ages: list[int] = []

    def look() -> None:
        while not ended.wait(0.02):
            figures = standby.vars()
            lags.append(figures["standby_lag_entries"])
            ages.append(figures["standby_staleness_ms"])

    looking = threading.Thread(target=look)
    looking.start()
    began, writes = time.monotonic(), 0
    with leader.scheduler.client(timeout_s=30) as client:
        while time.monotonic() < began + seconds:
            client.createJob(job(f"write-{next(_numbers)}", "sleep 600", 5))
            writes += 1
    took = time.monotonic() - began
    ended.set()
    looking.join()
    return max(lags), max(ages), writes / took


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench failover", description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="how often the leader is killed (%(default)s)")
    parser.add_argument("--stops", type=int, default=5, help="how often it is stopped cleanly (%(default)s)")
    parser.add_argument("--updates", type=int, default=1_000, help="active updates (%(default)s)")
    parser.add_argument("--instances", type=int, default=10, help="of each (%(default)s)")
    parser.add_argument("--tick-ms", type=int, default=2_000, help="of ZooKeeper; T is two of them (%(default)s)")
    arguments = parser.parse_args()
    tick_ms, session_ms = arguments.tick_ms, 2 * arguments.tick_ms
    report = Report("failover")
    report.heading()
    with (
        ZooKeeper.temporary(tick_ms=tick_ms) as server,
        Fleet(server.port, session_ms=session_ms, flags=("--log-level", "info")) as fleet,
    ):
        leader = fleet.start(3)
        keys = fill(leader, arguments.updates, arguments.instances)
        killed = list(repeated(fleet, leader, "kill", arguments.kills, keys))
        stopped = list(repeated(fleet, killed[-1].leader, "stop", arguments.stops, keys)) if arguments.stops else []
        lag, age_ms, writes = lag_under_load(fleet, (stopped or killed)[-1].leader, 5)
    report.figure("ZooKeeper's tick", tick_ms, "ms")
    report.figure("session timeout T, as granted", session_ms, "ms")
    since = sorted(one.elected_ms for one in killed)
    report.figure(
        "kill -9: election to first acknowledged write, p50", percentile(since, 0.5), "ms", at_most=AIM_ELECTED_P50_MS
    )
    report.figure("kill -9: election to first acknowledged write, max", since[-1], "ms", at_most=AIM_ELECTED_MAX_MS)
    whole = max(one.all_ms for one in killed)
    report.figure("kill -9: in all, max", whole, "ms", at_most=session_ms + 2 * tick_ms + 1_000)
    if stopped:
        ends = sorted(one.all_ms for one in stopped)
        report.figure("clean stop: to the first write of the next leader, p50", percentile(ends, 0.5), "ms")
        report.figure("clean stop: the same, max", ends[-1], "ms", at_most=AIM_STOP_MS)
    report.figure("writes per second of one client meanwhile", writes, "/s")
    report.figure("a standby's lag under that load, max", lag, "entries")
    report.figure("a standby's staleness under that load, max", age_ms, "ms")
    report.finish()


if __name__ == "__main__":
    main()
