"""HTTP for the slow, the endless and the many: deadlines, caps, and an answer that arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scheduler.rpc.doors import Doors
from scheduler.web import server as web_server
from scheduler.web.protocol import CLOSING_S, MAX_PIPELINED, Limits

HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMITS = Limits()


class House:
    """A server with an application that echoes bodies, one that waits, and one that answers a lot."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.doors = Doors(max_connections=20, max_connections_per_address=10)
        self.gone = 0
        self.server: web_server.WebServer

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b"ok"
        if scope["path"] == "/echo":
            body = b""
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    self.gone += 1
                    return
                body += event["body"]
                if not event.get("more_body"):
                    break
        elif scope["path"] == "/wait":
            await self.may_end.wait()
        elif scope["path"] == "/much":
            body = b"x" * 8_000_000
        refused = [(b"connection", b"close")] if scope["path"] == "/refuse" else []
        headers = [(b"content-length", b"%d" % len(body)), *refused]
        await send({"type": "http.response.start", "status": 403 if refused else 200, "headers": headers})
        if scope["path"] == "/stream":
            await self.may_end.wait()
        await send({"type": "http.response.body", "body": body})

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    async def exchange(self, *pieces: bytes) -> bytes:
        """Send, and read until the server closes."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    async def connections_are(self, count: int) -> None:
        for _ in range(1000):
            if self.server.connections == self.doors.connections == count:
                return
            await asyncio.sleep(0.005)
        raise AssertionError((self.server.connections, self.doors.connections))

    def sweep_in(self, seconds: float) -> None:
        self.server.sweep(asyncio.get_running_loop().time() + seconds)


@asynccontextmanager
async def served() -> AsyncIterator[House]:
    house = House()
    house.server = await web_server.start(house.app, "127.0.0.1", 0, grace_s=0, doors=house.doors)
    try:
        yield house
    finally:
        await house.server.stop()
        await house.connections_are(0)


def in_loop(test: Callable[[House], Awaitable[None]]) -> Callable[[], None]:
    async def run() -> None:
        async with served() as house:
            await test(house)

    def sync() -> None:
        asyncio.run(run())

    sync.__name__, sync.__doc__ = test.__name__, test.__doc__
    return sync


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


# --- slow


@in_loop
async def test_a_head_that_does_not_end_is_a_408(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(HEAD)
    await house.connections_are(1)
    await asyncio.sleep(0.05)
    house.sweep_in(LIMITS.head_s - 1)
    house.sweep_in(LIMITS.head_s + 1)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert status(answer) == 408
    assert b"connection: close" in answer
    assert b"headers did not arrive within 10 s" in answer
    writer.close()


@in_loop
async def test_dripping_bytes_do_not_keep_a_request_alive(house: House) -> None:
    reader, writer = await house.connect()
    begun = asyncio.get_running_loop().time()
    for byte in HEAD:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)
    house.server.sweep(begun + LIMITS.head_s + 0.2)
    assert status(await asyncio.wait_for(reader.read(), 5)) == 408
    writer.close()


@in_loop
async def test_a_body_that_does_not_end_is_a_408(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(HEAD + b"Content-Length: 10000000000\r\n\r\nabc")
    await house.connections_are(1)
    await asyncio.sleep(0.05)
    house.sweep_in(LIMITS.head_s + 1)
    await asyncio.sleep(0.05)
    assert house.gone == 0
    house.sweep_in(LIMITS.request_s + 1)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert status(answer) == 408
    assert b"body did not arrive within 30 s" in answer
    assert house.gone == 1
    writer.close()


@in_loop
async def test_the_idle_are_swept_and_who_waits_for_us_is_not(house: House) -> None:
    fresh_reader, fresh = await house.connect()  # one that never asked for anything
    idle_reader, idle = await house.connect()
    idle.write(GET)
    assert status(await idle_reader.readuntil(b"ok")) == 200
    waiting_reader, waiting = await house.connect()
    waiting.write(GET.replace(b"/quick", b"/wait"))
    await asyncio.sleep(0.05)
    house.sweep_in(LIMITS.keep_alive_s - 1)
    await asyncio.sleep(0.05)
    await house.connections_are(3)
    house.sweep_in(LIMITS.keep_alive_s + 1)
    assert await asyncio.wait_for(idle_reader.read(), 5) == await asyncio.wait_for(fresh_reader.read(), 5) == b""
    house.may_end.set()
    assert status(await waiting_reader.readuntil(b"ok")) == 200
    for writer in (fresh, idle, waiting):
        writer.close()


@in_loop
async def test_who_does_not_take_the_answer_is_cut(house: House) -> None:
    reader, writer = await house.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(GET.replace(b"/quick", b"/much"))
    for _ in range(200):
        await asyncio.sleep(0.005)
        if reader.at_eof():
            break
    house.sweep_in(LIMITS.request_s - 2)
    await house.connections_are(1)
    house.sweep_in(LIMITS.request_s + 1)
    await house.connections_are(0)
    writer.transport.abort()


@in_loop
async def test_a_head_does_not_wait_for_a_body_that_comes_later(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(GET.replace(b"/quick", b"/stream"))
    assert status(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)) == 200
    house.may_end.set()
    assert await reader.readexactly(2) == b"ok"
    writer.close()


def test_a_head_and_its_body_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def noted(self: Any, data: bytes) -> None:
        written.append(bytes(data))
        write(self, data)

    async def use() -> None:
        async with served() as house:
            reader, writer = await house.connect()
            monkeypatch.setattr(asyncio.selector_events._SelectorSocketTransport, "write", noted)  # type: ignore[attr-defined]
            for _ in range(3):
                writer.write(GET)
                await reader.readuntil(b"ok")
            writer.close()

    asyncio.run(use())
    answers = [data for data in written if data != GET]
    assert len(answers) == 3
    assert all(status(data) == 200 and data.endswith(b"\r\n\r\nok") for data in answers)


@in_loop
async def test_no_timer_is_armed_for_a_call(house: House) -> None:
    loop: Any = asyncio.get_running_loop()
    before = len(loop._scheduled)
    reader, writer = await house.connect()
    for _ in range(50):
        writer.write(GET)
        await reader.readuntil(b"ok")
    assert len(loop._scheduled) <= before + 2
    writer.close()


# --- endless


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [HEAD + b"X: " + b"a" * 40_000 + b"\r\n\r\n"],
        [HEAD + b"A: b\r\n" * 8_000 + b"\r\n"],
        [HEAD, *[b"X" * 8_000] * 6],
        [HEAD + b"X: ", *[b"a" * 8_000] * 6],
        [b"GET /", *[b"a" * 8_000] * 6],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", *[b"a" * 8_000] * 6],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", *[b"a" * 8_000] * 6],
    ],
    ids=["url", "value", "many", "name in pieces", "value in pieces", "url in pieces", "extension", "trailer"],
)
def test_heads_are_capped(pieces: list[bytes]) -> None:
    @in_loop
    async def run(house: House) -> None:
        answer = await house.exchange(*pieces)
        assert status(answer) == 431
        assert b"longer than 32768 bytes" in answer

    run()


@in_loop
async def test_a_head_below_the_cap_is_read(house: House) -> None:
    long = b"X: " + b"a" * 30_000 + b"\r\n"
    answer = await house.exchange(GET[:-2] + b"Connection: close\r\n" + long + b"\r\n")
    assert status(answer) == 200


@in_loop
async def test_trailers_are_no_headers(house: House) -> None:
    body = b"3\r\nabc\r\n0\r\nX-Trailer: a\r\n\r\n"
    head = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await house.exchange(head + body)).endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x80\x01\x00\x01\x00\x00\x00\x07getJobs\x00\x00\x00\x01\x00",
        b"hello\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        HEAD + b"\x00: a\r\n\r\n",
    ],
)
def test_what_is_no_request_is_a_400(garbage: bytes) -> None:
    @in_loop
    async def run(house: House) -> None:
        answer = await house.exchange(garbage)
        assert status(answer) == 400
        assert b"connection: close" in answer

    run()


@in_loop
async def test_a_broken_chunk_is_a_400_and_the_application_is_told(house: House) -> None:
    answer = await house.exchange(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n")
    assert status(answer) == 400
    assert house.gone == 1


@in_loop
async def test_what_was_asked_before_is_answered_first(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(GET.replace(b"/quick", b"/wait") + GET + b"nonsense\r\n\r\n" + GET)
    await asyncio.sleep(0.05)
    house.may_end.set()
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"HTTP/1.1 ") == 2  # whose answer a third one would be nobody could tell
    writer.close()


@in_loop
async def test_requests_sent_ahead_are_bounded(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(GET.replace(b"/quick", b"/wait") + GET * 1000)
    await asyncio.sleep(0.1)
    house.may_end.set()
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.count(b"HTTP/1.1 200 OK") == MAX_PIPELINED + 1
    writer.close()


@in_loop
async def test_an_upgrade_is_answered_and_not_made(house: House) -> None:
    upgrade = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nbytes of it"
    answer = await house.exchange(upgrade)
    assert status(answer) == 200
    assert b"connection: close" in answer


@in_loop
async def test_a_refusal_reaches_a_client_that_is_still_sending(house: House) -> None:
    """Closing at once would make the kernel drop the answer."""
    reader, writer = await house.connect()
    writer.write(b"POST /refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n")
    await asyncio.sleep(0.05)
    for _ in range(20):
        writer.write(b"x" * 1_000_000)
        await writer.drain()
    assert status(await asyncio.wait_for(reader.read(), 5)) == 403
    assert house.server.connections == 1
    house.sweep_in(0)
    house.sweep_in(CLOSING_S + 1)
    await house.connections_are(0)
    writer.transport.abort()


# --- many


@in_loop
async def test_connections_of_one_address_are_capped(house: House) -> None:
    inside = [await house.connect() for _ in range(10)]
    await house.connections_are(10)
    answer = await house.exchange()
    assert status(answer) == 503
    assert b"10 connections from 127.0.0.1" in answer
    inside.pop()[1].close()
    await house.connections_are(9)
    assert status(await house.exchange(GET[:-2] + b"Connection: close\r\n\r\n")) == 200
    for _, writer in inside:
        writer.close()


def test_doors() -> None:
    doors = Doors(max_connections=3, max_connections_per_address=2)
    assert [doors.enter(address) is None for address in "aaabb"] == [True, True, False, True, False]
    assert doors.enter("c") == "there are 3 connections; more are not allowed"
    assert (doors.connections, doors.refused, doors.addresses()) == (3, 3, 2)
    for address in "aab":
        doors.leave(address)
    assert (doors.connections, doors.addresses()) == (0, 0)
    assert doors.enter("c") is None
