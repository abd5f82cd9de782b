"""/events through a real HTTP client: order, coming back, refusals, and listeners that do not listen."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests

from scheduler.contracts import Entry
from scheduler.core import jobs, ops
from scheduler.core.records import ExecutorConfig, JobConfiguration, JobKey, Resource, ResourceKind, TaskConfig
from scheduler.testing.serving import InThread, serving
from scheduler.testing.stage import Stage


def config(name: str) -> TaskConfig:
    kinds = (ResourceKind.CPUS, ResourceKind.RAM_MB, ResourceKind.DISK_MB)
    resources = tuple(Resource(kind, 1) for kind in kinds)
    executor = ExecutorConfig("AuroraExecutor", "{}")
    return TaskConfig(JobKey("www", "prod", name), is_service=True, executor=executor, resources=resources)


def create(house: InThread, name: str, instances: int = 1) -> None:
    request = JobConfiguration(JobKey("www", "prod", name), config(name), instances)
    answer = house.on_loop(lambda: house.stage.ask(jobs.create, request, "me"))
    assert answer.ok, answer


@pytest.fixture
def house() -> Iterator[InThread]:
    with serving(Stage()) as inner:
        yield inner


def url(house: InThread, cursor: object = None) -> str:
    return f"http://127.0.0.1:{house.http_port}/events" + ("" if cursor is None else f"?cursor={cursor}")


class Listener:
    """A client as a browser is one: it knows the id it saw last."""

    def __init__(self, house: InThread, cursor: object = None, **headers: str) -> None:
        self.response = requests.get(url(house, cursor), headers=headers, stream=True, timeout=10)
        self.last_id = ""
        self._lines = self.response.iter_lines(chunk_size=1, decode_unicode=True)

    def messages(self) -> Iterator[tuple[str, dict[str, Any]]]:
        name, data = "message", ""
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value
            elif field == "id":
                self.last_id = value
            elif not line and data:
                yield name, json.loads(data)
                name, data = "message", ""

    def events(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name, data in self.messages():
            if name == "message":
                found.append(data)
                if len(found) == count:
                    return found
        raise AssertionError(f"the stream ended after {found}")

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()


def test_old_events_then_new_ones_in_order(house: InThread) -> None:
    create(house, "one")
    with Listener(house, 0) as listener:
        assert listener.response.headers["Content-Type"] == "text/event-stream"
        first = listener.events(2)
        assert (first[0]["kind"], first[0]["epoch"]) == ("LEADER", 1)
        assert first[1]["job"] == "www/prod/one"
        assert (first[1]["taskStatus"], first[1]["instanceId"]) == ("PENDING", 0)
        create(house, "two")
        found = listener.events(2)
        places = [(event["cursor"], event["index"]) for event in first + found]
        assert places == sorted(set(places))


def test_who_comes_back_goes_on_and_gets_half_an_entry_again(house: InThread) -> None:
    create(house, "many", 5)
    with Listener(house, 0) as listener:
        seen = listener.events(3)  # LEADER, and two of the five tasks
        assert listener.last_id == str(seen[0]["cursor"])
    with Listener(house, 0, **{"Last-Event-ID": listener.last_id}) as again:
        more = again.events(5)
    assert more[:2] == seen[1:]
    assert [event["index"] for event in more] == [0, 1, 2, 3, 4]


def test_without_a_cursor_it_begins_now(house: InThread) -> None:
    create(house, "old")
    with Listener(house) as listener:
        name, first = next(listener.messages())
        assert (name, first["lineage"]) == ("cursor", "test")
        create(house, "new")
        assert listener.events(1)[0]["job"] == "www/prod/new"


def test_what_is_no_cursor_is_refused(house: InThread) -> None:
    for cursor in ("x", "-1", "", "1" * 30):
        if cursor:
            assert requests.get(url(house, cursor), timeout=10).status_code == 400
    ahead = requests.get(url(house, 10_000), timeout=10)
    assert (ahead.status_code, "ahead of the log" in ahead.json()["message"]) == (400, True)
    assert requests.post(url(house), timeout=10).status_code == 405
    assert requests.get(url(house, 0), headers={"Sec-Fetch-Site": "cross-site"}, timeout=10).status_code == 403


def test_too_old_is_410_and_says_where_to_begin(house: InThread) -> None:
    def forget() -> None:
        house.inner.stream.begin_epoch("test", len(house.stage.log))

    create(house, "one")
    house.on_loop(forget)
    answer = requests.get(url(house, 0), timeout=10)
    assert answer.status_code == 410
    begin = answer.json()["begin"]
    with Listener(house, begin) as listener:
        create(house, "two")
        assert listener.events(1)[0]["job"] == "www/prod/two"


def test_there_are_only_so_many_listeners_and_places_come_free(house: InThread) -> None:
    source = house.inner.event_source
    source._max_listeners = 2
    with Listener(house, 0) as one, Listener(house, 0) as two:
        one.events(1), two.events(1)
        refused = requests.get(url(house, 0), timeout=10)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    until = time.monotonic() + 10
    while source.listeners:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_listener_that_does_not_read_holds_nothing_up(house: InThread) -> None:
    """What is written to it stops at the buffers; others go on, and it is dropped after its time."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", house.http_port))
        raw.sendall(b"GET /events?cursor=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = house.inner.stream
        for number in range(30):
            dropped = ops.RemoveTasks(tuple(f"{'long' * 20}-{number}-{task}" for task in range(1000)))
            house.on_loop(lambda: stream.committed(Entry(stream.end + 1, 1, bytes(16), 0, (dropped,))))  # noqa: B023
        end = stream.end
        with Listener(house, end - 1) as other:
            assert other.events(1)[0]["cursor"] == end

        def stuck() -> bool:
            assert house.inner.web is not None
            return any(c._stuck_since is not None for c in house.inner.web._server.server_state.connections)  # type: ignore[union-attr]

        until = time.monotonic() + 10
        while not house.on_loop(stuck):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert house.inner.web is not None
        web = house.inner.web
        house.on_loop(lambda: web.sweep(time.monotonic() + 31))
        raw.settimeout(10)
        with suppress(ConnectionError):  # closed one way or the other
            while raw.recv(65536):
                pass
        assert house.inner.event_source.listeners <= 1


def test_a_stream_that_ends_says_so(house: InThread) -> None:
    with Listener(house) as listener:
        told = listener.messages()
        next(told)
        house.on_loop(lambda: house.inner.stream.close("no leader"))
        assert list(told) == [("end", {"message": "no leader"})]
    assert requests.get(url(house), timeout=10).status_code == 503
