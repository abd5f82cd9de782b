"""Raw Thrift on a TCP socket, in TLS or not: strict TBinary, framed or not. `connection.py` is one connection."""

from __future__ import annotations

import asyncio
import logging

from scheduler.rpc.arriving import Arriving
from scheduler.rpc.connection import Connection
from scheduler.rpc.doors import Doors
from scheduler.rpc.messages import MAX_MESSAGE_BYTES
from scheduler.rpc.processor import Processor
from scheduler.security.handshakes import Tls

log = logging.getLogger(__name__)


class RawServer:
    """Listens for raw Thrift. All times are seconds of the event loop's clock."""

    def __init__(
        self,
        processor: Processor,
        *,
        idle_timeout_s: float = 900,
        message_timeout_s: float = 30,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        doors: Doors | None = None,
        arriving: Arriving | None = None,
        tls: Tls | None = None,
    ) -> None:
        if not 0 < max_message_bytes <= MAX_MESSAGE_BYTES:
            raise ValueError(f"max_message_bytes is {max_message_bytes}; 1 to {MAX_MESSAGE_BYTES} are allowed")
        self.processor = processor
        self.max_message_bytes = max_message_bytes
        self.doors = doors or Doors()
        self.arriving = arriving or Arriving()
        self._tls = tls
        self.connections: set[Connection] = set()
        self._idle_timeout_s = idle_timeout_s
        self._message_timeout_s = message_timeout_s
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._all_gone: asyncio.Future[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which is chosen by the system for port 0. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, host, port)
        self._sweep_later(loop)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    def _connection(self) -> asyncio.Protocol:
        connection = Connection(self)
        return connection if self._tls is None else self._tls.protocol(connection, self.doors)

    async def stop(self, grace_s: float = 1.0) -> None:
        """Listen and read no more. Replies that are due may leave for `grace_s`, then every connection is cut."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.finish()
        if self.connections:
            self._all_gone = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._all_gone}, timeout=grace_s)
        for connection in list(self.connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()

    def hang_up(self) -> None:
        """Close every connection once what it is owed has left."""
        for connection in list(self.connections):
            connection.finish()

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)

    def sweep(self, now: float) -> None:
        """Close connections that have been silent for too long, or have not finished a message they began."""
        for connection in list(self.connections):
            since = connection.silent_since(self._idle_timeout_s, self._message_timeout_s)
            if since is not None and since <= now:
                log.info("raw connection from %s closed: nothing came for too long", connection.caller.address)
                connection.close()

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        every = max(0.05, min(self._idle_timeout_s, self._message_timeout_s) / 4)

        def sweep() -> None:
            self.sweep(loop.time())
            self._sweep_later(loop)

        self._sweeper = loop.call_later(every, sweep)
