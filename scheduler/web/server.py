"""uvicorn inside the running event loop: it takes no signals, owns no loop and configures no logging."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, cast

import uvicorn

from scheduler.security.handshakes import Tls
from scheduler.web.guard import App
from scheduler.web.protocol import Connection, Doors, Limits

SWEEP_EVERY_S: Final = 1.0

_BACKLOG: Final = 1024


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


class WebServer:
    """A running HTTP server. `port` is the real one."""

    def __init__(self, server: _Server, serving: asyncio.Task[None], port: int) -> None:
        self._server = server
        self._serving = serving
        self.port = port
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_EVERY_S, self._sweep_again)

    async def stop(self) -> None:
        """Listen no more, let the requests at hand be answered for a while, and close."""
        self._server.should_exit = True
        await self._serving
        self._sweeper.cancel()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    def hang_up(self) -> None:
        """Close every connection once the request at hand is answered."""
        for connection in list(self._server.server_state.connections):
            connection.shutdown()

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def sweep(self, now: float) -> None:
        """Close connections that were silent, half said or not taken for too long by this instant of the loop."""
        for connection in list(self._server.server_state.connections):
            cast(Connection, connection).check(now)

    def _sweep_again(self) -> None:
        loop = asyncio.get_running_loop()
        self.sweep(loop.time())
        self._sweeper = loop.call_later(SWEEP_EVERY_S, self._sweep_again)


async def start(
    app: App,
    host: str,
    port: int,
    *,
    grace_s: int = 2,
    limits: Limits | None = None,
    doors: Doors | None = None,
    tls: Tls | None = None,
    responses: Counter[bytes] | None = None,
) -> WebServer:
    """Serve `app`; port 0 takes any free one. Requests at hand have `grace_s` to end on stop. Raises OSError.

    `responses` counts answers by their status, in bytes as on the wire.
    """
    listening = _listen(host, port)
    responses = Counter() if responses is None else responses
    plain = partial(Connection, limits=limits or Limits(), doors=doors, responses=responses)

    def secured(**given: Any) -> Any:
        assert tls is not None
        return tls.protocol(plain(**given), doors)

    protocol: Any = plain if tls is None else secured
    config: Any = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        loop="none",
        interface="asgi3",
        proxy_headers=False,  # whoever sends X-Forwarded-For could be anybody
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace_s,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http server")
    up = asyncio.create_task(server.up.wait())
    await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
    if not up.done():
        up.cancel()
        listening.close()
        await serving
    return WebServer(server, serving, listening.getsockname()[1])


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
