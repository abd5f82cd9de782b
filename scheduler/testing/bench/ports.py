"""Both ports in front of a house, for benchmarks and for fuzzing."""

from __future__ import annotations

from scheduler.controller.gateway import Gateway
from scheduler.rpc.handler import Handler
from scheduler.rpc.http import Api
from scheduler.rpc.processor import Processor
from scheduler.rpc.pulses import MAX_CACHED
from scheduler.rpc.socket import RawServer
from scheduler.rpc.to_thrift import ServerInfo, ServerState
from scheduler.rpc.writers import Writers
from scheduler.testing.bench.house import House
from scheduler.web import server as web
from scheduler.web.app import application
from scheduler.web.pages.table import pages


class Ports:
    """What `app.edge` opens, on free ports of loopback."""

    def __init__(self, processor: Processor, raw: RawServer, thrift_port: int, server: web.WebServer) -> None:
        self.processor = processor
        self.raw = raw
        self.thrift_port = thrift_port
        self.http_port = server.port
        self._server = server

    @classmethod
    async def open(cls, house: House, *, cache_pulses: bool = True) -> Ports:
        gateway = Gateway()
        gateway.open(house.controller)
        handler = Handler(gateway, ServerInfo("bench"), lambda: server_state(house))
        processor = Processor(handler, max_cached_pulses=MAX_CACHED if cache_pulses else 0)
        raw = RawServer(processor)
        app = application(Api(processor), pages(house.controller, Writers(), dict))
        return cls(processor, raw, await raw.start("127.0.0.1", 0), await web.start(app, "127.0.0.1", 0))

    async def close(self) -> None:
        await self.raw.stop()
        await self._server.stop()


def server_state(house: House) -> ServerState:
    controller = house.controller
    return ServerState(
        version="bench",
        cluster_name="bench",
        started_timestamp_ms=0,
        committed_offset=controller.durable_offset,
        epoch=controller.epoch,
        lineage="bench",
        active_updates=len(controller.state.updates.active),
        active_tasks=sum(map(len, controller.state.tasks.active.values())),
    )
