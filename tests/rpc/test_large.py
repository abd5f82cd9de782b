"""Large answers on real sockets: whole, in order, in slices, bounded, and given up when nobody takes them."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scheduler.interface import aurora
from scheduler.rpc import connection as raw_connection, large
from scheduler.rpc.binary import STRICT
from scheduler.rpc.callers import Caller
from scheduler.rpc.large import Large, Outstanding, Parts, TooSlow
from scheduler.rpc.turns import Turns
from scheduler.testing.serving import Serving
from tests.rpc.calls import binary_call, framed, job, json_call, read_reply, task_config

COUNT = 4000
QUERY = aurora.TaskQuery()
BIG = binary_call("getTasksStatus", 1, query=QUERY)
SMALL = binary_call("getTierConfigs", 2)
LONG_TEXT = '{"task": "' + "x" * 1500 + '"}'

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


Test = Callable[[Serving], Awaitable[None]]


def in_loop(test: Test, slice_s: float = 1e-5) -> Callable[[pytest.MonkeyPatch], None]:
    """Run an async test beside a server with 4,000 tasks, where every batch takes a slice of its own."""

    @asynccontextmanager
    async def served() -> AsyncIterator[Serving]:
        inner = Serving()
        await inner.start()
        executor = aurora.ExecutorConfig(name="AuroraExecutor", data=LONG_TEXT)
        assert (await ask(inner, binary_call("createJob", description=job(COUNT, executorConfig=executor)))) == 1
        try:
            yield inner
        finally:
            await inner.stop()
            assert (outstanding(inner).answers, outstanding(inner).bytes) == (0, 0)

    async def run() -> None:
        async with served() as inner:
            await test(inner)

    def sync(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(large, "SLICE_S", slice_s)
        asyncio.run(run())

    sync.__name__, sync.__doc__ = test.__name__, test.__doc__
    return sync


def gathered_at_once(test: Test) -> Callable[[pytest.MonkeyPatch], None]:
    """The same where one slice is enough for all of an answer, as it is when its pieces are there already."""
    return in_loop(test, slice_s=60)


def outstanding(inner: Serving) -> Outstanding:
    return inner.processor.replies.outstanding


async def connect(inner: Serving) -> Streams:
    return await asyncio.open_connection("127.0.0.1", inner.thrift_port, limit=2**16)


async def frame(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await asyncio.wait_for(reader.readexactly(4), 10), "big")
    return await asyncio.wait_for(reader.readexactly(length), 10)


async def ask(inner: Serving, call: bytes) -> int:
    reader, writer = await connect(inner)
    writer.write(framed(call))
    code: int = read_reply(await frame(reader))[3].responseCode
    writer.close()
    return code


def tasks_of(payload: bytes) -> list[Any]:
    found: list[Any] = read_reply(payload)[3].result.scheduleStatusResult.tasks
    return found


def count_of(payload: bytes) -> int:
    return len(tasks_of(payload))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


@in_loop
async def test_replies_keep_their_order(inner: Serving) -> None:
    reader, writer = await connect(inner)
    writer.write(framed(SMALL) + framed(BIG) + framed(SMALL) + framed(BIG) + framed(SMALL))
    found = [read_reply(await frame(reader)) for _ in range(5)]
    assert [seqid for _, _, seqid, _ in found] == [2, 1, 2, 1, 2]
    assert [len(reply[3].result.scheduleStatusResult.tasks) for reply in found[1::2]] == [COUNT] * 2
    writer.close()


@in_loop
async def test_without_frames_too(inner: Serving) -> None:
    reader, writer = await connect(inner)
    writer.write(BIG + SMALL)
    writer.write_eof()
    payload = await asyncio.wait_for(reader.read(), 10)
    split = payload.rindex(struct.pack(">I", 0x80010002))
    assert count_of(payload[:split]) == COUNT
    assert read_reply(payload[split:])[2] == 2
    writer.close()


@in_loop
async def test_over_http(inner: Serving) -> None:
    def post() -> list[tuple[int, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", inner.http_port, timeout=10)
        found = []
        for _ in range(2):
            connection.request("POST", "/api", json_call("getTasksStatus", 9, query=QUERY))
            response = connection.getresponse()
            found.append((response.status, json.loads(response.read())))
            assert not response.will_close
        connection.close()
        return found

    for status, reply in await asyncio.to_thread(post):
        assert (status, reply[3]) == (200, 9)
        assert reply[4]["0"]["rec"]["3"]["rec"]["3"]["rec"]["1"]["lst"][1] == COUNT


@in_loop
async def test_others_are_answered_between_the_slices(inner: Serving) -> None:
    reader, writer = await connect(inner)
    other_reader, other = await connect(inner)
    writer.write(framed(BIG))
    big = asyncio.create_task(frame(reader))
    answered = 0
    while not big.done():
        other.write(framed(SMALL))
        await frame(other_reader)
        answered += 1
    assert answered >= 10
    assert count_of(await big) == COUNT
    for each in (writer, other):
        each.close()


def killing(payload: bytes) -> int:
    tasks = tasks_of(payload)
    assert len(tasks) == COUNT
    return sum(task.status == aurora.ScheduleStatus.KILLING for task in tasks)


@in_loop
async def test_a_read_is_of_one_moment(inner: Serving) -> None:
    """What changes while an answer is being made is not in it."""
    reader, writer = await connect(inner)
    writer.write(framed(BIG))
    await until(lambda: outstanding(inner).answers == 1)
    assert await ask(inner, binary_call("killTasks", job=job().key, instances=list(range(1000, COUNT)))) == 1
    assert killing(await frame(reader)) == 0
    writer.write(framed(BIG))
    assert killing(await frame(reader)) == 3000
    writer.close()


@in_loop
async def test_an_answer_waits_until_it_is_durable(inner: Serving) -> None:
    inner.core.held = True
    reader, writer = await connect(inner)
    other = job(1)
    other.key = other.taskConfig.job = aurora.JobKey(role="www", environment="prod", name="other")
    writer.write(framed(binary_call("createJob", 1, description=other)) + framed(BIG))
    await until(lambda: outstanding(inner).answers == 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), 0.1)
    inner.core.release()
    assert read_reply(await frame(reader))[3].responseCode == 1
    assert count_of(await frame(reader)) == COUNT + 1
    writer.close()


async def beyond_the_bound(inner: Serving) -> None:
    outstanding(inner).max_bytes = 100_000
    slow_reader, slow = await connect(inner)
    slow.transport.pause_reading()  # type: ignore[attr-defined]
    slow.write(framed(BIG))
    await until(lambda: outstanding(inner).bytes > 1_000_000)
    reader, writer = await connect(inner)
    writer.write(framed(BIG))
    response = read_reply(await frame(reader))[3]
    assert response.responseCode == aurora.ResponseCode.ERROR_TRANSIENT
    assert "large answers" in response.details[0].message
    slow.transport.resume_reading()  # type: ignore[attr-defined]
    assert count_of(await frame(slow_reader)) == COUNT
    for each in (slow, writer):
        each.close()


test_beyond_the_bound_it_is_to_be_tried_again = in_loop(beyond_the_bound)
test_beyond_the_bound_although_it_is_soon_gathered = gathered_at_once(beyond_the_bound)


def http_call_of_big() -> bytes:
    body = json_call("getTasksStatus", query=QUERY)
    return b"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@gathered_at_once
async def test_a_large_answer_lies_in_no_buffer_however_soon_it_is_gathered(inner: Serving) -> None:
    """A client that takes a part of it now and then is not cut: with all of it in one buffer nothing would be seen to
    move until nearly all was taken.
    """
    assert inner.web is not None
    for port, call in ((inner.thrift_port, framed(BIG)), (inner.http_port, http_call_of_big())):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)  # the kernel takes less than all of it
        client.connect(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=client, limit=2**16)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(call)
        await until(lambda: outstanding(inner).bytes > 1_000_000)
        (transport,) = [
            *(connection._transport for connection in inner.raw.connections),
            *(connection.transport for connection in inner.web._server.server_state.connections),
        ]
        buffered = transport.get_write_buffer_size
        await until(lambda buffered=buffered: buffered() > 0)  # type: ignore[misc]
        assert buffered() < 2 * large.PIECE_BYTES
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        taken = 0
        while taken < COUNT * len(LONG_TEXT):
            piece = await asyncio.wait_for(reader.read(2**16), 60)
            assert piece, f"cut off after {taken} bytes"
            assert buffered() < 2 * large.PIECE_BYTES
            taken += len(piece)
        writer.transport.abort()
        await until(lambda: outstanding(inner).answers == 0)


def test_a_reply_that_is_encoded_in_one_go_leaves_in_pieces_too() -> None:
    text = "y" * 1_000_000
    config = task_config(executorConfig=aurora.ExecutorConfig(name="AuroraExecutor", data=text))
    description = aurora.JobConfiguration(key=config.job, taskConfig=config, instanceCount=1)
    call = binary_call("populateJobConfig", description=description)

    async def run() -> None:
        inner = Serving()
        answer = inner.processor.process(call, STRICT, STRICT, Caller()).payload
        assert isinstance(answer, Large)
        assert (outstanding(inner).answers, outstanding(inner).bytes > len(text)) == (1, True)
        await answer.prepare()
        pieces = [bytes(piece) async for piece in answer.pieces()]
        assert len(pieces) > 1
        assert max(map(len, pieces)) <= large.PIECE_BYTES
        result = read_reply(b"".join(pieces))[3].result
        assert result.populateJobResult.taskConfig.executorConfig.data == text
        answer.drop()
        assert outstanding(inner).bytes == 0

    asyncio.run(run())


@pytest.mark.parametrize("is_http", [False, True])
def test_a_part_that_is_longer_than_a_piece(is_http: bool) -> None:
    """One configuration may have megabytes."""
    text = "z" * (2 * large.PIECE_BYTES + 1)
    executor = aurora.ExecutorConfig(name="AuroraExecutor", data=text)

    async def run() -> None:
        inner = Serving()
        await inner.start()
        assert await ask(inner, binary_call("createJob", description=job(2, executorConfig=executor))) == 1
        port, call = (inner.http_port, http_call_of_big()) if is_http else (inner.thrift_port, framed(BIG))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(call)
        if is_http:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
            payload = await asyncio.wait_for(reader.readexactly(length), 60)
            assert payload.count(text.encode()) == 2
        else:
            payload = await frame(reader)
            assert [task.assignedTask.task.executorConfig.data for task in tasks_of(payload)] == [text] * 2
        writer.close()
        await inner.stop()

    asyncio.run(run())


@in_loop
async def test_who_hangs_up_is_forgotten(inner: Serving) -> None:
    for piece in (framed(BIG), BIG):
        _, writer = await connect(inner)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(piece)
        await until(lambda: outstanding(inner).answers == 1)
        writer.transport.abort()
        await until(lambda: outstanding(inner).answers == 0)
    _, writer = await asyncio.open_connection("127.0.0.1", inner.http_port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(http_call_of_big())
    await until(lambda: outstanding(inner).answers == 1)
    writer.transport.abort()
    await until(lambda: outstanding(inner).answers == 0)


@in_loop
async def test_who_takes_nothing_is_cut(inner: Serving) -> None:
    _, writer = await connect(inner)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(framed(BIG))
    await until(lambda: any(connection._paused for connection in inner.raw.connections))
    now = asyncio.get_running_loop().time()
    inner.raw.sweep(now + 29)
    assert len(inner.raw.connections) == 1
    inner.raw.sweep(now + 31)
    await until(lambda: not inner.raw.connections)
    writer.transport.abort()


def test_who_takes_it_too_slowly_is_cut() -> None:
    async def run() -> None:
        told = iter([0.0, *(10.0 * i for i in range(1000))])
        parts = Parts([[b"x" * large.PIECE_BYTES] for _ in range(100)])
        answer = Large(parts, 0, Turns(), Outstanding(1), mistake=lambda wrong: b"", too_long=lambda size: b"")
        await answer.prepare()
        taken = []

        async def take() -> None:
            async for piece in answer.pieces(clock=lambda: next(told)):
                taken.append(len(piece))

        with pytest.raises(TooSlow, match=r"it took \d+ of 26214400 bytes of its answer in \d+ s"):
            await take()
        assert 1 <= len(taken) <= 10

    asyncio.run(run())


def test_a_mistake_on_the_way_is_an_answer() -> None:
    def batches() -> Any:
        yield [b"x"]
        raise RuntimeError("the table is on fire")

    async def run(parts: Parts, size: int) -> bytes:
        answer = Large(
            parts,
            0,
            Turns(),
            Outstanding(1),
            mistake=lambda wrong: str(wrong).encode(),
            too_long=lambda size: b"too long: %d" % size,
        )
        parts.size += size
        await answer.prepare()
        found = b"".join([bytes(piece) async for piece in answer.pieces(b"frame:")])
        answer.drop()
        return found

    assert asyncio.run(run(Parts(batches()), 0)) == b"frame:the table is on fire"
    assert asyncio.run(run(Parts([[b"x"]]), 2**31)) == b"frame:too long: 2147483649"


def test_turns_go_round_and_forget_who_is_gone() -> None:
    async def run() -> None:
        turns, order = Turns(), []

        async def work(name: str) -> None:
            for _ in range(3):
                await turns.mine()
                order.append(name)

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(work(name))
            gone = group.create_task(work("gone"))
            await asyncio.sleep(0)
            gone.cancel()
        assert order == list("abcabcabc")
        await turns.mine()

    asyncio.run(run())


def test_the_socket_counts_a_large_answer_as_a_full_queue() -> None:
    assert raw_connection.MAX_WAITING_BYTES >= large.PIECE_BYTES
