"""uvicorn inside the running event loop: it takes no signals, owns no loop and configures no logging."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from scheduler.web.guard import App

KEEP_ALIVE_S: Final = 150
"""How long an idle connection is kept: longer than a monitor's usual interval, or its next call would meet a close."""

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

    async def stop(self) -> None:
        """Listen no more, let the requests at hand be answered for a while, and close."""
        self._server.should_exit = True
        await self._serving


async def start(app: App, host: str, port: int, *, grace_s: int = 2) -> WebServer:
    """Serve `app`; port 0 takes any free one. Requests at hand have `grace_s` to end on stop. Raises OSError."""
    listening = _listen(host, port)
    config: Any = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
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
