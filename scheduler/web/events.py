"""/events: the event stream as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

A listener is one connection and one cursor; nothing is queued for it. When it does not take what is written, its next
events are not read; when it takes nothing for long, the connection is closed like any other; when it comes back, it
says where it was (`Last-Event-ID`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl

from scheduler.contracts import AheadOfLog, Event, Events, EventStream, NotFollowing, TooOld
from scheduler.web.guard import Receive, Scope, Send

MAX_LISTENERS: Final = 100
ALIVE_EVERY_MS: Final = 15_000
"""A listener who hears nothing is told for so long that the connection still stands."""

_BATCH: Final = 200
_NAMES: Final = (
    ("timestamp_ms", "timestampMs"),
    ("job", "job"),
    ("instance_id", "instanceId"),
    ("task_id", "taskId"),
    ("task_status", "taskStatus"),
    ("host", "host"),
    ("update_id", "updateId"),
    ("update_status", "updateStatus"),
    ("action", "action"),
    ("user", "user"),
    ("message", "message"),
    ("epoch", "epoch"),
)


class _NoCursor(ValueError):
    """What the request says is no cursor."""


class EventSource:
    """The ASGI application for exactly /events."""

    def __init__(
        self, stream: EventStream, *, max_listeners: int = MAX_LISTENERS, alive_every_ms: int = ALIVE_EVERY_MS
    ) -> None:
        self.listeners = 0
        self._stream = stream
        self._max_listeners = max_listeners
        self._alive_every_ms = alive_every_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await _plain(send, 405, {"message": f"{scope['method']} is not allowed here; GET it"})
            return
        if self.listeners >= self._max_listeners:
            await _plain(send, 503, {"message": f"there are {self.listeners} listeners; more are not allowed"})
            return
        self.listeners += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self.listeners -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            found = await self._stream.read(_cursor(scope), _BATCH, 0)
        except _NoCursor as wrong:
            await _plain(send, 400, {"message": str(wrong)})
        except TooOld as old:
            await _plain(send, 410, {"message": str(old), "begin": old.begin, "lineage": self._stream.lineage})
        except AheadOfLog as ahead:
            await _plain(send, 400, {"message": str(ahead), "lineage": self._stream.lineage})
        except NotFollowing as why:
            await _plain(send, 503, {"message": str(why)})
        else:
            await self._listen(found, receive, send)

    async def _listen(self, found: Events, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        first = {"cursor": found.after, "lineage": self._stream.lineage}
        await _say(send, f"retry: 1000\n{_message(first, name='cursor')}")
        writing = asyncio.ensure_future(self._write(found, send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((writing, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, gone):
                task.cancel()
            await asyncio.gather(writing, gone, return_exceptions=True)
        if writing.done() and not writing.cancelled() and writing.exception() is not None:
            raise writing.exception() or RuntimeError
        if not gone.done() or gone.cancelled():
            await send({"type": "http.response.body", "body": b""})

    async def _write(self, found: Events, send: Send) -> None:
        """Until the stream ends: then the client asks again, at its `Last-Event-ID`."""
        try:
            while True:
                for text in _texts(found):
                    await _say(send, text)
                found = await self._stream.read(found.upto, _BATCH, self._alive_every_ms)
        except TooOld as old:
            await _say(send, _message({"message": str(old), "begin": old.begin}, name="gone"))
        except (NotFollowing, AheadOfLog) as why:
            await _say(send, _message({"message": str(why)}, name="end"))


def _cursor(scope: Scope) -> int | None:
    """Of the query, or where the client was when its last connection broke. None: now. Raises _NoCursor."""
    said = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("cursor")
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value:
            said = value.decode("latin-1")  # a browser repeats the query when it connects again
    if said is None:
        return None
    if not (said.isascii() and said.isdecimal()) or len(said) > 18:
        raise _NoCursor(f"the cursor is {said[:40]!r}; it must be a number, or absent to begin now")
    return int(said)


def as_json(event: Event) -> dict[str, Any]:
    """Names as in `thrift/thesan.thrift`, enumerations by name, a job as role/environment/name. Unset is absent."""
    found: dict[str, Any] = {"cursor": event.cursor, "index": event.index, "kind": event.kind.name}
    for field, name in _NAMES:
        value = getattr(event, field)
        if value is None:
            continue
        if field in ("task_status", "update_status", "action"):
            value = value.name
        found[name] = str(value) if field == "job" else value
    return found


def _texts(found: Events) -> Iterator[str]:
    """Messages in pieces of `_BATCH`. Only the last event of an entry has an id: a client that broke off before it is
    given the whole entry again.
    """
    events = found.events
    if not events:
        yield _message({"cursor": found.upto}, name="cursor", id=found.upto) if found.upto > found.after else ":\n\n"
        return
    piece: list[str] = []
    for event, following in zip(events, (*events[1:], None), strict=True):
        is_last = following is None or following.cursor != event.cursor
        piece.append(_message(as_json(event), id=event.cursor if is_last else None))
        if len(piece) >= _BATCH:
            yield "".join(piece)
            piece.clear()
    if piece:
        yield "".join(piece)


def _message(data: dict[str, Any], *, name: str | None = None, id: int | None = None) -> str:
    head = f"event: {name}\n" if name else ""
    if id is not None:
        head += f"id: {id}\n"
    return f"{head}data: {json.dumps(data)}\n\n"


async def _say(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
    await asyncio.sleep(0)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _plain(send: Send, status: int, data: dict[str, Any]) -> None:
    body = json.dumps(data).encode() + b"\n"
    headers: Iterable[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if status == 503:
        headers = [*headers, (b"retry-after", b"1")]
    if status == 405:
        headers = [*headers, (b"allow", b"GET")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
