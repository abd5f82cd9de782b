"""uvicorn's HTTP protocol with what it lacks: deadlines, caps, and one clear answer when a request breaks a rule.

uvicorn reads for as long as anybody sends, holds half a request for ever, and arms a timer for every response. Here the
state of a connection is a few instants, and one sweep a second looks at all connections (`check`). A request that is
refused is answered once what was asked before it is answered; then the connection is closed.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

import httptools
from attrs import frozen
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from scheduler.security.tls import user_of

log = logging.getLogger(__name__)

MAX_PIPELINED: Final = 32
"""Requests of one connection that were sent before the first of them was answered."""

CLOSING_S: Final = 5
"""For how long a connection that is being closed may still take what was written to it."""


@frozen
class Limits:
    """Seconds of the event loop's clock, and bytes."""

    head_s: float = 10
    """From a request's first byte to the end of its headers."""
    request_s: float = 30
    """From a request's first byte to its last, and for a client to take something of what is written to it."""
    keep_alive_s: float = 150
    """Between two requests: longer than a monitor's usual interval, or its next call would meet a close."""
    max_head_bytes: int = 32 * 1024


class Doors(Protocol):
    """Counts connections over all ports."""

    def enter(self, address: str) -> str | None:
        """None when a connection may come in, else why not."""

    def leave(self, address: str) -> None:
        """One that was let in is gone."""


