"""Servers for benchmarks, each in a process of its own: this scheduler, and what it is compared with.

    python -m scheduler.testing.bench.served thesan|plain|echo|threaded [UPDATES]

`thesan` is the real controller, changelog and ports with so many updates under heartbeat; `plain` is the same without
the cache of heartbeats' arguments. `echo` is a bare asyncio protocol that sends back what comes; `threaded` is
thriftpy2's TThreadedServer with a handler that notes the heartbeat in a dictionary. Prints a line of JSON: ports, and
the updates' keys. Ends when its standard input does. Not a benchmark of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from thriftpy2.protocol import TCyBinaryProtocolFactory
from thriftpy2.server import TThreadedServer
from thriftpy2.thrift import TProcessor
from thriftpy2.transport import TFramedTransportFactory, TServerSocket

from scheduler.changelog.gc_policy import THRESHOLDS, quiet_moment
from scheduler.core.records import JobKey
from scheduler.core.updates import requests
from scheduler.interface import aurora, thesan
from scheduler.testing.bench.house import House
from scheduler.testing.bench.ports import Ports
from scheduler.testing.bench.updates import start_update

# Their types are not declared.
_Binary: Any = TCyBinaryProtocolFactory
_ServerSocket: Any = TServerSocket
_Threaded: Any = TThreadedServer

HOUR_MS = 3_600_000


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def told_to_end() -> None:
    await asyncio.to_thread(sys.stdin.read)


async def thesan_server(count: int, *, cached: bool) -> None:
    gc.set_threshold(*THRESHOLDS)
    with tempfile.TemporaryDirectory(prefix="thesan-bench-") as folder:
        house = House(Path(folder))
        keys = []
        for i in range(count):
            keys.append(start_update(house, JobKey("bench", "prod", f"job-{i}"), 1, 1, HOUR_MS, HOUR_MS))
            house.controller.write(requests.pulse, keys[-1])
            if i % 100 == 99:
                await house.turn()
        await house.settle()
        quiet_moment()
        driving = asyncio.create_task(house.run())
        ports = await Ports.open(house, cache_pulses=cached)
        tell(thrift=ports.thrift_port, http=ports.http_port, keys=[[str(key.job), key.id] for key in keys])
        await told_to_end()
        await ports.close()
        driving.cancel()
        await house.changelog.close()


class Echo(asyncio.Protocol):
    """The least an asyncio server can do."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def echo_server() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    tell(thrift=server.sockets[0].getsockname()[1])
    await told_to_end()
    server.close()


class Noting:
    """The least a handler of heartbeats can do."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str, str, str], int] = {}

    def pulseJobUpdate(self, key: Any) -> Any:
        self._heard[key.job.role, key.job.environment, key.job.name, key.id] = 1
        return aurora.Response(
            responseCode=aurora.ResponseCode.OK,
            serverInfo=aurora.ServerInfo(clusterName="bench", statsUrlPrefix=""),
            result=aurora.Result(
                pulseJobUpdateResult=aurora.PulseJobUpdateResult(status=aurora.JobUpdatePulseStatus.OK)
            ),
            details=[],
        )


def threaded_server() -> None:
    accepts: Any = _ServerSocket("127.0.0.1", 0, client_timeout=None, backlog=1024)
    processor = TProcessor(thesan.Scheduler, Noting())
    server: Any = _Threaded(processor, accepts, TFramedTransportFactory(), _Binary(), daemon=True)
    accepts.listen()
    accepts.listen = lambda: None  # it listens already: its port must be known
    tell(thrift=accepts.sock.getsockname()[1])
    threading.Thread(target=server.serve, daemon=True).start()
    sys.stdin.read()


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if kind == "echo":
        asyncio.run(echo_server())
    elif kind == "threaded":
        threaded_server()
    else:
        asyncio.run(thesan_server(count, cached=kind == "thesan"))


if __name__ == "__main__":
    main()
