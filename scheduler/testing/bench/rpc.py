"""`scripts/bench rpc`: what a heartbeat costs, raw and over HTTP, beside a bare echo and thriftpy2's threaded server.

Every server is a process of its own; so is the load: on each connection one call is under way. What counts is the CPU
time of the server per call, and its ratio to that of an asyncio protocol that only echoes the same bytes. All servers
take their turns in each round, so that what else runs on the machine meets all of them; ratios are taken within a
round, and medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from scheduler.interface import aurora, thesan
from scheduler.rpc.binary import STRICT
from scheduler.rpc.messages import CALL, Codec
from scheduler.rpc.tjson import JSON
from scheduler.testing.bench.verdict import Report

AIM_OF_ECHO_PLAIN: Final = 4.0
AIM_OF_ECHO_CACHED: Final = 2.0
AIM_OF_THREADED: Final = 0.5
AIM_P99_MS: Final = 25.0
AIM_IDLE_MB: Final = 20.0
CONNECTIONS: Final = (1, 16, 64, 256)
IDLE: Final = 2000
UPDATES: Final = 256


class Served:
    """A running server and what it told about itself."""

    def __init__(self, process: subprocess.Popen[str], facts: dict[str, Any]) -> None:
        self.process = process
        self.thrift_port: int = facts["thrift"]
        self.http_port: int = facts.get("http", 0)
        self.keys: list[tuple[str, str]] = [(job, key) for job, key in facts.get("keys", ())]
        # The kernel's name for another process's CPU clock: all its threads, those that ended too.
        self._cpu_clock = (~process.pid << 3) | 2

    def cpu_s(self) -> float:
        return time.clock_gettime(self._cpu_clock)

    def memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return float(pages * resource.getpagesize() / 1e6)


@contextmanager
def serve(*words: str, cpu: int | None = None) -> Iterator[Served]:
    """`cpu`: the only processor it may use. It is told before the server has threads, which inherit it."""
    command = [sys.executable, "-m", "scheduler.testing.bench.served", *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if cpu is not None:
        os.sched_setaffinity(process.pid, {cpu})
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Served(process, json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@frozen
class Figures:
    cpu_us: float
    p99_ms: float
    per_s: float


def load(served: Served, port: int, requests: Sequence[bytes], seconds: float) -> Figures:
    """So many connections as there are requests, each calling round and round."""
    command = [sys.executable, "-m", "scheduler.testing.bench.load", str(port), str(seconds)]
    cpu = served.cpu_s()
    told = subprocess.run(
        command,
        input=json.dumps([request.hex() for request in requests]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=seconds + 60,
    ).stdout
    cpu = served.cpu_s() - cpu
    facts = json.loads(told)
    return Figures(cpu / facts["calls"] * 1e6, facts["p99_ms"], facts["calls"] / facts["seconds"])


def call(codec: Codec, key: tuple[str, str], seqid: int = 7) -> bytes:
    role, environment, name = key[0].split("/")
    job = aurora.JobKey(role=role, environment=environment, name=name)
    args = thesan.Scheduler.pulseJobUpdate_args(key=aurora.JobUpdateKey(job=job, id=key[1]))
    return codec.write("pulseJobUpdate", CALL, seqid, args)


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def posted(codec: Codec, body: bytes) -> bytes:
    kind = codec.content_type.decode()
    head = f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nAccept: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


Kind = tuple[Served, int, Callable[[tuple[str, str]], bytes]]


def kinds(stack: ExitStack, cpu: int | None = None) -> dict[str, Kind]:
    """Start every server. Name to server, port and the request for an update's key."""
    ours = stack.enter_context(serve("thesan", str(UPDATES), cpu=cpu))
    plain = stack.enter_context(serve("plain", str(UPDATES), cpu=cpu))
    echo = stack.enter_context(serve("echo", cpu=cpu))
    threaded = stack.enter_context(serve("threaded", cpu=cpu))
    return {
        "echo": (echo, echo.thrift_port, lambda key: framed(call(STRICT, key))),
        "raw, plain": (plain, plain.thrift_port, lambda key: framed(call(STRICT, key))),
        "raw, cached": (ours, ours.thrift_port, lambda key: framed(call(STRICT, key))),
        "TThreadedServer": (threaded, threaded.thrift_port, lambda key: framed(call(STRICT, key))),
        "HTTP, TBinary": (ours, ours.http_port, lambda key: posted(STRICT, call(STRICT, key))),
        "HTTP, TJSON": (ours, ours.http_port, lambda key: posted(JSON, call(JSON, key))),
    }


