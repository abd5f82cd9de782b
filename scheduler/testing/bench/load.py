"""A load generator for benchmarks: so many connections, one call under way on each, for so many seconds.

    python -m scheduler.testing.bench.load PORT SECONDS < REQUESTS

Standard input is JSON: a list of requests in hexadecimal, one for each connection. Every connection sends its request,
waits for the whole reply, and sends it again. All replies must be as long as the first one. Prints JSON:
calls, seconds, and latencies in milliseconds. Not a benchmark of its own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import select
import socket
import sys
import time
from typing import Any

_CHUNK = 1 << 16
_SETTLE_S = 0.02


def connect(port: int, request: bytes, size: int) -> tuple[socket.socket, int]:
    """A connection that has made its first call, and the length of the reply; `size` 0: it is to be found out."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(request)
    come = len(connection.recv(_CHUNK))
    if not size:
        connection.settimeout(_SETTLE_S)  # HTTP may send head and body apart
        with contextlib.suppress(TimeoutError):
            come += len(connection.recv(_CHUNK))
    while come < size:
        come += len(connection.recv(_CHUNK))
    connection.setblocking(False)
    return connection, come


def run(port: int, seconds: float, requests: list[bytes]) -> dict[str, Any]:
    """Call round and round. The latencies of all calls are kept."""
    first, size = connect(port, requests[0], 0)
    sockets = [first, *(connect(port, request, size)[0] for request in requests[1:])]
    by_fd = {connection.fileno(): i for i, connection in enumerate(sockets)}
    missing = [size] * len(sockets)
    sent_at = [0.0] * len(sockets)
    latencies: list[float] = []
    poll = select.epoll()
    for connection in sockets:
        poll.register(connection, select.EPOLLIN)
    gc.disable()
    clock = time.perf_counter
    begun = clock()
    end = begun + seconds
    for i, request in enumerate(requests):
        sent_at[i] = clock()
        sockets[i].send(request)
    waiting = len(sockets)
    while waiting:
        for fd, _ in poll.poll(5):
            i = by_fd[fd]
            missing[i] -= len(sockets[i].recv(_CHUNK))
            if missing[i] > 0:
                continue
            now = clock()
            latencies.append(now - sent_at[i])
            missing[i] = size
            if now >= end:
                waiting -= 1
                continue
            sent_at[i] = now
            sockets[i].send(requests[i])
    took = clock() - begun
    latencies.sort()
    count = len(latencies)
    return {
        "calls": count,
        "seconds": took,
        "p50_ms": latencies[count // 2] * 1000,
        "p99_ms": latencies[int(count * 0.99)] * 1000,
    }


def main() -> None:
    requests = [bytes.fromhex(line) for line in json.load(sys.stdin)]
    print(json.dumps(run(int(sys.argv[1]), float(sys.argv[2]), requests)))


if __name__ == "__main__":
    main()
