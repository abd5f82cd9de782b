"""A relay in front of a TCP server, for faults of the network: cut, hold, lose, in one direction or both.

>>> with Proxy(server.port) as proxy:
...     proxy.hold(Way.BACK)        # requests arrive, answers wait
...     proxy.cut()                 # ... and never come
...     proxy.heal()

It runs in a thread of its own. All methods may be called from anywhere and return when the fault is in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from types import TracebackType

__all__ = ["Proxy", "Way"]


class Way(Enum):
    """One direction of a connection."""

    THERE = "to the server"
    BACK = "to the client"


class Proxy:
    """Relays `port` of its own, on loopback, to `target_port`."""

    def __init__(self, target_port: int, target_host: str = "127.0.0.1") -> None:
        self.port = 0
        self.connections = 0
        """That were accepted so far."""
        self._target = (target_host, target_port)
        self._is_cut = False
        self._flows: dict[Way, asyncio.Event] = {}
        self._lost: set[Way] = set()
        self._trap: tuple[bytes, Way] | None = None
        self.seen = threading.Event()
        self._delay_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    # --- faults ---

    def cut(self) -> None:
        """Break all connections and take no new one. What was on its way and held is lost."""
        self._do(self._cut)

    def refuse(self) -> None:
        """Take no new connection; those there are stay."""
        self._do(lambda: setattr(self, "_is_cut", True))

    def hold(self, *ways: Way) -> None:
        """What is sent waits here, connections stay open. No way named: both."""
        self._do(lambda: self._hold(ways or tuple(Way)))

    def hold_when_seen(self, needle: bytes, way: Way) -> None:
        """As soon as a request with these bytes comes by, hold: `THERE` that request itself, `BACK` its answer.

        `seen` is set then. Only what comes by in one piece is seen: small requests are.
        """
        self.seen.clear()
        self._do(lambda: setattr(self, "_trap", (needle, way)))

    def lose(self, *ways: Way) -> None:
        """What is sent disappears, connections stay open: a cable that was pulled. No way named: both."""
        self._do(lambda: self._lost.update(ways or tuple(Way)))

    def delay(self, seconds: float) -> None:
        """Each piece of data waits that long, in either direction."""
        self._do(lambda: setattr(self, "_delay_s", seconds))

    def heal(self) -> None:
        """No fault any more. What was held flows on; what was lost stays lost, so such connections are broken."""
        self._do(self._heal)

    # --- in its own thread ---

    def _do(self, what: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait()

    def _hold(self, ways: Sequence[Way]) -> None:
        for way in ways:
            self._flows[way].clear()

    def _cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def _heal(self) -> None:
        if self._lost:
            self._cut()
        self._is_cut = False
        self._lost.clear()
        self._delay_s = 0.0
        for flow in self._flows.values():
            flow.set()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        for way in Way:
            self._flows[way] = asyncio.Event()
            self._flows[way].set()
        server = self._loop.run_until_complete(asyncio.start_server(self._relay, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._cut()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, far_writer, Way.THERE), self._pump(far_reader, writer, Way.BACK))
        for end in ends:
            end.transport.abort()
        self._writers -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if way is Way.THERE and self._trap is not None and self._trap[0] in data:
                    self._hold([self._trap[1]])
                    self._trap = None
                    self.seen.set()
                await self._flows[way].wait()
                if way in self._lost:
                    continue
                if writer.transport.is_closing():
                    break
                writer.write(data)
                await writer.drain()
        for end in self._writers & {writer}:
            end.transport.abort()
