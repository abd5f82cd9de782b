"""watchEvents on both carriers: what it answers, what it refuses, and who waits behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from thriftpy2.rpc import make_client

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.interface import thesan
from scheduler.testing.serving import InThread, serving
from tests.rpc.calls import binary_call, job, read_reply


@pytest.fixture
def house() -> Iterator[InThread]:
    with serving() as inner:
        yield inner


@pytest.fixture
def client(house: InThread) -> Iterator[Any]:
    made = make_client(thesan.Scheduler, "127.0.0.1", house.thrift_port, timeout=20_000)
    yield made
    made.close()


def over_http(house: InThread, *arguments: int | None) -> Any:
    fields = dict(zip(("cursor", "limit", "waitMs"), arguments, strict=True))
    answer = requests.post(
        f"http://127.0.0.1:{house.http_port}/api",
        data=binary_call("watchEvents", **fields),
        headers={"Content-Type": "application/vnd.apache.thrift.binary"},
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
    until = time.monotonic() + 10
    while not house.on_loop(lambda: house.inner.stream.waiting):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert client.getServerState().version == "test"
    order.append("another was answered")
    stream = house.inner.stream
    dropped = ops.RemoveTasks(("a", "b"))
    house.on_loop(lambda: stream.committed(Entry(stream.end + 1, 1, bytes(16), 0, (dropped,))))
    thread.join(10)
    waiting.close()
    assert order == ["another was answered", "told of 2"]


def test_who_hangs_up_waits_no_longer(house: InThread) -> None:
    gone = make_client(thesan.Scheduler, "127.0.0.1", house.thrift_port, timeout=300)
    with pytest.raises(Exception, match="timed out"):
        gone.watchEvents(None, 10, 30_000)
    gone.close()
    until = time.monotonic() + 5
    while house.on_loop(lambda: house.inner.stream.waiting):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert house.inner.processor.replies.outstanding.answers == 0
