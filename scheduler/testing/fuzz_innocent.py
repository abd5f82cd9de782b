"""An innocent client beside `fuzz.py`: it asks the same thing every few milliseconds, until it is ended.

    python -m scheduler.testing.fuzz_innocent PORT

Prints JSON: how many calls, their p99 in milliseconds, and how late its own timer was at p99, which tells how busy the
machine is.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from types import FrameType

from thriftpy2.rpc import make_client
from thriftpy2.transport import TFramedTransportFactory

from scheduler.interface import thesan

EVERY_S = 0.005


class Ended(Exception):
    pass


def end(number: int, frame: FrameType | None) -> None:
    raise Ended


def percentile_ms(seconds: list[float], share: float = 0.99) -> float:
    seconds.sort()
    return seconds[int(len(seconds) * share)] * 1000 if seconds else 0.0


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    took: list[float] = []
    late: list[float] = []
    client = make_client(
        thesan.Scheduler,
        "127.0.0.1",
        int(sys.argv[1]),
        trans_factory=TFramedTransportFactory(),
        timeout=30_000,
    )
    try:
        while True:
            slept = time.perf_counter()
            time.sleep(EVERY_S)
            begun = time.perf_counter()
            client.getTierConfigs()
            took.append(time.perf_counter() - begun)
            late.append(begun - slept - EVERY_S)
    except Ended:
        print(json.dumps({"calls": len(took), "p99_ms": percentile_ms(took), "late_p99_ms": percentile_ms(late)}))


if __name__ == "__main__":
    main()
