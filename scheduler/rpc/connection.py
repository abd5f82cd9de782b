"""One raw connection: requests in, replies out in their order, each when its state is durable.

A client that does not read its replies is not read from either.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import aclosing
from typing import Final, Protocol

from scheduler.contracts import Outcome
from scheduler.rpc.access import Unauthenticated
from scheduler.rpc.arriving import Arriving, Crowded
from scheduler.rpc.binary import STRICT
from scheduler.rpc.callers import NOBODY, Caller
from scheduler.rpc.doors import Doors
from scheduler.rpc.framing import FRAMED, UNFRAMED, Incoming
from scheduler.rpc.large import Large, TooSlow
from scheduler.rpc.later import Later
from scheduler.rpc.messages import BadMessage, Call
from scheduler.rpc.processor import Pending, Processor
from scheduler.rpc.replies import Payload
from scheduler.security.tls import user_of

log = logging.getLogger(__name__)

MAX_WAITING: Final = 1_000
"""Replies of one connection that wait for durability, before its next request is looked at."""

MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
"""The same in bytes."""

MESSAGES_PER_TURN: Final = 64
"""Requests of one connection answered before others have their turn."""


class Server(Protocol):
    """What a connection needs of the server it belongs to."""

    processor: Processor
    doors: Doors
    arriving: Arriving
    max_message_bytes: int
    connections: set[Connection]

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""


class _Slot:
    """A reply's place in the order of its connection. `payload` is None until it may leave."""

    __slots__ = ("connection", "payload", "pending", "waiting_bytes")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self.connection = connection
        self.pending = pending
        self.payload: Payload | None = None
        self.waiting_bytes = _waiting_bytes(pending.payload)

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

    def hurry(self) -> None:
        """Nobody may be waiting for it."""
        if isinstance(self.pending.payload, Later):
            self.pending.payload.hurry()

    def drop(self) -> None:
        """It does not leave."""
        if isinstance(self.pending.payload, Large):
            self.pending.payload.drop()


def _waiting_bytes(payload: Payload) -> int:
    """No request is looked at while a large answer is on its way. Behind one that waits for something to happen there
    may be requests, or a client could not even hang up; but not many more that wait.
    """
    if isinstance(payload, Later):
        return MAX_WAITING_BYTES // 2
    return MAX_WAITING_BYTES if isinstance(payload, Large) else len(payload)


