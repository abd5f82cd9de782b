"""`scripts/bench placement`: how fast tasks find hosts, give up, or make others give way, and what large jobs cost.

Hosts and tasks are those of Aurora's own benchmarks (8 cores, 16 GB, 256 GB; 6 cores, 8 GB, 128 GB: one task a host),
at a twentieth of their largest size. The first parts drive the production controller on a clock turned by hand, without
a disk; the last ones are the whole server. `longest turn` is what the event loop would stand still for. Seconds are
those of the processor, so that what else the machine does counts little; `loop stall` is by the clock on the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import evolve

from scheduler.changelog.gc_policy import THRESHOLDS, quiet_moment
from scheduler.controller.controller import Controller
from scheduler.core import jobs, takeover, views
from scheduler.core.policy import MINUTE_MS, Policy
from scheduler.core.queries import TaskQuery
from scheduler.core.records import (
    Constraint,
    ExecutorConfig,
    Host,
    JobConfiguration,
    JobKey,
    LimitConstraint,
    Resource,
    ResourceKind,
    TaskConfig,
    TaskStatus,
    ValueConstraint,
)
from scheduler.core.state import State
from scheduler.core.tasks import actions
from scheduler.core.transaction import Transaction, World
from scheduler.interface import aurora, thesan
from scheduler.rpc.binary import STRICT
from scheduler.rpc.messages import CALL
from scheduler.testing.bench import answers
from scheduler.testing.bench.house import House, Ticker
from scheduler.testing.bench.ports import Ports
from scheduler.testing.bench.verdict import Report
from scheduler.testing.clock import VirtualClock
from scheduler.testing.stage import service

AIM_PLACEMENTS_PER_S: Final = 1_000
AIM_TURN_MS: Final = 50
AIM_STALL_MS: Final = {500: 50.0, 4_000: 150.0}
AIM_SLICE_MS: Final = 50.0
AIM_FETCH_US: Final = 100.0
GB: Final = 1024
PORTS: Final = tuple(range(31_000, 32_023))
OWN, OTHERS = JobKey("bench", "prod", "own"), JobKey("victims", "prod", "victim")


def hosts(count: int) -> list[Host]:
    """Two to a rack."""
    return [
        Host(
            f"host-{i}", f"agent-{i}", 8.0, 16 * GB, 256 * GB, ports=PORTS,
            attributes=(("host", (f"host-{i}",)), ("rack", (f"rack-{i // 2}",))),
        )
        for i in range(count)
    ]  # fmt: skip


def task_config(
    job: JobKey, data: str = "x", cpus: float = 6.0, *rules: Constraint, tier: str = "preemptible"
) -> TaskConfig:
    """8 GB of memory and 128 GB of disk; `data` tells configurations apart."""
    amounts = (ResourceKind.CPUS, cpus), (ResourceKind.RAM_MB, 8 * GB), (ResourceKind.DISK_MB, 128 * GB)
    resources = tuple(Resource(*each) for each in amounts)
    return TaskConfig(
        job, is_service=True, tier=tier, executor=ExecutorConfig("x", data), resources=resources, constraints=rules
    )


class Cluster:
    """A controller whose entries are durable at once, on a clock turned by hand."""

    def __init__(self, count: int) -> None:
        ids = itertools.count(1)
        self.clock = VirtualClock(1_700_000_000_000)
        world = World(Policy(), "bench", lambda: f"{next(ids):032x}", random.Random(0).random)
        self.controller = Controller(State(), world, self.clock, epoch=1, offset=0)
        self.turns_ms: list[float] = []
        self.controller.write(takeover.begin_epoch, 1)
        self.controller.write(takeover.offer_hosts, hosts(count))
        self.settle()
        self.turns_ms.clear()

    @property
    def state(self) -> State:
        return self.controller.state

    def settle(self) -> None:
        """Turn by turn, as the event loop does, until nothing is left to do."""
        more = True
        while more:
            begun = time.thread_time()
            more = self.controller.tick()
            entry = self.controller.next_entry(bytes(16))
            if entry is not None:
                self.controller.committed(entry.offset)
            self.controller.take_effects()
            self.turns_ms.append((time.thread_time() - begun) * 1000)
            more = more or entry is not None
        if self.controller.failures:
            raise self.controller.failures[0][1]

    def create(self, config: TaskConfig, count: int) -> None:
        def decide(tx: Transaction) -> None:
            active = tx.state.tasks.active.get(config.job, {})
            free = (i for i in itertools.count(len(active)) if i not in active)
            for number in list(itertools.islice(free, count)):
                actions.create(tx, config, number)

        self.controller.write(decide)

    def fill(self, share: float) -> None:
        """So much of the hosts, half with tasks of our own job, half with those of another role."""
        for job in (OWN, OTHERS):
            self.create(task_config(job), int(len(self.state.hosts) * share / 2))
        self.settle()
        assert not self.state.tasks.pending, "there was to be room for all"
        self.turns_ms.clear()

    def drop_pending(self) -> None:
        def decide(tx: Transaction) -> None:
            for task in list(tx.state.tasks.by_status[TaskStatus.PENDING].values()):
                actions.kill(tx, task, "")

        self.controller.write(decide)
        self.settle()


def measure_filling(report: Report, count: int) -> None:
    """Ten new tasks at a time, five of each configuration, until the cluster is full."""
    cluster = Cluster(count)
    cluster.fill(0.02)
    left = (count - len(cluster.state.tasks)) // 10
    begun = time.thread_time()
    for number in range(left):
        for half in "ab":
            cluster.create(task_config(JobKey("bench", "prod", f"job-{number % 100}"), f"{number}{half}"), 5)
        cluster.settle()
    took = time.thread_time() - begun
    assert not cluster.state.tasks.pending
    report.figure(f"fill {count:,} hosts, 5 tasks of a configuration: placements", left * 10 / took, "1/s",
                  at_least=AIM_PLACEMENTS_PER_S)  # fmt: skip
    report.figure(f"fill {count:,} hosts: longest turn", max(cluster.turns_ms), "ms", at_most=AIM_TURN_MS)


def measure_one_job(report: Report, count: int, name: str, *rules: Constraint) -> None:
    """Jobs as large as they may be."""
    cluster = Cluster(count)
    begun = time.thread_time()
    for start in range(0, count, 4_000):
        job = JobKey("bench", "prod", f"large-{start}")
        cluster.create(task_config(job, "x", 6.0, *rules), min(4_000, count - start))
        cluster.settle()
    took = time.thread_time() - begun
    placed = sum(usage.tasks.__len__() for usage in cluster.state.tasks.by_host.values())
    what = f"fill {count:,} hosts with jobs of 4,000{name}"
    report.figure(f"{what}: placements", placed / took, "1/s", at_least=AIM_PLACEMENTS_PER_S)


def measure_attempts(report: Report, name: str, count: int, share: float, config: TaskConfig, rounds: int) -> None:
    """One task that fits nowhere, its reason included, and away with it again."""
    cluster = Cluster(count)
    cluster.fill(share)
    took = 0.0
    for number in range(rounds):
        cluster.create(evolve(config, executor=ExecutorConfig("x", str(number))), 1)
        begun = time.thread_time()
        cluster.settle()
        took += time.thread_time() - begun
        (reason,) = cluster.state.pending_reasons.values()
        cluster.drop_pending()
    report.figure(f"{name} ({reason}): attempts", rounds / took, "1/s")
    report.figure(f"{name}: longest turn", max(cluster.turns_ms), "ms", at_most=AIM_TURN_MS)


def measure_preemption(report: Report, count: int, pending: int) -> None:
    """A cluster full of tasks that may be ended; so many wait that may end them, each of a configuration of its own."""
    cluster = Cluster(count)
    cluster.fill(1.0)
    for number in range(pending):
        job = JobKey("bench", "prod", f"pending-{number}")
        cluster.create(task_config(job, "x", 6.0, tier="preferred"), 1)
    cluster.settle()
    cluster.turns_ms.clear()
    cluster.clock.advance(3 * MINUTE_MS)
    begun = time.thread_time()
    cluster.settle()
    took = time.thread_time() - begun
    victims = len(cluster.state.tasks.by_status[TaskStatus.PREEMPTING])
    assert victims == pending, (victims, pending)
    what = f"preemption on {count:,} full hosts, {pending:,} pending"
    aim = pending / took if pending >= 1000 else None
    report.figure(f"{what}: one search", took * 1000, "ms")
    if aim is not None:
        report.figure(f"{what}: found", aim, "1/s", at_least=AIM_PLACEMENTS_PER_S)
    report.figure(f"{what}: longest turn", max(cluster.turns_ms), "ms", at_most=AIM_TURN_MS)


async def came_to(house: House, wanted: TaskStatus, count: int) -> None:
    """Until so many tasks are in that state; a minute at most."""
    give_up_at = time.monotonic() + 60
    while len(house.controller.state.tasks.by_status[wanted]) < count:
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"not all of {count} tasks came to {wanted.name}")
        await asyncio.sleep(0.005)


async def measure_large_jobs(report: Report, folder: Path, sizes: Iterable[int]) -> None:
    for size in sizes:
        house = House(folder / str(size), evolve(Policy(), max_tasks_per_job=max(4_000, size)))
        await house.settle()
        quiet_moment()
        driving = asyncio.create_task(house.run())
        key = JobKey("bench", "prod", "large")
        job = JobConfiguration(key, service(key, "x"), size)
        for name, decision, args, wanted in (
            ("insert", jobs.create, (job, "bench"), TaskStatus.RUNNING),
            ("kill", jobs.kill, (key, (), "bench", None), TaskStatus.KILLED),
        ):
            ticker, begun, wall = Ticker(), time.thread_time(), time.perf_counter()
            with answers.longest_callback() as longest:
                if not house.controller.write(decision, *args).answer.ok:
                    raise RuntimeError(name)
                decided_ms = (time.thread_time() - begun) * 1000
                wall = (time.perf_counter() - wall) * 1000
                await came_to(house, wanted, size)
            what = f"{name} {size:,} tasks in one call"
            report.figure(f"{what}: the decision", decided_ms, "ms", at_most=AIM_STALL_MS.get(size))
            report.figure(f"{what}: longest slice after it", longest[0], "ms", at_most=AIM_STALL_MS.get(size))
            report.figure(f"{what}: loop stall max", max(wall, ticker.stop()[-1]), "ms")
        driving.cancel()
        await house.changelog.close()


async def measure_reads(report: Report, folder: Path, fetched: int, count: int) -> None:
    house = House(folder / "reads")
    ports = await Ports.open(house)
    await answers.fill(house, 0, fetched)
    await house.settle()
    quiet_moment()
    measure_fetch(report, house.controller.state, fetched)
    await answers.fill(house, fetched, count - fetched)
    await house.settle()
    quiet_moment()
    for method, args in (
        ("getRoleSummary", thesan.Scheduler.getRoleSummary_args()),
        ("getTasksStatus", thesan.Scheduler.getTasksStatus_args(query=aurora.TaskQuery())),
    ):
        call = STRICT.write(method, CALL, 1, args)
        for which in ("first", "second"):
            taken = await answers.take(ports.thrift_port, len(call).to_bytes(4, "big") + call)
            what = f"{method} at {count:,} tasks, {which} answer"
            report.figure(f"{what}: longest slice", taken.slice_ms, "ms", at_most=AIM_SLICE_MS)
            report.figure(f"{what}: {taken.size / 1e6:,.1f} MB in", taken.took_ms, "ms")
    await ports.close()
    await house.changelog.close()


def measure_fetch(report: Report, state: State, count: int, rounds: int = 2_000) -> None:
    """One instance by its job's key."""
    numbers = random.Random(0).choices(range(count), k=rounds)
    jobs_of = [answers.config_of(number // answers.TASKS_PER_JOB).job for number in numbers]
    queries = [
        TaskQuery(
            role=job.role,
            environment=job.environment,
            job_name=job.name,
            instance_ids=frozenset({number % answers.TASKS_PER_JOB}),
        )
        for job, number in zip(jobs_of, numbers, strict=True)
    ]
    begun = time.thread_time()
    found = sum(len(views.find_tasks(state, query)) for query in queries)
    took = time.thread_time() - begun
    assert found == rounds
    report.figure(f"fetch one instance of {count:,} tasks", took / rounds * 1e6, "us", at_most=AIM_FETCH_US)


def run(told: argparse.Namespace) -> None:
    gc.set_threshold(*THRESHOLDS)
    report = Report("placement")
    report.heading()
    count = told.hosts
    small = max(10, count // 10)
    measure_filling(report, count)
    measure_one_job(report, count, "")
    measure_one_job(report, count, ", one a host", Constraint("host", LimitConstraint(1)))
    elsewhere = Constraint("host", ValueConstraint(False, ("nowhere",)))
    none = Constraint("host", LimitConstraint(0))
    rounds = told.rounds
    measure_attempts(report, f"{small:,} hosts, half full", small, 0.5, task_config(OWN, "", 32.0), rounds)
    measure_attempts(report, f"{small:,} hosts, value", small, 0.0, task_config(OWN, "", 6.0, elsewhere), rounds)
    measure_attempts(report, f"{small:,} hosts, limit", small, 0.0, task_config(OWN, "", 6.0, none), rounds)
    measure_attempts(report, f"{count:,} hosts, full", count, 1.0, task_config(OWN, "", 6.0, none), rounds)
    for pending in (1, 10, 100, 1_000):
        if pending <= count:
            measure_preemption(report, count, pending)
    with tempfile.TemporaryDirectory(prefix="thesan-bench-") as name:
        asyncio.run(measure_large_jobs(report, Path(name), (500, 4_000)))
        asyncio.run(measure_reads(report, Path(name), min(100_000, told.tasks), told.tasks))
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench placement", description=__doc__)
    parser.add_argument("--hosts", type=int, default=10_000, help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=50, help="attempts that find nothing (%(default)s)")
    parser.add_argument("--tasks", type=int, default=500_000, help="for what is read (%(default)s)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
