"""`scripts/bench updates`: how fast updates are decided and committed, and for how long the loop stands still.

Three stories: one update of 4,000 instances; 1,000 coordinated updates of 10 at once, without and with heartbeats that
come in on real sockets; many updates held under heartbeats that then stop. A transition is a task coming to a new
state, as its history shows.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scheduler.changelog.gc_policy import THRESHOLDS, quiet_moment
from scheduler.core import jobs
from scheduler.core.answers import Answer
from scheduler.core.policy import Policy
from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.core.updates import requests
from scheduler.core.updates.records import QueueStrategy, UpdateKey, UpdateStatus
from scheduler.rpc import to_thrift
from scheduler.rpc.handler import Handler
from scheduler.rpc.processor import Processor
from scheduler.rpc.socket import RawServer
from scheduler.testing.bench.house import House, Ticker, percentile
from scheduler.testing.bench.verdict import Report
from scheduler.testing.stage import service

AIM_TRANSITIONS_PER_S = 15_000
AIM_STALL_MS = 50
PULSE_TIMEOUT_MS = 600_000
HELD_TIMEOUT_MS = 60_000
HELD_TIMEOUT_EACH_MS = 2
"""For each update held, if that is more: all of them must be rolling before the first one falls silent."""
HELD_GRACE_MS = 1_000
WATCH_MS = 3_600_000


def ask(house: House, decision: object, *args: object) -> Answer:
    answer = house.controller.write(decision, *args).answer  # type: ignore[arg-type]
    if not answer.ok:
        raise RuntimeError(answer.details)
    return answer


def start_update(
    house: House, job: JobKey, count: int, group: int, pulse_timeout_ms: int | None, watch_ms: int = 0
) -> UpdateKey:
    settings = SettingsRequest(
        strategy=QueueStrategy(group),
        block_if_no_pulses_after_ms=pulse_timeout_ms,
        min_wait_in_instance_running_ms=watch_ms,
    )
    key: UpdateKey = ask(
        house, requests.start, UpdateRequest(service(job, "new"), count, settings), "bench", None
    ).result.key
    return key


def transitions(house: House) -> int:
    return sum(len(task.events) for task in house.controller.state.tasks.values())


async def finished(house: House, keys: list[UpdateKey]) -> None:
    """Until every update has rolled forward; a minute at most."""
    give_up_at = time.monotonic() + 60
    updates = house.controller.state.updates
    while updates.active:
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"{len(updates.active)} updates did not finish")
        await asyncio.sleep(0.01)
    if any(updates[key].status is not UpdateStatus.ROLLED_FORWARD for key in keys):
        raise RuntimeError("an update ended otherwise than rolled forward")


async def running(house: House, count: int) -> None:
    """Until so many tasks run; two minutes at most."""
    give_up_at = time.monotonic() + 120
    while (there := len(house.controller.state.tasks.by_status[TaskStatus.RUNNING])) < count:
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"{there} tasks of {count} run")
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)


async def roll(report: Report, name: str, folder: Path, *, job_count: int, size: int, group: int, wire: bool) -> None:
    """Create jobs, let them run, roll all of them at once, and measure the rolling."""
    house = House(folder)
    all_jobs = [JobKey("bench", "prod", f"job-{i}") for i in range(job_count)]
    for job in all_jobs:
        ask(house, jobs.create, JobConfiguration(job, service(job, "old"), size), "bench")
        await house.turn()
    await house.settle()
    quiet_moment()
    before = transitions(house)
    timeout_ms = PULSE_TIMEOUT_MS if job_count > 1 else None
    driving = asyncio.create_task(house.run())
    keys = [start_update(house, job, size, group, timeout_ms) for job in all_jobs]
    monitor = await Monitor.start(house, keys) if wire else None
    ticker, cpu, wall = Ticker(), time.process_time(), time.perf_counter()
    if timeout_ms is not None and monitor is None:
        for i, key in enumerate(keys):
            ask(house, requests.pulse, key)
            if i % 10 == 9:
                await asyncio.sleep(0)
    await finished(house, keys)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    late = ticker.stop()
    driving.cancel()
    done = transitions(house) - before
    if monitor is not None:
        report.figure(f"{name}: heartbeats answered meanwhile", await monitor.stop(), "pulses")
    report.figure(f"{name}: transitions", done / wall, "1/s", at_least=None if wire else AIM_TRANSITIONS_PER_S)
    report.figure(f"{name}: transitions by CPU time", done / cpu, "1/s", at_least=AIM_TRANSITIONS_PER_S)
    report.figure(f"{name}: CPU per transition", cpu / done * 1e6, "us")
    report.figure(f"{name}: entries committed", house.entries, "")
    report.figure(f"{name}: loop stall p99", percentile(late, 0.99), "ms", at_most=AIM_STALL_MS)
    report.figure(f"{name}: loop stall max", late[-1], "ms", at_most=AIM_STALL_MS)
    report.figure(f"{name}: loop stall max, by its own CPU time", ticker.own_ms, "ms", at_most=AIM_STALL_MS)
    report.figure(
        f"{name}: peak memory of the process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB"
    )
    await house.changelog.close()


class Monitor:
    """A process of its own that sends heartbeats for all updates over real sockets, round and round."""

    def __init__(self, server: RawServer, process: subprocess.Popen[str]) -> None:
        self._server = server
        self._process = process

    @classmethod
    async def start(cls, house: House, keys: list[UpdateKey]) -> Monitor:
        handler = Handler(house.controller, to_thrift.ServerInfo("bench"), lambda: None)  # type: ignore[arg-type,return-value]
        server = RawServer(Processor(handler))
        port = await server.start("127.0.0.1", 0)
        words = [sys.executable, "-m", "scheduler.testing.bench.pulser", str(port)]
        process = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds, before anything is measured
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write("".join(f"{key.job}/{key.id}\n" for key in keys))
        process.stdin.close()
        return cls(server, process)

    async def stop(self) -> int:
        """How many were answered."""
        self._process.terminate()
        assert self._process.stdout is not None
        told = await asyncio.to_thread(self._process.stdout.read)
        self._process.wait()
        await self._server.stop()
        return int(told or 0)


async def hold(report: Report, folder: Path, count: int) -> None:
    """Hold many updates under heartbeats, then let them stop: the cost of a pulse, and how late silence is recorded."""
    policy = Policy(pulse_record_grace_ms=HELD_GRACE_MS)
    timeout_ms = max(HELD_TIMEOUT_MS, HELD_TIMEOUT_EACH_MS * count)
    house = House(folder, policy)
    keys = []
    for i in range(count):
        keys.append(start_update(house, JobKey("bench", "prod", f"job-{i}"), 1, 1, timeout_ms, WATCH_MS))
        if i % 100 == 99:
            await house.turn()
    await house.settle()
    driving = asyncio.create_task(house.run())
    for key in keys:  # the first heartbeat starts them; the watch window keeps them from ending
        ask(house, requests.pulse, key)
        await asyncio.sleep(0)
    await running(house, count)  # what is on its way would be looked through for garbage in the middle of the silence
    quiet_moment()
    cpu = time.process_time()
    for key in keys:
        house.controller.write(requests.pulse, key)
    name = f"{count:,} held"
    report.figure(f"{name}: CPU per pulse, decided", (time.process_time() - cpu) / count * 1e6, "us")
    per_tick = count // 500
    for start in range(0, count, per_tick):  # spread over five seconds, as monitors are
        for key in keys[start : start + per_tick]:
            house.controller.write(requests.pulse, key)
        await asyncio.sleep(0.01)
    ticker = Ticker()
    due = {key: house.controller.state.pulses[key] + timeout_ms + HELD_GRACE_MS for key in keys}
    await asyncio.sleep(max(0, max(due.values()) - house.controller.clock.mono_ms()) / 1000)
    give_up_ms = house.controller.clock.mono_ms() + 60_000
    while (house.controller.deadlines.next_ms() or give_up_ms) < (now_ms := house.controller.clock.mono_ms()):
        if now_ms > give_up_ms:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    late = ticker.stop()
    driving.cancel()
    to_mono = house.controller.clock.mono_ms() - house.controller.clock.wall_ms()
    updates = house.controller.state.updates
    awaiting = [updates[key] for key in keys if updates[key].status is UpdateStatus.ROLL_FORWARD_AWAITING_PULSE]
    lateness = sorted(update.events[-1].timestamp_ms + to_mono - due[update.key] for update in awaiting)
    report.figure(f"{name}: silences recorded", len(awaiting), "", at_least=count)
    report.figure(f"{name}: recorded late, p99", percentile(lateness or [9e9], 0.99), "ms")
    report.figure(f"{name}: loop stall max while they expire", late[-1], "ms", at_most=AIM_STALL_MS)
    report.figure(f"{name}: the same, by its own CPU time", ticker.own_ms, "ms", at_most=AIM_STALL_MS)
    report.figure(f"{name}: peak memory of the process", peak_memory_mb(), "MB")
    await house.changelog.close()


def peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def run(full: bool) -> None:
    gc.set_threshold(*THRESHOLDS)
    report = Report("updates")
    report.heading()
    held = 100_000 if full else 5_000
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        await roll(report, "1 x 4,000", where / "a", job_count=1, size=4000, group=400, wire=False)
        await roll(report, "1,000 x 10", where / "b", job_count=1000, size=10, group=1, wire=False)
        await roll(
            report, "1,000 x 10, heartbeats on the wire", where / "c", job_count=1000, size=10, group=1, wire=True
        )
        await hold(report, where / "d", held)
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench updates", description=__doc__)
    parser.add_argument("--full", action="store_true", help="hold 100,000 updates instead of 5,000 (minutes)")
    asyncio.run(run(parser.parse_args().full))


if __name__ == "__main__":
    main()
