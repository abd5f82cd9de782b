"""A monitor for benchmarks: sends heartbeats for the updates named on its standard input, until it is ended.

One connection, one call at a time, raw Thrift. Prints how many were answered. Not a benchmark of its own.
"""

from __future__ import annotations

import signal
import sys
from itertools import cycle

from thriftpy2.rpc import make_client

from scheduler.interface import aurora, thesan


class Ended(Exception):
    pass


def end(number: int, frame: object) -> None:
    raise Ended


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    answered = 0
    try:
        client = make_client(thesan.Scheduler, "127.0.0.1", int(sys.argv[1]), timeout=60_000)
        keys = []
        for line in sys.stdin:
            role, environment, name, update = line.strip().split("/")
            keys.append(aurora.JobUpdateKey(job=aurora.JobKey(role, environment, name), id=update))
        for key in cycle(keys):
            client.pulseJobUpdate(key)
            answered += 1
    except Ended:
        print(answered)


if __name__ == "__main__":
    main()
