"""The server that `fuzz.py` sends its messages to: controller, changelog and both ports in a process of its own.

    python -m scheduler.testing.fuzz_server

What broken calls bring about by chance is taken away again every second, so that memory tells what the messages cost
and not what they created. Prints a line of JSON with the ports; ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from pathlib import Path

from scheduler.core import jobs, pruning
from scheduler.core.policy import Policy
from scheduler.core.updates import requests
from scheduler.engines import thermos
from scheduler.testing.bench.house import House
from scheduler.testing.bench.ports import Ports

TIDY_EVERY_S = 1.0

POLICY = Policy(
    max_tasks_per_job=3,
    objection=thermos.objection,
    history_prune_threshold_ms=0,
    history_min_retention_ms=0,
    history_max_per_job=1,
    update_history_prune_threshold_ms=0,
    update_history_per_job=1,
)


async def tidy(house: House) -> None:
    """Take away all updates and jobs, again and again."""
    controller = house.controller
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        for update in list(controller.state.updates.active.values()):
            controller.attempt(requests.abort, update.key, "fuzz", None)
        for job in list(controller.state.tasks.active):
            controller.attempt(jobs.kill, job, (), "fuzz", None)
            await asyncio.sleep(0)
        for decision, left in pruning.steps(controller.state):
            controller.attempt(decision, left)


async def run() -> None:
    with tempfile.TemporaryDirectory(prefix="thesan-fuzz-") as folder:
        house = House(Path(folder), POLICY)
        await house.settle()
        ports = await Ports.open(house)
        working = [asyncio.create_task(house.run()), asyncio.create_task(tidy(house))]
        print(json.dumps({"thrift": ports.thrift_port, "http": ports.http_port}), flush=True)
        end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait({*working, end}, return_when=asyncio.FIRST_COMPLETED)
        for task in working:
            if task.done():
                task.result()  # it raised
            task.cancel()
        await ports.close()
        await house.changelog.close()


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(run())


if __name__ == "__main__":
    main()
