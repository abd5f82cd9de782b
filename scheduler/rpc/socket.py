"""Raw Thrift on a TCP socket: strict TBinary, framed or not, told apart by a connection's first byte.

A connection's replies leave in the order of its requests, each when its state is durable. A client that does not read
its replies is not read from either.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import aclosing
from typing import Final

from scheduler.contracts import Outcome
from scheduler.rpc.binary import STRICT
from scheduler.rpc.checks import Walk
from scheduler.rpc.large import Large, TooSlow
from scheduler.rpc.messages import MAX_MESSAGE_BYTES, BadMessage, Call
from scheduler.rpc.processor import Caller, Pending, Processor
from scheduler.rpc.replies import Payload

log = logging.getLogger(__name__)

FRAMED: Final = 0x00
UNFRAMED: Final = 0x80

MAX_WAITING: Final = 1_000
"""Replies of one connection that wait for durability, before its next request is looked at."""

MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
"""The same in bytes."""

MESSAGES_PER_TURN: Final = 64
"""Requests of one connection answered before others have their turn."""


class RawServer:
    """Listens for raw Thrift. All times are seconds of the event loop's clock."""

    def __init__(self, processor: Processor, *, idle_timeout_s: float = 900, message_timeout_s: float = 30) -> None:
        self.processor = processor
        self.connections: set[Connection] = set()
        self._idle_timeout_s = idle_timeout_s
        self._message_timeout_s = message_timeout_s
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._all_gone: asyncio.Future[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which is chosen by the system for port 0. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port)
        self._sweep_later(loop)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

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


class _Slot:
    """A reply's place in the order of its connection. `payload` is None until it may leave."""

    __slots__ = ("connection", "payload", "pending", "waiting_bytes")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self.connection = connection
        self.pending = pending
        self.payload: Payload | None = None
        # No request is looked at while a large answer is on its way.
        self.waiting_bytes = MAX_WAITING_BYTES if isinstance(pending.payload, Large) else len(pending.payload)

    def settled(self, outcome: Outcome) -> None:
        if outcome is Outcome.UNKNOWN:
            self.connection.outcome_unknown()
            return
        if outcome is Outcome.DURABLE:
            self.payload = self.pending.payload
        else:
            self.drop()
            self.payload = self.pending.refusal()
        self.connection.send_ready()

    def drop(self) -> None:
        """It does not leave."""
        if isinstance(self.pending.payload, Large):
            self.pending.payload.drop()


