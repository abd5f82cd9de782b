"""A client for benchmarks: asks once, reads the whole answer as fast as it comes, and throws it away.

    python -m scheduler.testing.bench.taker PORT < REQUEST

Prints the bytes of the answer and the seconds it took. Not a benchmark of its own.
"""

from __future__ import annotations

import socket
import sys
import time

_CHUNK = 1 << 20


def main() -> None:
    request = sys.stdin.buffer.read()
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=120) as connection:
        begun = time.perf_counter()
        connection.sendall(request)
        if request[0] == 0:  # a frame; over HTTP it is the request's own words that end the connection
            connection.shutdown(socket.SHUT_WR)
        taken = 0
        buffer = bytearray(_CHUNK)
        while count := connection.recv_into(buffer):
            taken += count
        print(taken, time.perf_counter() - begun)


if __name__ == "__main__":
    main()
