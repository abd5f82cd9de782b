"""uvicorn as a guest: the loop's signals stay ours, the port is told, requests at hand are answered."""

import asyncio
import signal
import socket
from collections import Counter
from typing import Any

import pytest

from scheduler.web import server as web_server


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


async def get(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


def test_it_serves_and_stops_and_takes_no_signals() -> None:
    async def run() -> None:
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        running = await web_server.start(hello, "127.0.0.1", 0)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        assert running.port > 0
        assert (await get(running.port)).endswith(b"\r\n\r\nhi")
        await asyncio.wait_for(running.stop(), 5)
        with pytest.raises(ConnectionRefusedError):
            await get(running.port)

    asyncio.run(run())


def test_answers_are_counted_by_their_status_refusals_too() -> None:
    async def run() -> None:
        counted: Counter[bytes] = Counter()
        running = await web_server.start(hello, "127.0.0.1", 0, responses=counted)
        for _ in range(2):
            await get(running.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"nonsense\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await asyncio.wait_for(running.stop(), 5)
        assert counted == {b"200": 2, b"400": 1}

    asyncio.run(run())


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        asyncio.run(web_server.start(hello, "127.0.0.1", taken.getsockname()[1]))


def test_a_request_at_hand_is_answered_before_it_stops() -> None:
    async def run() -> None:
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await may_end.wait()
            await hello(scope, receive, send)

        running = await web_server.start(slow, "127.0.0.1", 0, grace_s=5)
        asking = asyncio.create_task(get(running.port))
        await begun.wait()
        stopping = asyncio.create_task(running.stop())
        await asyncio.sleep(0.2)
        may_end.set()
        assert (await asking).endswith(b"hi")
        await asyncio.wait_for(stopping, 5)

    asyncio.run(run())


def test_a_request_that_does_not_end_does_not_hold_up_the_stop() -> None:
    async def run() -> None:
        begun = asyncio.Event()

        async def stuck(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        running = await web_server.start(stuck, "127.0.0.1", 0, grace_s=0)
        asking = asyncio.create_task(get(running.port))
        await begun.wait()
        await asyncio.wait_for(running.stop(), 5)
        await asyncio.wait_for(asyncio.gather(asking, return_exceptions=True), 5)

    asyncio.run(run())
