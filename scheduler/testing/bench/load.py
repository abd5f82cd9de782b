"""A load generator for benchmarks: so many connections, one call under way on each, for so many seconds.

    python -m scheduler.testing.bench.load PORT SECONDS < REQUESTS

Standard input is JSON: a list of requests in hexadecimal, one for each connection. Every connection sends its request,
waits for the whole reply, and sends it again. The length of a reply is that of the connection's first one. Prints JSON:
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


def connect(port: int, request: bytes) -> tuple[socket.socket, int]:
    """A connection that has made its first call, and the length of the reply."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(request)
    size = len(connection.recv(_CHUNK))
    connection.settimeout(_SETTLE_S)  # HTTP may send head and body apart
    with contextlib.suppress(TimeoutError):
        size += len(connection.recv(_CHUNK))
    connection.setblocking(False)
    return connection, size


def run(port: int, seconds: float, requests: list[bytes]) -> dict[str, Any]:
    """Call round and round. The latencies of all calls are kept."""
    pairs = [connect(port, request) for request in requests]
    by_fd = {connection.fileno(): i for i, (connection, _) in enumerate(pairs)}
    sockets = [connection for connection, _ in pairs]
    sizes = [size for _, size in pairs]
    missing = sizes.copy()
    sent_at = [0.0] * len(pairs)
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
    waiting = len(pairs)
    while waiting:
        for fd, _ in poll.poll(5):
            i = by_fd[fd]
            missing[i] -= len(sockets[i].recv(_CHUNK))
            if missing[i] > 0:
                continue
            now = clock()
            latencies.append(now - sent_at[i])
            missing[i] = sizes[i]
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
