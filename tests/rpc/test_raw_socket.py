"""The raw port with real sockets: framed and unframed, in order, durable first, and nothing an attacker says lasts."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from thriftpy2.rpc import make_client
from thriftpy2.transport import TBufferedTransportFactory, TFramedTransportFactory

from scheduler.contracts import Outcome
from scheduler.interface import aurora, thesan
from scheduler.rpc.connection import MAX_WAITING, MESSAGES_PER_TURN
from scheduler.rpc.messages import MAX_MESSAGE_BYTES
from scheduler.testing.serving import Serving, serving
from tests.rpc.calls import JOB, UPDATE, binary_call, framed, job, raw_call, read_reply, task_config, update_request

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served() -> AsyncIterator[Serving]:
    inner = Serving()
    inner.thrift_port = await inner.raw.start("127.0.0.1", 0)
    try:
        yield inner
    finally:
        await inner.raw.stop()


async def connect(inner: Serving) -> Streams:
    return await asyncio.open_connection("127.0.0.1", inner.thrift_port)


async def frame(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await asyncio.wait_for(reader.readexactly(4), 5), "big")
    return await asyncio.wait_for(reader.readexactly(length), 5)


async def closed(reader: asyncio.StreamReader) -> bool:
    """Does the server close, without a word?"""
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionResetError:
        return True


def in_loop(test: Callable[[Serving], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test beside a server."""

    async def run() -> None:
        async with served() as inner:
            await test(inner)

    def sync() -> None:
        asyncio.run(run())

    sync.__name__, sync.__doc__ = test.__name__, test.__doc__
    return sync


@pytest.mark.parametrize("factory", [TFramedTransportFactory(), TBufferedTransportFactory()])
def test_thriftpy2s_own_client_with_either_transport(factory: object) -> None:
    with serving() as house:
        client = make_client(thesan.Scheduler, "127.0.0.1", house.thrift_port, trans_factory=factory, timeout=5000)
        assert client.createJob(job(3)).responseCode == aurora.ResponseCode.OK
        found = client.getTasksStatus(aurora.TaskQuery()).result.scheduleStatusResult.tasks
        assert sorted(task.assignedTask.instanceId for task in found) == [0, 1, 2]
        started = client.startJobUpdate(update_request(3, blockIfNoPulsesAfterMs=60_000), "go")
        key = started.result.startJobUpdateResult.key
        assert client.pulseJobUpdate(key).result.pulseJobUpdateResult.status == aurora.JobUpdatePulseStatus.OK
        assert client.abortJobUpdate(key, "enough").responseCode == aurora.ResponseCode.OK
        assert client.getServerState().activeTasks == 3
        client.close()


@in_loop
async def test_pipelined_requests_are_answered_in_order(inner: Serving) -> None:
    for wrap in (framed, bytes):
        reader, writer = await connect(inner)
        count = 3 * MESSAGES_PER_TURN
        calls = [binary_call("pulseJobUpdate", seqid, key=UPDATE) for seqid in range(count)]
        writer.write(b"".join(wrap(call) for call in calls))
        one = len(inner.processor.process(calls[0], *_strict()).payload)
        for seqid in range(count):
            payload = await frame(reader) if wrap is framed else await reader.readexactly(one)
            assert read_reply(payload)[2] == seqid
        writer.close()


def _strict() -> tuple[object, ...]:
    from scheduler.rpc.binary import STRICT
    from scheduler.rpc.processor import Caller

    return STRICT, STRICT, Caller()


@in_loop
async def test_messages_may_come_in_any_pieces(inner: Serving) -> None:
    call = binary_call("getJobs", 8)
    for message in (framed(call), call):
        reader, writer = await connect(inner)
        for byte in message:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        payload = await frame(reader) if message is not call else await asyncio.wait_for(reader.read(65536), 5)
        assert read_reply(payload)[2] == 8
        writer.close()


@in_loop
async def test_a_large_unframed_message_is_walked_once(inner: Serving) -> None:
    """In 4,000 pieces: looking at it anew with every piece would take minutes."""
    text = "x" * 40_000
    config = task_config(metadata=[aurora.Metadata(key=f"{i}", value=text) for i in range(100)])
    message = binary_call("populateJobConfig", description=aurora.JobConfiguration(key=JOB, taskConfig=config))
    reader, writer = await connect(inner)
    started = time.process_time()
    for at in range(0, len(message), 1000):
        writer.write(message[at : at + 1000])
        await writer.drain()
    assert (await asyncio.wait_for(reader.readexactly(4), 20))[:2] == b"\x80\x01"
    assert time.process_time() - started < 3
    writer.close()


