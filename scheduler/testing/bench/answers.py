"""`scripts/bench answers`: what a large getTasksStatus costs, and for how long the loop stands still meanwhile.

This process is the server: controller, changelog and both carriers. Each answer is taken by a process of its own, over
the raw port (TBinary) and over HTTP (TJSON). Loop time is the CPU time of this process from the request to the last
byte, all of it: reading, joining and sending. The first answer encodes every record; the later ones only join.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from scheduler.changelog.gc_policy import THRESHOLDS, quiet_moment
from scheduler.core import ops
from scheduler.core.records import (
    ExecutorConfig,
    JobKey,
    Metadata,
    Resource,
    ResourceKind,
    Task,
    TaskConfig,
    TaskEvent,
    TaskStatus,
    content_hash,
)
from scheduler.core.transaction import Transaction
from scheduler.interface import aurora, thesan
from scheduler.rpc.binary import STRICT
from scheduler.rpc.messages import CALL, Codec
from scheduler.rpc.tjson import JSON
from scheduler.testing.bench.house import House, Ticker
from scheduler.testing.bench.ports import Ports
from scheduler.testing.bench.verdict import Report

TASKS_PER_JOB: Final = 100
SAVED_AT_ONCE: Final = 500
AIM_LOOP_MS: Final = {10_000: 20.0, 100_000: 200.0}
AIM_SLICE_MS: Final = 20.0
AIM_FIRST_SLICE_MS: Final = 50.0


def config_of(number: int) -> TaskConfig:
    """As large as a real one: four resources, three metadata, 420 bytes for the executor."""
    amounts = ((ResourceKind.CPUS, 0.5), (ResourceKind.RAM_MB, 128), (ResourceKind.DISK_MB, 128))
    return TaskConfig(
        job=JobKey("www-data", "prod", f"hello-{number}"),
        is_service=True,
        max_task_failures=1,
        tier="preferred",
        owner_user="www-data",
        executor=ExecutorConfig("AuroraExecutor", '{"task": "' + "x" * 408 + '"}'),
        resources=(*(Resource(kind, value) for kind, value in amounts), Resource(ResourceKind.PORT, "http")),
        metadata=tuple(Metadata(key, f"value of {key}") for key in ("build", "commit", "owner")),
    )


def task_of(number: int, config: TaskConfig) -> Task:
    """A running task with the four events that brought it there."""
    states = (TaskStatus.PENDING, TaskStatus.ASSIGNED, TaskStatus.STARTING, TaskStatus.RUNNING)
    begun_ms = 1_732_200_000_000 + number
    return Task(
        f"{begun_ms}-www-data-prod-hello-{number}-5f2b1c1e-7d0a-4b5c-9c0e-000000000001",
        number % TASKS_PER_JOB,
        config,
        TaskStatus.RUNNING,
        tuple(TaskEvent(begun_ms + i, status, None, "scheduler-1.example.com") for i, status in enumerate(states)),
        host=f"host-{number % 1000}.example.com",
        agent_id=f"agent-{number % 1000}",
        ports=(("http", 31_000 + number % 1000),),
    )


async def fill(house: House, first: int, count: int) -> None:
    """Save tasks as a decision does, in entries of the usual size."""

    def save(tx: Transaction, numbers: range) -> None:
        for number in numbers:
            if number % TASKS_PER_JOB == 0:
                config = config_of(number // TASKS_PER_JOB)
                tx.apply(ops.SaveConfig(content_hash(config), config))
            config = tx.intern(config_of(number // TASKS_PER_JOB))
            tx.apply(ops.SaveTask(task_of(number, config)))

    for start in range(first, first + count, SAVED_AT_ONCE):
        house.controller.write(save, range(start, min(start + SAVED_AT_ONCE, first + count)))
        await house.turn()


@frozen
class Taken:
    """One answer. Times are milliseconds."""

    size: int
    loop_ms: float
    took_ms: float
    late_ms: float
    slice_ms: float


@contextmanager
def longest_callback() -> Iterator[list[float]]:
    """The CPU time of the event loop's longest callback meanwhile, in milliseconds, as the last item of a list."""
    longest = [0.0]
    plain = asyncio.Handle._run

    def timed(handle: Any) -> None:
        begun = time.thread_time()
        plain(handle)
        longest[0] = max(longest[0], (time.thread_time() - begun) * 1000)

    handles: Any = asyncio.Handle
    handles._run = timed
    try:
        yield longest
    finally:
        handles._run = plain


