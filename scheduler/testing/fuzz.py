"""`scripts/fuzz`: broken messages by the ten thousand against a real server, on every carrier.

The messages are honest calls of every method with a few things changed; a share of them must get past the checks to the
decoder, or nothing much was tried. Afterwards the server must be the same process, hold no more memory than before,
have met no exception of its own, and have answered an innocent client in time throughout. Then come the heaviest
messages there can be: what one of them costs the server stops everybody.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from scheduler.interface import thesan
from scheduler.rpc.binary import LENIENT, STRICT
from scheduler.rpc.checks import check_call
from scheduler.rpc.messages import BadMessage, Codec
from scheduler.rpc.tjson import JSON, load
from scheduler.testing.bench.verdict import Report
from scheduler.testing.fuzz_heavy import heavy
from scheduler.testing.fuzz_messages import altered, honest, mutated

COUNT: Final = 10_000
SEED: Final = 4711
LEAST_DECODED: Final = 0.2
MOST_MEMORY_MB: Final = 50.0
MOST_P99_MS: Final = 100.0
MOST_HEAVY_MS: Final = 500.0
HEAD_SHARE: Final = 0.02
"""Of the HTTP requests, those whose head is broken instead of their body."""

_WAIT_S: Final = 10.0
_METHODS: Final = sorted(thesan.Scheduler.thrift_services)


class Held(Exception):
    """The server neither answered nor closed: the message it did that to is in the text."""


@frozen
class Outcome:
    """What became of the messages of one carrier."""

    carrier: str
    decoded: int
    answers: Counter[str] = field(factory=Counter)


class Raw:
    """One connection per message: sent, then the client's side is closed."""

    codec: Codec = STRICT

    def __init__(self, port: int, *, framed: bool) -> None:
        self.name = f"raw {'framed' if framed else 'unframed'}"
        self._port = port
        self._framed = framed

    def change(self, message: bytes, chance: random.Random) -> bytes:
        return mutated(message, chance)

    def is_decoded(self, message: bytes) -> bool:
        with suppress(BadMessage):
            return bool(check_call(message).method)
        return False

    def send(self, message: bytes, chance: random.Random) -> str:
        data = len(message).to_bytes(4, "big") + message if self._framed else message
        reply = exchange(self._port, data)
        return "closed" if not reply else "mistake" if b"log id " in reply else "answered"

    def close(self) -> None:
        """There is nothing left open."""


class Http:
    """One connection for as long as it lasts."""

    def __init__(self, port: int, codec: Codec, change: Callable[[bytes, random.Random], bytes]) -> None:
        self.name = f"HTTP {'TBinary' if codec is LENIENT else 'TJSON'}"
        self.codec = codec
        self.change = change
        self._port = port
        self._kind = codec.content_type.decode()
        self._connection: socket.socket | None = None

    def is_decoded(self, message: bytes) -> bool:
        with suppress(BadMessage):
            return bool(load(message) if self.codec is JSON else check_call(message, strict=False).method)
        return False

    def send(self, message: bytes, chance: random.Random) -> str:
        head = (
            f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Type: {self._kind}\r\nAccept: {self._kind}\r\n"
            f"Content-Length: {len(message)}\r\n\r\n"
        ).encode()
        if chance.random() < HEAD_SHARE:
            reply = exchange(self._port, mutated(head, chance) + message)
            return f"head: {reply[9:12].decode('latin-1') or 'closed'}"
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=_WAIT_S)
        self._connection.sendall(head + message)
        status, body, closes = self._read(self._connection, message)
        if closes:
            self.close()
        return "mistake" if b"log id " in body else status

    def _read(self, connection: socket.socket, message: bytes) -> tuple[str, bytes, bool]:
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return "closed", b"", True
                data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            while len(body) < int(lines[b"content-length"]):
                body += connection.recv(1 << 20)
        except TimeoutError:
            raise Held(f"{self.name}: {message!r}") from None
        return head[9:12].decode(), body, lines.get(b"connection") == b"close"

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


Carrier = Raw | Http


def exchange(port: int, data: bytes) -> bytes:
    """Send, close our side, and read until the server closes. Raises Held."""
    reply = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_WAIT_S) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 20):
                reply += piece
        except TimeoutError:
            raise Held(f"{data!r}") from None
        except (ConnectionResetError, BrokenPipeError):
            return b""
        except OSError as wrong:  # shutdown of what the server has closed already
            if wrong.errno != 107:
                raise
    return reply


def attack(carrier: Carrier, count: int, seed: int) -> Outcome:
    """Send `count` broken messages, one after another."""
    chance = random.Random(f"{seed} {carrier.name}")
    decoded = 0
    answers: Counter[str] = Counter()
    for i in range(count):
        message = carrier.change(honest(_METHODS[i % len(_METHODS)], carrier.codec, chance, i), chance)
        decoded += carrier.is_decoded(message)
        answers[carrier.send(message, chance)] += 1
    carrier.close()
    return Outcome(carrier.name, decoded, answers)