@in_loop
async def test_a_reply_waits_until_it_is_durable(inner: Serving) -> None:
    inner.core.held = True
    reader, writer = await connect(inner)
    writer.write(framed(binary_call("getTierConfigs", 1)))
    writer.write(framed(binary_call("createJob", 2, description=job())))
    writer.write(framed(binary_call("getTasksStatus", 3, query=aurora.TaskQuery())))
    assert read_reply(await frame(reader))[2] == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), 0.1)
    inner.core.release()
    assert [read_reply(await frame(reader))[2] for _ in range(2)] == [2, 3]
    writer.close()


@in_loop
async def test_what_was_refused_is_said_to_be_refused(inner: Serving) -> None:
    inner.core.held = True
    reader, writer = await connect(inner)
    writer.write(framed(binary_call("createJob", 2, description=job())))
    await _until(lambda: len(inner.core.calls) == 1)
    inner.stage.controller.next_entry(b"\0" * 16)
    inner.stage.controller.end(Outcome.REFUSED)
    response = read_reply(await frame(reader))[3]
    assert response.responseCode == aurora.ResponseCode.ERROR_TRANSIENT
    writer.close()


@in_loop
async def test_what_nobody_knows_is_not_said(inner: Serving) -> None:
    inner.core.held = True
    reader, writer = await connect(inner)
    writer.write(framed(binary_call("createJob", 2, description=job())))
    await _until(lambda: len(inner.core.calls) == 1)
    inner.stage.controller.next_entry(b"\0" * 16)
    inner.stage.controller.end(Outcome.UNKNOWN)
    assert await closed(reader)
    writer.close()


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01 a TLS hello",
        struct.pack(">i", 0),
        struct.pack(">i", MAX_MESSAGE_BYTES + 1),
        struct.pack(">i", 2**31 - 1),
        struct.pack(">i", -1),
        framed(b"\x80\x01"),
        framed(raw_call("getJobs", struct.pack(">Bhi", 11, 1, -1))),
        framed(raw_call("pulseJobUpdate", struct.pack(">BhBi", 15, 77, 1, 2**31 - 1))),
        raw_call("pulseJobUpdate", struct.pack(">BhBi", 15, 77, 1, 2**31 - 1)),
        raw_call("getJobs", struct.pack(">Bhi", 11, 1, 2**31 - 1)),
        raw_call("getJobs", struct.pack(">Bhi", 11, 1, -1)),
        raw_call("getJobs", struct.pack(">Bh", 12, 77) * 100),
    ],
)
def test_malformed_input_closes_the_connection_and_hurts_nobody(first: bytes) -> None:
    async def run() -> None:
        async with served() as inner:
            innocent_reader, innocent_writer = await connect(inner)
            reader, writer = await connect(inner)
            writer.write(first)
            started = time.perf_counter()
            assert await closed(reader)
            innocent_writer.write(framed(binary_call("getTierConfigs", 9)))
            assert read_reply(await frame(innocent_reader))[2] == 9
            assert time.perf_counter() - started < 0.5
            for each in (writer, innocent_writer):
                each.close()

    asyncio.run(run())


@in_loop
async def test_calls_before_a_malformed_one_are_answered(inner: Serving) -> None:
    reader, writer = await connect(inner)
    writer.write(framed(binary_call("getTierConfigs", 1)) + framed(b"nonsense"))
    assert read_reply(await frame(reader))[2] == 1
    assert await closed(reader)
    writer.close()


@in_loop
async def test_unknown_methods_keep_the_connection(inner: Serving) -> None:
    reader, writer = await connect(inner)
    writer.write(framed(raw_call("noSuchMethod", b"\0", 1)) + framed(binary_call("getTierConfigs", 2)))
    assert read_reply(await frame(reader))[1] == 3
    assert read_reply(await frame(reader))[1:3] == (2, 2)
    writer.close()


@in_loop
async def test_a_client_may_shut_its_side_and_still_read(inner: Serving) -> None:
    reader, writer = await connect(inner)
    writer.write(framed(binary_call("createJob", 1, description=job())))
    writer.write_eof()
    assert read_reply(await frame(reader))[2] == 1
    assert await closed(reader)
    writer.close()


