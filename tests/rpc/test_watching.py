"""watchEvents on both carriers: what it answers, what it refuses, and who waits behind it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from thriftpy2.rpc import make_client

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.interface import thesan
from scheduler.rpc.large import Outstanding
from scheduler.rpc.later import Later
from scheduler.rpc.turns import Turns
from scheduler.testing.serving import InThread, serving
from tests.rpc.calls import binary_call, framed, job, read_reply


@pytest.fixture
def house() -> Iterator[InThread]:
    with serving() as inner:
        yield inner


@pytest.fixture
def client(house: InThread) -> Iterator[Any]:
    made = make_client(thesan.Scheduler, "127.0.0.1", house.thrift_port, timeout=20_000)
    yield made
    made.close()


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def over_http(house: InThread, *arguments: int | None) -> Any:
    fields = dict(zip(("cursor", "limit", "waitMs"), arguments, strict=True))
    answer = requests.post(
        f"http://127.0.0.1:{house.http_port}/api",
        data=binary_call("watchEvents", **fields),
        headers=dict.fromkeys(("Content-Type", "Accept"), "application/vnd.apache.thrift.binary"),
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    return read_reply(answer.content)[3]


def test_both_carriers_say_the_same(house: InThread, client: Any) -> None:
    client.createJob(job(3))
    found = client.watchEvents(0, None, None)
    assert (found.responseCode, found.lineage) == (1, "test")
    tasks = [event for event in found.events if event.kind == 2 and event.taskStatus == 0]
    assert [(event.job.name, event.instanceId) for event in tasks] == [("hello", 0), ("hello", 1), ("hello", 2)]
    assert [event.index for event in tasks] == [0, 1, 2]
    assert over_http(house, 0, None, None) == found
    assert client.watchEvents(found.nextCursor, 10, 0).events == []


def test_what_makes_no_sense_is_named(client: Any) -> None:
    for arguments, field in (((-1, 0, 0), "cursor"), ((0, -2, 0), "limit"), ((0, 0, -3), "waitMs")):
        refused = client.watchEvents(*arguments)
        assert refused.responseCode == 0
        assert refused.details[0].startswith(f"{field} is -"), refused
    assert "ahead of the log" in client.watchEvents(10**12, 0, 0).details[0]


def test_a_cursor_that_is_too_old_says_where_to_begin(house: InThread, client: Any) -> None:
    client.createJob(job(1))
    house.on_loop(lambda: house.inner.stream.begin_epoch("test", len(house.stage.log)))
    old = client.watchEvents(0, 10, 1000)
    assert (old.responseCode, old.beginCursor, old.lineage) == (0, len(house.stage.log), "test")
    assert client.watchEvents(old.beginCursor, 10, 0).responseCode == 1


def test_a_reply_that_waits_holds_up_its_own_connection_only(house: InThread, client: Any) -> None:
    order: list[str] = []
    waiting = make_client(thesan.Scheduler, "127.0.0.1", house.thrift_port, timeout=20_000)

    def wait() -> None:
        order.append(f"told of {len(waiting.watchEvents(None, 10, 15_000).events)}")

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: house.on_loop(lambda: house.inner.stream.waiting == 1))
    assert client.getServerState().version == "test"
    order.append("another was answered")
    stream = house.inner.stream
    dropped = ops.RemoveTasks(("a", "b"))
    house.on_loop(lambda: stream.committed(Entry(stream.end + 1, 1, bytes(16), 0, (dropped,))))
    thread.join(10)
    waiting.close()
    assert order == ["another was answered", "told of 2"]


def test_who_breaks_off_waits_no_longer(house: InThread) -> None:
    """Nothing is left of one that resets."""
    call = framed(binary_call("watchEvents", waitMs=30_000))
    with socket.create_connection(("127.0.0.1", house.thrift_port), timeout=10) as raw:
        raw.sendall(call)
        wait_until(lambda: house.on_loop(lambda: house.inner.stream.waiting == 1))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: house.on_loop(lambda: house.inner.stream.waiting == 0))
    assert house.inner.processor.replies.outstanding.answers == 0


def test_who_closes_its_own_side_is_answered_at_once(house: InThread) -> None:
    """It may be gone, and only look like one that still wants its answer: it must not hold a place for 30 s."""
    with socket.create_connection(("127.0.0.1", house.thrift_port), timeout=10) as raw:
        raw.sendall(framed(binary_call("watchEvents", waitMs=30_000)) + framed(binary_call("getServerState")))
        wait_until(lambda: house.on_loop(lambda: house.inner.stream.waiting >= 1))
        begun = time.monotonic()
        raw.shutdown(socket.SHUT_WR)
        file = raw.makefile("rb")
        watched, state = [read_reply(file.read(int.from_bytes(file.read(4), "big")))[3] for _ in range(2)]
        assert file.read() == b"", "the server closes when all is answered"
        file.close()
    assert time.monotonic() - begun < 5
    assert (watched.responseCode, watched.events, state.version) == (1, [], "test")
    assert house.inner.stream.waiting == 0
    assert house.inner.processor.replies.outstanding.answers == 0


def test_what_is_asked_behind_it_is_done_and_answered_in_its_turn(house: InThread) -> None:
    with socket.create_connection(("127.0.0.1", house.thrift_port), timeout=10) as raw:
        raw.sendall(framed(binary_call("watchEvents", seqid=1, waitMs=15_000)))
        wait_until(lambda: house.on_loop(lambda: house.inner.stream.waiting == 1))
        raw.sendall(framed(binary_call("createJob", seqid=2, description=job(1))))
        file = raw.makefile("rb")
        replies = [read_reply(file.read(int.from_bytes(file.read(4), "big"))) for _ in range(2)]
        file.close()
    assert [(name, seqid) for name, _, seqid, _ in replies] == [("watchEvents", 1), ("createJob", 2)]
    assert replies[0][3].events[0].job.name == "hello"
    assert replies[1][3].responseCode == 1


@pytest.mark.parametrize("merely_waits", [True, False])
def test_only_what_merely_waits_is_hurried(merely_waits: bool) -> None:
    """A backup that is being made is no waiting: in a hurry it would be made twice."""
    made: list[str] = []

    async def make() -> bytes:
        made.append("begun")
        await asyncio.sleep(0.05)
        made.append("done")
        return b"made"

    async def now() -> bytes:
        return b"now"

    async def answered() -> bytes:
        answer = Later(
            make,
            Turns(),
            Outstanding(10**6),
            mistake=lambda _: b"",
            too_long=lambda _: b"",
            at_once=now if merely_waits else None,
        )
        preparing = asyncio.create_task(answer.prepare())
        await asyncio.sleep(0.01)
        answer.hurry()
        answer.hurry()
        await preparing
        return b"".join([bytes(piece) async for piece in answer.pieces()])

    assert asyncio.run(answered()) == (b"now" if merely_waits else b"made")
    assert made == (["begun"] if merely_waits else ["begun", "done"])