async def take(port: int, request: bytes) -> Taken:
    """Have an answer taken, and look at this process meanwhile."""
    taker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scheduler.testing.bench.taker",
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    await asyncio.sleep(0.3)  # it starts and waits for its request
    ticker = Ticker()
    with longest_callback() as longest:
        cpu = time.thread_time()
        told, _ = await taker.communicate(request)
        cpu = time.thread_time() - cpu
    size, seconds = told.split()
    return Taken(int(size), cpu * 1000, float(seconds) * 1000, ticker.stop()[-1], longest[0])


def requests(ports: Ports) -> Iterator[tuple[str, int, bytes]]:
    """Name, port and bytes of the same call on either carrier."""
    args = thesan.Scheduler.getTasksStatus_args(query=aurora.TaskQuery())

    def call(codec: Codec) -> bytes:
        return codec.write("getTasksStatus", CALL, 1, args)

    framed = call(STRICT)
    yield "TBinary, raw", ports.thrift_port, len(framed).to_bytes(4, "big") + framed
    body = call(JSON)
    head = f"POST /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    yield "TJSON, HTTP", ports.http_port, head.encode() + body


async def measure(report: Report, house: House, ports: Ports, count: int, rounds: int) -> None:
    aim_ms = AIM_LOOP_MS.get(count)
    for name, port, request in requests(ports):
        first = await take(port, request)
        later = [await take(port, request) for _ in range(rounds)]

        def median(field: str, rows: list[Taken] = later) -> float:
            return float(statistics.median(getattr(row, field) for row in rows))

        what = f"{count:,} tasks, {name}"
        report.figure(f"{what}: size of the answer", first.size / 1e6, "MB")
        report.figure(f"{what}: first answer, loop time", first.loop_ms, "ms")
        report.figure(f"{what}: first answer, longest slice", first.slice_ms, "ms", at_most=AIM_FIRST_SLICE_MS)
        report.figure(f"{what}: later answers, loop time", median("loop_ms"), "ms", at_most=aim_ms)
        report.figure(f"{what}: later answers, longest slice", median("slice_ms"), "ms", at_most=AIM_SLICE_MS)
        report.figure(f"{what}: later answers, from request to last byte", median("took_ms"), "ms")
        report.figure(f"{what}: loop stall while first answered", first.late_ms, "ms")
        report.figure(f"{what}: loop stall while answered later", max(row.late_ms for row in later), "ms")


def memory_mb() -> float:
    pages: int = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize()) / 1e6


async def run(counts: list[int], rounds: int) -> None:
    gc.set_threshold(*THRESHOLDS)
    report = Report("answers")
    report.heading()
    with tempfile.TemporaryDirectory(prefix="thesan-bench-") as folder:
        house = House(Path(folder))
        ports = await Ports.open(house)
        filled = 0
        for count in counts:
            await fill(house, filled, count - filled)
            await house.settle()
            before_mb, already = memory_mb(), filled
            filled = count
            quiet_moment()
            await measure(report, house, ports, count, rounds)
            per_task = (memory_mb() - before_mb) / (count - already) * 1e6
            report.figure(f"{count:,} tasks: memory for the pieces of both protocols, per task", per_task, "bytes")
        await ports.close()
        await house.changelog.close()
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench answers", description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[10_000, 100_000], help="ascending (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="answers after the first one (%(default)s)")
    told = parser.parse_args()
    asyncio.run(run(sorted(told.tasks), told.rounds))


if __name__ == "__main__":
    main()