class Connection(asyncio.Protocol):
    """One client. Bytes come in, are cut into messages, and answered in order."""

    __slots__ = (
        "_again",
        "_buffer",
        "_ended",
        "_loop",
        "_mode",
        "_paused",
        "_preparing",
        "_reading",
        "_sending",
        "_server",
        "_since",
        "_slots",
        "_transport",
        "_waiting_bytes",
        "_walk",
        "_writable",
        "caller",
    )

    def __init__(self, server: RawServer) -> None:
        self.caller = Caller()
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._buffer = bytearray()
        self._mode: int | None = None
        self._walk: Walk | None = None
        self._slots: deque[_Slot] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._ended = False
        self._again = False
        self._reading = True
        self._sending: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport

    # --- the loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.caller = Caller(address=f"{peer[0]}:{peer[1]}" if peer else "")
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.lost(self)
        for slot in self._slots:
            slot.drop()
        self._slots.clear()
        self._buffer.clear()
        self._wake()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        if not self._buffer:
            self._since = self._loop.time()
        self._buffer += data
        if not self._again:
            self._go_on()

    def eof_received(self) -> bool:
        """A client may close its side and still wait for what it asked."""
        self._ended = True
        self._close_when_done()
        return True

    def pause_writing(self) -> None:
        self._paused = True
        self._since = self._loop.time()

    def resume_writing(self) -> None:
        self._paused = False
        self._since = self._loop.time()
        self._wake()
        self.send_ready()

    # --- the server's side

    def silent_since(self, idle_timeout_s: float, message_timeout_s: float) -> float | None:
        """When this connection is to be closed, unless something happens before; None: it waits for us."""
        if self._paused:
            return self._since + message_timeout_s  # it does not take what it asked for
        if self._slots:
            return None
        return self._since + (message_timeout_s if self._buffer else idle_timeout_s)

    def finish(self) -> None:
        """Take no more requests; close when the replies that are due have left."""
        self._ended = True
        self._buffer.clear()
        self._read_or_not()
        self._close_when_done()

    def close(self) -> None:
        """Cut the connection: nothing more is read, looked at or sent."""
        self._ended = True
        self._buffer.clear()
        self._transport.abort()

    def outcome_unknown(self) -> None:
        """Neither yes nor no may be said: the client must look for itself."""
        log.warning("raw connection from %s closed: the outcome of its call is unknown", self.caller.address)
        self.close()

    def send_ready(self) -> None:
        """Send what may leave, in order, and look at the next requests if that made room."""
        slots = self._slots
        while slots and not self._paused and self._sending is None and (payload := slots[0].payload) is not None:
            if isinstance(payload, Large):
                if payload.is_prepared:
                    self._sending = self._loop.create_task(self._send_large(payload))
                break
            self._waiting_bytes -= slots.popleft().waiting_bytes
            self._write(payload)
        if self._again:
            return
        if self._buffer and not self._is_full():
            # Not now: whoever says that something is durable is in the middle of its own work.
            self._again = True
            self._loop.call_soon(self._go_on)
        self._read_or_not()
        self._close_when_done()

    async def _send_large(self, answer: Large) -> None:
        frame = answer.size.to_bytes(4, "big") if self._mode == FRAMED else b""
        try:
            async with aclosing(answer.pieces(frame)) as pieces:
                async for piece in pieces:
                    self._transport.write(piece)
                    while self._paused and not self._transport.is_closing():
                        self._writable = self._loop.create_future()
                        await self._writable
        except TooSlow as slow:
            log.info("raw connection from %s closed: %s", self.caller.address, slow)
            self.close()
        finally:
            answer.drop()
            self._sending = None
        if self._slots:  # else the connection is gone
            self._waiting_bytes -= self._slots.popleft().waiting_bytes
            self.send_ready()

    def _wake(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # --- requests

    def _go_on(self) -> None:
        """Answer the messages that are complete; the rest waits for bytes, for room or for its turn."""
        self._again = False
        if self._transport.is_closing():
            return
        try:
            for _ in range(MESSAGES_PER_TURN):
                if self._is_full() or (call := self._next_call()) is None:
                    break
                self._answer(call)
            else:
                self._again = True
                self._loop.call_soon(self._go_on)
        except BadMessage as bad:
            log.warning("raw connection from %s closed: %s", self.caller.address, bad)
            self.finish()
            return
        self._read_or_not()
        self._close_when_done()

    def _answer(self, call: Call) -> None:
        pending = self._server.processor.answer(call, STRICT, self.caller)
        slot = _Slot(self, pending)
        self._slots.append(slot)
        self._waiting_bytes += slot.waiting_bytes
        if isinstance(pending.payload, Large):
            preparing = self._loop.create_task(pending.payload.prepare())
            preparing.add_done_callback(lambda done: self.send_ready())
            self._preparing = preparing
        again, self._again = self._again, True  # a reply that leaves at once must not start the loop over
        self._server.processor.core.when_durable(pending.offset, slot.settled)
        self._again = again

    def _is_full(self) -> bool:
        return self._paused or len(self._slots) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES

    def _read_or_not(self) -> None:
        read = not (self._is_full() or self._again or self._ended)
        if read is not self._reading and not self._transport.is_closing():
            self._reading = read
            if read:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _close_when_done(self) -> None:
        if self._ended and not self._slots and not self._again and not self._paused:
            self._transport.close()

    def _write(self, payload: bytes) -> None:
        if self._mode == FRAMED:
            payload = len(payload).to_bytes(4, "big") + payload
        self._transport.write(payload)

    # --- messages

    def _next_call(self) -> Call | None:
        """The next message in the buffer, decoded; None when it is not complete. Raises BadMessage."""
        if not self._buffer:
            return None
        if self._mode is None:
            self._mode = self._buffer[0]
            if self._mode not in (FRAMED, UNFRAMED):
                what = "this is no HTTP port" if 0x41 <= self._mode <= 0x5A else "this is no Thrift"
                raise BadMessage(f"its first byte is {self._mode:#04x}: {what}")
        return self._next_framed() if self._mode == FRAMED else self._next_unframed()

    def _next_framed(self) -> Call | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        length = int.from_bytes(buffer[:4], "big")
        if not 0 < length <= MAX_MESSAGE_BYTES:
            raise BadMessage(f"a frame claims {length} bytes; 1 to {MAX_MESSAGE_BYTES} are allowed")
        if len(buffer) < 4 + length:
            return None
        message = bytes(buffer[4 : 4 + length])
        self._drop(4 + length)
        return STRICT.read(message)

    def _next_unframed(self) -> Call | None:
        if self._walk is None:
            self._walk = Walk(MAX_MESSAGE_BYTES)
        walk = self._walk
        if not walk.feed(self._buffer):
            return None
        message = bytes(self._buffer[: walk.end])
        self._walk = None
        self._drop(walk.end)
        return STRICT.read_checked(message, walk)

    def _drop(self, count: int) -> None:
        """Forget the first bytes. An emptied buffer is replaced, or a large message would keep its memory for ever."""
        self._since = self._loop.time()
        if count == len(self._buffer):
            self._buffer = bytearray()
        else:
            del self._buffer[:count]
