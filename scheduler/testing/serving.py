"""A stage behind real sockets: the whole RPC edge on loopback, with the clock turned by hand.

`Serving` lives in the running event loop. `serving()` runs one in a thread, for clients that block.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from scheduler.contracts import Entry, Outcome, Ticket
from scheduler.core.answers import Answer
from scheduler.core.updates.records import UpdateKey
from scheduler.rpc.access import Access
from scheduler.rpc.apibeta import ApiBeta
from scheduler.rpc.arriving import Arriving
from scheduler.rpc.handler import Handler
from scheduler.rpc.http import Api
from scheduler.rpc.messages import MAX_MESSAGE_BYTES
from scheduler.rpc.processor import Processor
from scheduler.rpc.socket import RawServer
from scheduler.rpc.to_thrift import ServerInfo, ServerState
from scheduler.rpc.writers import Writers
from scheduler.security.audit import Audit
from scheduler.security.handshakes import Tls
from scheduler.security.limits import Limits
from scheduler.security.realm import Realm
from scheduler.stream.reader import Stream
from scheduler.stream.ring import MAX_EVENTS
from scheduler.testing.archive import MemoryArchive
from scheduler.testing.stage import Stage
from scheduler.web import server as web_server
from scheduler.web.app import application
from scheduler.web.events import EventSource
from scheduler.web.pages.process import Ending
from scheduler.web.pages.table import pages

T = TypeVar("T")


class StageCore:
    """The core's port, played by a stage. What was decided is durable at the loop's next turn, or when `held` ends."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.held = False
        self.calls: list[str] = []
        """Names of the functions that were asked for."""

    def write(self, decide: Callable[..., Answer], *args: Any) -> Ticket:
        self.calls.append(decide.__name__)
        ticket = self.stage.controller.write(decide, *args)
        self._settle_soon()
        return ticket

    def read(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        self.calls.append(view.__name__)
        return self.stage.controller.read(view, *args)

    def read_logged(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        return self.read(view, *args)

    def read_now(self, view: Callable[..., Answer], *args: Any, logged: Callable[..., Answer] | None = None) -> Ticket:
        self.calls.append(view.__name__)
        return self.stage.controller.read_now(view, *args)

    def pulse(self, key: UpdateKey) -> Ticket:
        self.calls.append("pulse")
        ticket = self.stage.controller.pulse(key)
        self._settle_soon()
        return ticket

    def canonical(self, key: UpdateKey) -> UpdateKey | None:
        return self.stage.controller.canonical(key)

    @property
    def durable_offset(self) -> int:
        return self.stage.controller.durable_offset

    def when_durable(self, offset: int, callback: Callable[[Outcome], None]) -> None:
        self.stage.controller.when_durable(offset, callback)

    def release(self) -> None:
        """End `held`: everything decided so far becomes durable."""
        self.held = False
        self.stage.settle()

    def _settle_soon(self) -> None:
        if not self.held:
            asyncio.get_running_loop().call_soon(self.stage.settle)


def followed(stage: Stage, *, max_events: int = MAX_EVENTS) -> Stream:
    """The event stream of a stage, from its first entry on; what memory no longer has is read from its log."""

    async def tail(after: int, upto: int, events: int) -> list[Entry] | None:
        return list(stage.log)[after:upto][:events]

    stream = Stream(max_events=max_events)
    stream.begin_epoch("test", 0, tail)
    for entry in list(stage.log):
        stream.committed(entry)
    before = stage.on_entry

    def on_entry(entry: Entry) -> None:
        before(entry)
        stream.committed(entry)

    stage.on_entry = on_entry
    stream.open()
    return stream


class Serving:
    """One stage, served on free ports of 127.0.0.1."""

    def __init__(
        self,
        stage: Stage | None = None,
        *,
        enable_cors_for: str | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        realm: Realm | None = None,
        tls: Tls | None = None,
        limits: Limits | None = None,
        audit: Audit | None = None,
    ) -> None:
        self.tls = tls
        self.realm = realm
        self.stage = stage or Stage()
        self.core = StageCore(self.stage)
        self.stream = followed(self.stage)
        self.event_source = EventSource(self.stream)
        self.archive = MemoryArchive(lambda: self.stage.state)
        self.handler = Handler(self.core, ServerInfo("test"), self._state, self.stream, self.archive)
        self.ended: list[str] = []
        """How the process was asked to end, instead of its end."""
        self.ending = Ending(lambda: self.ended.append("quit"), lambda: self.ended.append("abort"))
        self.access = None if realm is None else Access(realm.grants)
        self.limits = limits
        self.audit = audit
        self.processor = Processor(self.handler, access=self.access, limits=limits, audit=audit)
        self.arriving = Arriving()
        self.raw = RawServer(self.processor, max_message_bytes=max_message_bytes, arriving=self.arriving, tls=tls)
        self._max_message_bytes = max_message_bytes
        self.web: web_server.WebServer | None = None
        self.thrift_port = 0
        self.http_port = 0
        self._enable_cors_for = enable_cors_for

    def _figures(self) -> dict[str, int]:
        return {"tasks": len(self.stage.state.tasks)}

    async def start(self) -> None:
        self.thrift_port = await self.raw.start("127.0.0.1", 0)
        bounds: Any = {"max_message_bytes": self._max_message_bytes, "arriving": self.arriving}
        app = application(
            Api(self.processor, enable_cors_for=self._enable_cors_for, **bounds),
            pages(self.core, Writers(), self._figures, self.ending, cluster_name="test"),
            apibeta=ApiBeta(self.processor, **bounds),
            events=self.event_source,
            hostnames=("scheduler.test",),
            enable_cors_for=self._enable_cors_for,
            realm=self.realm,
            limits=self.limits,
            audit=self.audit,
        )
        self.web = await web_server.start(app, "127.0.0.1", 0, grace_s=1, doors=self.raw.doors, tls=self.tls)
        self.http_port = self.web.port

    async def stop(self) -> None:
        if self.tls is not None:
            self.tls.stop()
        await self.raw.stop()
        if self.web is not None:
            await self.web.stop()
        if self.realm is not None:
            self.realm.close()

    def _state(self) -> ServerState:
        controller = self.stage.controller
        return ServerState(
            version="test",
            cluster_name="test",
            started_timestamp_ms=self.stage.clock.wall_ms(),
            committed_offset=controller.durable_offset,
            epoch=controller.epoch,
            lineage="test",
            active_updates=len(self.stage.state.updates.active),
            active_tasks=sum(map(len, self.stage.state.tasks.active.values())),
        )


class InThread:
    """A `Serving` whose loop runs in another thread."""

    def __init__(self, inner: Serving, loop: asyncio.AbstractEventLoop) -> None:
        self.inner = inner
        self.stage = inner.stage
        self.core = inner.core
        self._loop = loop

    @property
    def thrift_port(self) -> int:
        return self.inner.thrift_port

    @property
    def http_port(self) -> int:
        return self.inner.http_port

    def on_loop(self, function: Callable[[], T]) -> T:
        """Call `function` in the loop's thread and return what it returns: the stage is not to be touched here."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)


@contextmanager
def serving(
    stage: Stage | None = None,
    *,
    enable_cors_for: str | None = None,
    realm: Realm | None = None,
    tls: Tls | None = None,
    limits: Limits | None = None,
    audit: Audit | None = None,
) -> Iterator[InThread]:
    """Serve a stage from a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="serving")
    thread.start()
    inner = Serving(stage, enable_cors_for=enable_cors_for, realm=realm, tls=tls, limits=limits, audit=audit)
    try:
        asyncio.run_coroutine_threadsafe(inner.start(), loop).result(10)
        yield InThread(inner, loop)
    finally:
        asyncio.run_coroutine_threadsafe(inner.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