def measure(report: Report, running: dict[str, Kind], connections: Sequence[int], rounds: int, seconds: float) -> None:
    nobody = [(f"bench/prod/job-{i}", "0" * 32) for i in range(UPDATES)]  # of the same length as real ones
    for count in connections:
        found: dict[str, list[Figures]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, (served, port, request) in running.items():
                keys = served.keys or nobody
                requests = [request(keys[i % len(keys)]) for i in range(count)]
                found[name].append(load(served, port, requests, seconds))
        tell(report, count, found)


def tell(report: Report, count: int, found: dict[str, list[Figures]]) -> None:
    def median(values: Iterator[float]) -> float:
        return statistics.median(values)

    def ratio(name: str, to: str) -> float:
        return median(one.cpu_us / other.cpu_us for one, other in zip(found[name], found[to], strict=True))

    many = f"{count} connections" if count > 1 else "1 connection"
    for name, rows in found.items():
        p99_aim = AIM_P99_MS if count == 256 and name.startswith("raw") else None
        report.figure(f"{many}, {name}: CPU per call", median(row.cpu_us for row in rows), "us")
        report.figure(f"{many}, {name}: p99", median(row.p99_ms for row in rows), "ms", at_most=p99_aim)
        report.figure(f"{many}, {name}: calls", median(row.per_s for row in rows), "1/s")
    report.figure(
        f"{many}, raw, plain: CPU, of the echo's", ratio("raw, plain", "echo"), "x", at_most=AIM_OF_ECHO_PLAIN
    )
    report.figure(
        f"{many}, raw, cached: CPU, of the echo's", ratio("raw, cached", "echo"), "x", at_most=AIM_OF_ECHO_CACHED
    )
    for name in ("raw, plain", "raw, cached"):
        # The aim is for what is served unless told otherwise.
        aim = AIM_OF_THREADED if count == 64 and name == "raw, cached" else None
        report.figure(f"{many}, {name}: CPU, of TThreadedServer's", ratio(name, "TThreadedServer"), "x", at_most=aim)


def measure_idle(report: Report, served: Served, count: int) -> None:
    """Connections that made one call each and then say nothing."""
    request = framed(call(STRICT, served.keys[0]))
    before = served.memory_mb()
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.thrift_port), timeout=10))
            connection.sendall(request)
            connection.recv(4096)
        report.figure(f"{count:,} idle connections: memory", served.memory_mb() - before, "MB", at_most=AIM_IDLE_MB)
        cpu, wall = served.cpu_s(), time.monotonic()
        time.sleep(2)
        share = (served.cpu_s() - cpu) / (time.monotonic() - wall)
        report.figure(f"{count:,} idle connections: CPU meanwhile", share * 100, "%")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench rpc", description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each server in each round (%(default)s)")
    parser.add_argument("--idle", type=int, default=IDLE, help="idle connections (%(default)s)")
    parser.add_argument(
        "--pin", action="store_true", help="all servers on one processor and the load on the others, as on a full host"
    )
    told = parser.parse_args()
    server_cpu = None
    if told.pin:
        server_cpu, *others = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, others or {server_cpu})
    report = Report("rpc")
    report.heading()
    with ExitStack() as stack:
        running = kinds(stack, server_cpu)
        measure_idle(report, running["raw, cached"][0], told.idle)
        measure(report, running, told.connections, told.rounds, told.seconds)
    report.finish()


if __name__ == "__main__":
    main()
