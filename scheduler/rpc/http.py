"""Thrift over HTTP: POST to /api, one call per request. A bare ASGI application; GET is treated the same, as in Aurora.

Who may call from which web page is decided before it gets here (`web/guard.py`); the headers that tell a browser so
are written here, since they are for /api alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from typing import Any, Final

from scheduler.contracts import Outcome
from scheduler.rpc.access import Unauthenticated
from scheduler.rpc.arriving import Arriving, Crowded, Unfinished
from scheduler.rpc.callers import NOBODY, Caller
from scheduler.rpc.content_types import Headers, UnsupportedType, reply_codec, request_codec, values
from scheduler.rpc.large import Large, TooSlow
from scheduler.rpc.messages import MAX_MESSAGE_BYTES, BadMessage, Codec
from scheduler.rpc.processor import Pending, Processor
from scheduler.rpc.replies import Payload
from scheduler.security.names import CHALLENGE

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TEXT: Final = b"text/plain; charset=utf-8"
_METHODS: Final = b"DELETE,GET,HEAD,OPTIONS,POST,PUT"
_ALLOWED_HEADERS: Final = b"Accept,Content-Type,Origin,X-Requested-With"


class _Gone(Exception):
    """The client hung up before its request was complete."""


class TooLarge(Exception):
    """The body is longer than a message may be."""


_STATUSES: Final[dict[type[Exception], int]] = {
    UnsupportedType: 415,
    TooLarge: 413,
    BadMessage: 400,
    Crowded: 503,
    Unauthenticated: 401,
}


class Api:
    """The application. `enable_cors_for` is the one web origin whose pages may call."""

    def __init__(
        self,
        processor: Processor,
        *,
        enable_cors_for: str | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        arriving: Arriving | None = None,
    ) -> None:
        self.processor = processor
        self._arriving = arriving or Arriving()
        self._max_message_bytes = max_message_bytes
        self._cors: list[tuple[bytes, bytes]] = []
        if enable_cors_for is not None:
            self._cors = [
                (b"access-control-allow-origin", enable_cors_for.encode("latin-1")),
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _ALLOWED_HEADERS),
                (b"vary", b"Origin"),
            ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self._cors]
        try:
            status, content_type, body = await self._answer(scope, receive, headers)
        except _Gone:
            return
        headers.append((b"content-length", b"%d" % (body.size if isinstance(body, Large) else len(body))))
        if content_type:
            headers.append((b"content-type", content_type))
        if status == 405:
            headers.append((b"allow", ", ".join((*self.methods, "OPTIONS")).encode()))
        if status == 401:
            headers.append(CHALLENGE)
        if status == 503:
            headers.append((b"retry-after", b"1"))
        if status in (413, 415, 503):
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(body, Large):
            await _send_large(body, receive, send)
        else:
            await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, scope: Scope, receive: Receive, more: list[tuple[bytes, bytes]]
    ) -> tuple[int, bytes, Payload]:
        """Status, content type and body of the answer; other headers are added to `more`."""
        method = scope["method"]
        if method == "OPTIONS":
            return 200, b"", b""
        if method not in self.methods:
            return self.refusal(405, f"{method} is not allowed here; POST a call")
        try:
            pending, writes = await self.pending(scope, receive)
        except Exception as wrong:
            if (status := self.status_of(wrong)) is None:
                raise
            return self.refusal(status, str(wrong))
        if pending.request_id:
            more.append((b"x-request-id", pending.request_id.encode("ascii")))
        payload = await self._when_durable(pending)
        if payload is None:
            log.warning("HTTP call from %s answered 500: its outcome is unknown", self.caller(scope).address)
            return 500, b"", b""
        return 200, writes.content_type, payload

    # --- what another form of the same calls does otherwise: `apibeta.py`

    methods: tuple[str, ...] = ("POST", "GET")

    async def pending(self, scope: Scope, receive: Receive) -> tuple[Pending, Codec]:
        """Take the call in and have it answered. Raises what `status_of` knows a status for."""
        headers: Headers = scope["headers"]
        reads, writes = request_codec(headers), reply_codec(headers)
        body = await self.body(headers, receive)
        return self.processor.process(body, reads, writes, self.caller(scope)), writes

    def refusal(self, status: int, sentence: str) -> tuple[int, bytes, bytes]:
        """Status, content type and body of an answer to what is no call."""
        return status, _TEXT, sentence.encode("utf-8") + b"\n"

    def status_of(self, wrong: Exception) -> int | None:
        """None: it is no refusal."""
        return next((status for kind, status in _STATUSES.items() if isinstance(wrong, kind)), None)

    def caller(self, scope: Scope) -> Caller:
        """`user` stands in the scope when somebody found out (`web/authentication.py`)."""
        client = scope.get("client")
        return Caller(scope.get("user", NOBODY), f"{client[0]}:{client[1]}" if client else "", scope["headers"])

    # ---

    async def body(self, headers: Headers, receive: Receive) -> bytes:
        limit = self._max_message_bytes
        announced = values(headers, b"content-length")
        if announced and announced[0].isdecimal() and int(announced[0]) > limit:
            raise TooLarge(f"the body has {announced[0]} bytes; at most {limit} are allowed")
        pieces: list[bytes] = []
        size = 0
        unfinished: Unfinished | None = None
        try:
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise _Gone
                piece = event.get("body", b"")
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"the body has more than {limit} bytes")
                pieces.append(piece)
                if not event.get("more_body", False):
                    return b"".join(pieces)
                unfinished = unfinished or self._arriving.message()
                unfinished.holds(size)
        finally:
            if unfinished is not None:
                unfinished.drop()

    async def _when_durable(self, pending: Pending) -> Payload | None:
        """The reply, once it may leave; None when neither yes nor no may be said."""
        large = pending.payload if isinstance(pending.payload, Large) else None
        if large is None and pending.offset <= self.processor.core.durable_offset:
            return pending.payload
        try:
            return await self._settle(pending, large)
        except BaseException:
            if large is not None:
                large.drop()
            raise

    async def _settle(self, pending: Pending, large: Large | None) -> Payload | None:
        settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.processor.core.when_durable(pending.offset, lambda outcome: _resolve(settled, outcome))
        if large is not None:
            await large.prepare()
        outcome = await settled
        if outcome is Outcome.DURABLE:
            return pending.payload
        if large is not None:
            large.drop()
        return None if outcome is Outcome.UNKNOWN else pending.refusal()


async def _send_large(answer: Large, receive: Receive, send: Send) -> None:
    """Piece by piece, as the client takes them. One that hangs up meanwhile is sent no more."""
    gone = asyncio.ensure_future(receive())
    try:
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except TooSlow as slow:
        log.info("HTTP connection closed: %s", slow)
    finally:
        gone.cancel()
        answer.drop()


def _resolve(settled: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not settled.done():
        settled.set_result(outcome)