@in_loop
async def test_who_does_not_read_is_not_read_from(inner: Serving) -> None:
    """Every reply is large; the server must not make thousands of them for a client that takes none."""
    assert (await _ask(inner, binary_call("createJob", 1, description=job(500)))).responseCode == 1
    _, writer = await connect(inner)
    before = len(inner.core.calls)
    call = framed(binary_call("getTasksStatus", 1, query=aurora.TaskQuery()))
    writer.write(call * 3000)
    await asyncio.sleep(0.5)
    answered = len(inner.core.calls) - before
    assert 0 < answered < 200
    (connection,) = [c for c in inner.raw.connections if c.caller.address.endswith(f":{_port(writer)}")]
    assert connection._transport.get_write_buffer_size() < 8_000_000
    writer.transport.abort()


@in_loop
async def test_replies_that_wait_for_durability_are_bounded(inner: Serving) -> None:
    inner.core.held = True
    reader, writer = await connect(inner)
    writer.write(framed(binary_call("createJob", 0, description=job())))
    count = 2 * MAX_WAITING
    for seqid in range(1, count):
        writer.write(framed(binary_call("pulseJobUpdate", seqid, key=UPDATE)))
    await _until(lambda: len(inner.core.calls) >= MAX_WAITING)
    await asyncio.sleep(0.1)
    assert len(inner.core.calls) == MAX_WAITING
    inner.core.release()
    for seqid in range(count):
        assert read_reply(await frame(reader))[2] == seqid
    writer.close()


def _port(writer: asyncio.StreamWriter) -> int:
    port: int = writer.get_extra_info("sockname")[1]
    return port


async def _ask(inner: Serving, call: bytes) -> object:
    reader, writer = await connect(inner)
    writer.write(framed(call))
    response = read_reply(await frame(reader))[3]
    writer.close()
    return response


@in_loop
async def test_the_sweep_closes_the_silent_and_the_half_said(inner: Serving) -> None:
    loop = asyncio.get_running_loop()
    idle_reader, idle = await connect(inner)
    idle.write(framed(binary_call("getTierConfigs", 1)))
    await frame(idle_reader)
    half_reader, half = await connect(inner)
    half.write(framed(binary_call("getTierConfigs", 1))[:-3])
    await _until(lambda: any(c._incoming for c in inner.raw.connections))
    inner.raw.sweep(loop.time() + 29)
    assert len(inner.raw.connections) == 2
    inner.raw.sweep(loop.time() + 31)
    assert await closed(half_reader)
    assert len(inner.raw.connections) == 1
    inner.raw.sweep(loop.time() + 901)
    assert await closed(idle_reader)
    for writer in (idle, half):
        writer.close()


@in_loop
async def test_dripping_bytes_do_not_keep_a_message_alive(inner: Serving) -> None:
    """The deadline counts from the message's first byte."""
    loop = asyncio.get_running_loop()
    reader, writer = await connect(inner)
    began = loop.time()
    for byte in framed(binary_call("getTierConfigs", 1))[:-3]:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)
    (connection,) = inner.raw.connections
    since = connection.silent_since(900, 30)
    assert since is not None
    assert since < began + 30.2
    writer.close()
    assert reader is not None


@in_loop
async def test_who_waits_for_us_is_not_swept(inner: Serving) -> None:
    inner.core.held = True
    reader, writer = await connect(inner)
    writer.write(framed(binary_call("createJob", 1, description=job())))
    await _until(lambda: len(inner.core.calls) == 1)
    inner.raw.sweep(asyncio.get_running_loop().time() + 10_000)
    inner.core.release()
    assert read_reply(await frame(reader))[2] == 1
    writer.close()


def test_stopping_lets_due_replies_leave_and_cuts_the_rest() -> None:
    async def run() -> None:
        inner = Serving()
        inner.thrift_port = await inner.raw.start("127.0.0.1", 0)
        inner.core.held = True
        reader, writer = await connect(inner)
        idle_reader, idle = await connect(inner)
        writer.write(framed(binary_call("createJob", 1, description=job())))
        await _until(lambda: len(inner.core.calls) == 1)
        stopping = asyncio.create_task(inner.raw.stop(grace_s=5))
        assert await closed(idle_reader)
        inner.core.release()
        assert read_reply(await frame(reader))[2] == 1
        assert await closed(reader)
        await asyncio.wait_for(stopping, 1)
        stuck = Serving()
        stuck.thrift_port = await stuck.raw.start("127.0.0.1", 0)
        stuck.core.held = True
        stuck_reader, stuck_writer = await connect(stuck)
        stuck_writer.write(framed(binary_call("createJob", 1, description=job())))
        await _until(lambda: len(stuck.core.calls) == 1)
        await stuck.raw.stop(grace_s=0.05)
        assert await closed(stuck_reader)
        for each in (writer, idle, stuck_writer):
            each.close()

    asyncio.run(run())