def greet(carrier: Carrier) -> None:
    """Send each method's call as it should be, so that everything is loaded before memory is looked at."""
    chance = random.Random(0)
    for method in _METHODS * 5:
        carrier.send(honest(method, carrier.codec, chance), chance)
    carrier.close()


def burden(server: Server, carrier: Carrier) -> dict[str, float]:
    """Send the heaviest messages: by what each is full of, milliseconds of CPU that it costs the server."""
    found = {}
    chance = random.Random(1)  # no head is broken by the first few of its numbers
    for name, message in heavy(carrier.codec).items():
        before = server.cpu_ms()
        carrier.send(message, chance)
        found[name] = server.cpu_ms() - before
    carrier.close()
    return found


class Server:
    """The running server."""

    def __init__(self, process: subprocess.Popen[str], ports: dict[str, int]) -> None:
        self.process = process
        self.thrift_port = ports["thrift"]
        self.http_port = ports["http"]

    def carriers(self) -> list[Carrier]:
        def json_change(message: bytes, chance: random.Random) -> bytes:
            return (altered if chance.random() < 0.5 else mutated)(message, chance)

        return [
            Http(self.http_port, LENIENT, mutated),
            Http(self.http_port, JSON, json_change),
            Raw(self.thrift_port, framed=True),
            Raw(self.thrift_port, framed=False),
        ]

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def cpu_ms(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return float(pages * resource.getpagesize() / 1e6)


@contextmanager
def serve() -> Iterator[Server]:
    command = [sys.executable, "-m", "scheduler.testing.fuzz_server"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(process, json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextmanager
def innocent(port: int) -> Iterator[Callable[[], dict[str, Any]]]:
    """A client that asks all the while. Yields what ends it and returns what it saw."""
    command = [sys.executable, "-m", "scheduler.testing.fuzz_innocent", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end() -> dict[str, Any]:
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
        found: dict[str, Any] = json.loads(told)
        return found

    try:
        yield end
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@frozen
class Result:
    """What one run found. `late_p99_ms` is how late the innocent client's own timer was; `heavy_ms` what the heaviest
    messages cost, by carrier and by what they are full of.
    """

    outcomes: list[Outcome]
    is_alive: bool
    grown_mb: float
    calls: int
    p99_ms: float
    late_p99_ms: float
    heavy_ms: dict[str, dict[str, float]]


def fuzz(count: int, seed: int) -> Result:
    """Attack every carrier of one server in turn. Raises Held."""
    with serve() as server:
        for carrier in server.carriers():
            greet(carrier)
        before = server.memory_mb()
        with innocent(server.thrift_port) as end:
            outcomes = [attack(carrier, count, seed) for carrier in server.carriers()]
            seen = end()
        alive = server.is_alive
        grown = server.memory_mb() - before if alive else 0.0
        heavy_ms = {carrier.name: burden(server, carrier) for carrier in server.carriers()} if alive else {}
        alive = server.is_alive
    return Result(outcomes, alive, grown, seen["calls"], seen["p99_ms"], seen["late_p99_ms"], heavy_ms)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument(
        "--messages", dest="count", type=int, default=COUNT, help="messages on each carrier (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="what all of it follows from (%(default)s)")
    told = parser.parse_args()
    print(f"seed {told.seed}, {told.count:,} messages on each carrier")
    report = Report("fuzz")
    report.heading()
    result = fuzz(told.count, told.seed)
    for outcome in result.outcomes:
        report.figure(f"{outcome.carrier}: got past the checks", outcome.decoded / told.count * 100, "%", at_least=20)
        report.figure(f"{outcome.carrier}: exceptions of ours", outcome.answers["mistake"], "", at_most=0)
        report.figure(f"{outcome.carrier}: outcomes unknown", outcome.answers["500"], "", at_most=0)
        for answer, times in sorted(outcome.answers.items()):
            report.figure(f"{outcome.carrier}: {answer}", times, "times")
    report.figure("the server is the same process", result.is_alive, "", at_least=1)
    report.figure("its memory has grown by", result.grown_mb, "MB", at_most=MOST_MEMORY_MB)
    report.figure("calls of an innocent client meanwhile", result.calls, "")
    report.figure("how late its own timer was, p99", result.late_p99_ms, "ms")
    allowed = MOST_P99_MS + result.late_p99_ms
    report.figure("how long its calls took, p99 (the machine's lateness allowed)", result.p99_ms, "ms", at_most=allowed)
    for carrier, found in result.heavy_ms.items():
        name = max(found, key=found.__getitem__)
        report.figure(f"{carrier}: CPU for the heaviest message: {name}", found[name], "ms", at_most=MOST_HEAVY_MS)
    report.finish()


if __name__ == "__main__":
    main()