class _Refusal(Exception):
    """This request breaks a rule: status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Transport:
    """The connection's transport, with two things asyncio's has not.

    Closed while the client is still sending, it closes its own side first: otherwise the kernel throws the answer away
    together with what was not read, and the client never sees it. And an answer's head, which uvicorn writes by itself,
    leaves together with the body that follows at once: a write is a sixth of what a call costs.
    """

    def __init__(
        self, inner: Any, loop: AbstractEventLoop, begin_to_close: Callable[[], bool], responses: Counter[bytes]
    ) -> None:
        self._inner = inner
        self._responses = responses
        self._loop = loop
        self._head = b""
        self._begin_to_close = begin_to_close
        """Tells the connection; returns whether the client is still sending."""
        self._half_closed = False

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 "):
            if data[9:12].isdigit():
                self._responses[data[9:12]] += 1
            self._head = data
            self._loop.call_soon(self._flush)  # a stream may have nothing to say for a long time
            return
        self._inner.write(data)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._inner.write(head)

    def close(self) -> None:
        if self._half_closed or self._inner.is_closing():
            return
        self._flush()
        if self._begin_to_close() and self._inner.can_write_eof():  # in TLS there are no halves
            self._half_closed = True
            self._inner.write_eof()
            self._inner.resume_reading()
        else:
            self._inner.close()

    def is_closing(self) -> bool:
        return self._half_closed or bool(self._inner.is_closing())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Connection(HttpToolsProtocol):
    """One HTTP connection."""

    def __init__(self, *args: Any, limits: Limits, doors: Doors | None, responses: Counter[bytes], **more: Any) -> None:
        super().__init__(*args, **more)
        self._limits = limits
        self._doors = doors
        self._responses = responses
        """By status, of all connections."""
        self._address: str | None = None
        """Set while the doors count this connection."""
        self._user: str | None = None
        """Whom the client's certificate names."""
        self._turned_away = False
        self._refusal: _Refusal | None = None
        self._deaf = False
        """Nothing more is read: the connection closes when what is due has left."""
        self._begun: float | None = None
        """When the request that is being read began; None between requests."""
        self._in_head = False
        self._head_bytes = 0
        self._moved = False
        self._unheard_bytes = 0
        self._idle_since = self.loop.time()
        self._stuck_since: float | None = None
        self._closing_since: float | None = None

    # --- the loop's side

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        why_not = self._doors.enter(address) if self._doors is not None else None
        if why_not is not None:
            self._turned_away = True
            log.info("HTTP connection from %s refused: %s", address, why_not)
            self._responses[b"503"] += 1
            transport.write(_answer(503, why_not))
            transport.close()
            return
        self._address = address
        self._user = user_of(transport)
        inner: Any = _Transport(transport, self.loop, self._begin_to_close, self._responses)
        super().connection_made(inner)

    def _begin_to_close(self) -> bool:
        self._deaf = True
        return self._begun is not None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._turned_away:
            return
        if self._doors is not None and self._address is not None:
            self._doors.leave(self._address)
            self._address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._turned_away or self._deaf:
            return
        self._moved = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._hear_no_more()  # it is answered as if it had not asked to
        except httptools.HttpParserError as wrong:
            self._refuse(self._refusal or _Refusal(400, f"this is no HTTP request: {wrong}"))
        else:
            self._unheard_bytes = 0 if self._moved else self._unheard_bytes + len(data)
            if self._unheard_bytes > self._limits.max_head_bytes:
                self._refuse(self._too_much())

    def pause_writing(self) -> None:
        self._stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    # --- the parser's side: a refusal raised here stops it

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            sentence = f"more than {MAX_PIPELINED} requests were sent without waiting for an answer"
            raise self._stop_parser(_Refusal(400, sentence))
        self._moved = self._in_head = True
        self._begun = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()
        if self._user is not None:
            self.scope["user"] = self._user  # type: ignore[typeddict-unknown-key]

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        if self._in_head:  # else it stands behind the body, where nobody looks for it
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._moved = True
        super().on_headers_complete()
        self._in_head = False

    def on_chunk_header(self) -> None:
        self._moved = True

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = True
        self._begun = None
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.max_head_bytes:
            raise self._stop_parser(self._too_much())

    def _stop_parser(self, refusal: _Refusal) -> _Refusal:
        self._refusal = refusal  # the parser does not always tell what was raised
        return refusal

    def _too_much(self) -> _Refusal:
        return _Refusal(431, f"the request's headers are longer than {self._limits.max_head_bytes} bytes")

    # --- the server's side

    def on_response_complete(self) -> None:
        """As in uvicorn, but for its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    def check(self, now: float) -> None:
        """Close what has been silent, half said or not taken for too long. Called by the sweep."""
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > CLOSING_S:
                self.transport.abort()
        elif self._stuck_since is not None:
            if now - self._stuck_since > self._limits.request_s:
                log.info("HTTP connection from %s closed: it does not take what it asked for", self._address)
                self.transport.abort()
        elif self._deaf:
            return
        elif self.flow.read_paused:
            self._begun = None if self._begun is None else now  # it is we who do not read
        elif self._begun is not None:
            allowed_s = self._limits.head_s if self._in_head else self._limits.request_s
            if now - self._begun > allowed_s:
                what = "headers" if self._in_head else "body"
                self._refuse(_Refusal(408, f"the request's {what} did not arrive within {allowed_s:g} s"))
        elif not self._is_answering and now - self._idle_since > self._limits.keep_alive_s:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _hear_no_more(self) -> None:
        """Answer what was asked, then close."""
        self._deaf = True
        if self._is_answering:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _refuse(self, refusal: _Refusal) -> None:
        """Answer the request that is being read, if its turn has come, and close."""
        log.info("HTTP request from %s refused with %d: %s", self._address, refusal.status, refusal)
        is_known = self._begun is not None and not self._in_head
        if not is_known:  # no application was told of it; what was asked before is answered first
            if not self._is_answering and not self.transport.is_closing():
                self.transport.write(_answer(refusal.status, str(refusal)))
            self._hear_no_more()
            return
        if self._is_answering and not self.pipeline:  # its application waits for the rest of the body
            if not self.cycle.response_started:
                self.transport.write(_answer(refusal.status, str(refusal)))
                self.cycle.response_started = True
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._deaf = True
        self.transport.close()


def _answer(status: int, sentence: str) -> bytes:
    body = sentence.encode("ascii", "replace") + b"\n"
    head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    return STATUS_LINE[status] + head + body