class Connection(asyncio.Protocol):
    """One client. Bytes come in, are cut into messages, and answered in order."""

    __slots__ = (
        "_address",
        "_again",
        "_core",
        "_ended",
        "_incoming",
        "_is_secured",
        "_loop",
        "_paused",
        "_preparing",
        "_pulses",
        "_reading",
        "_sending",
        "_server",
        "_since",
        "_slots",
        "_transport",
        "_waiting_bytes",
        "_writable",
        "caller",
    )

    def __init__(self, server: Server) -> None:
        self.caller = Caller()
        self._server = server
        self._core = server.processor.core
        self._pulses = server.processor.pulses
        self._address: str | None = None
        self._is_secured = False
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._incoming = Incoming(server.max_message_bytes, server.arriving.message())
        self._slots: deque[_Slot] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._ended = False
        self._again = False
        self._reading = True
        self._sending: asyncio.Task[None] | None = None
        self._preparing: set[asyncio.Task[None]] = set()
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport

    # --- the loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._is_secured = transport.get_extra_info("sslcontext") is not None
        self.caller = Caller(user_of(transport) or NOBODY, f"{peer[0]}:{peer[1]}" if peer else "")
        address = str(peer[0]) if peer else ""
        why_not = self._server.doors.enter(address)
        if why_not is not None:
            log.info("raw connection from %s refused: %s", self.caller.address, why_not)
            self.close()
            return
        self._address = address
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._address is None:
            return  # it was never let in
        self._server.doors.leave(self._address)
        self._server.lost(self)
        for slot in self._slots:
            slot.drop()
        self._slots.clear()
        self._incoming.clear()
        self._wake()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        if not self._incoming.buffer:
            self._since = self._loop.time()
            if not self._slots and self._answered_at_once(data):
                return
        self._incoming.add(data)
        if not self._again:
            self._go_on()

    def eof_received(self) -> bool:
        """A client may close its side and still wait for what it asked; in TLS there are no sides. Or it is gone:
        nothing tells the two apart, so what waits for something to happen is answered with what there is.
        """
        self._ended = True
        for slot in self._slots:
            slot.hurry()
        self._close_when_done()
        return not self._is_secured

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
        return self._since + (message_timeout_s if self._incoming else idle_timeout_s)

    def finish(self) -> None:
        """Take no more requests; close when the replies that are due have left."""
        self._ended = True
        self._incoming.clear()
        self._read_or_not()
        self._close_when_done()

    def close(self) -> None:
        """Cut the connection: nothing more is read, looked at or sent."""
        self._ended = True
        self._incoming.clear()
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
        if self._incoming and not self._is_full():
            # Not now: whoever says that something is durable is in the middle of its own work.
            self._again = True
            self._loop.call_soon(self._go_on)
        self._read_or_not()
        self._close_when_done()

    async def _send_large(self, answer: Large) -> None:
        frame = answer.size.to_bytes(4, "big") if self._incoming.mode == FRAMED else b""
        try:
            async with aclosing(answer.pieces(frame)) as pieces:
                async for piece in pieces:
                    if self._transport.is_closing():
                        break
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

    def _answered_at_once(self, data: bytes) -> bool:
        """The hot path: one whole heartbeat came, nothing waits, and its answer may leave."""
        if self._paused or self._again:
            return False
        mode = self._incoming.mode
        if mode == FRAMED:
            answer = self._pulses.answer_frame(data, self.caller)
        elif mode == UNFRAMED:
            answer = self._pulses.answer(data, self.caller)
        else:
            return False
        if answer is None:
            return False
        offset, reply = answer
        if offset <= self._core.durable_offset:
            self._transport.write(reply)
            return True
        message = reply[4:] if mode == FRAMED else reply
        self._enqueue(Pending(offset, message, lambda: self._pulses.refusal(message)))
        return True

    def _go_on(self) -> None:
        """Answer the messages that are complete; the rest waits for bytes, for room or for its turn."""
        self._again = False
        if self._transport.is_closing():
            return
        try:
            for _ in range(MESSAGES_PER_TURN):
                if self._is_full() or (call := self._incoming.next_call()) is None:
                    break
                self._since = self._loop.time()
                self._answer(call)
            else:
                self._again = True
                self._loop.call_soon(self._go_on)
        except (BadMessage, Crowded) as wrong:
            log.warning("raw connection from %s closed: %s", self.caller.address, wrong)
            self.finish()
            return
        self._read_or_not()
        self._close_when_done()

    def _answer(self, call: Call) -> None:
        processor = self._server.processor
        try:
            pending = processor.answer(call, STRICT, self.caller)
        except Unauthenticated as wrong:
            pending = processor.refused(call, STRICT, wrong.answer)
        self._enqueue(pending)

    def _enqueue(self, pending: Pending) -> None:
        slot = _Slot(self, pending)
        self._slots.append(slot)
        self._waiting_bytes += slot.waiting_bytes
        if self._ended:
            slot.hurry()
        if isinstance(pending.payload, Large):
            preparing = self._loop.create_task(pending.payload.prepare())
            self._preparing.add(preparing)  # the loop alone would let go of it
            preparing.add_done_callback(self._prepared)
        again, self._again = self._again, True  # a reply that leaves at once must not start the loop over
        self._server.processor.core.when_durable(pending.offset, slot.settled)
        self._again = again

    def _prepared(self, done: asyncio.Task[None]) -> None:
        self._preparing.discard(done)
        self.send_ready()

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
        if self._incoming.mode == FRAMED:
            payload = len(payload).to_bytes(4, "big") + payload
        self._transport.write(payload)
