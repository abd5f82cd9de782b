"""Every row of docs/compatibility.md, "Malformed input", on real sockets. A row without a case here fails, and a case
without a row."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from thriftpy2.transport import TTransportException

from scheduler.contracts import Outcome
from scheduler.interface import aurora
from scheduler.rpc.doors import Doors
from scheduler.rpc.handler import METHODS
from scheduler.rpc.tjson import JSON
from scheduler.testing.serving import Serving
from tests.rpc.calls import JOB, args_of, binary_call, framed, job, json_call, raw_call, read_reply, task_config

PAGE: Final = Path(__file__).parents[2] / "docs" / "compatibility.md"
BINARY_TYPE: Final = "application/vnd.apache.thrift.binary"
MAX_MESSAGE_BYTES: Final = 2_000_000

Row = tuple[str, str, str]


def rows() -> list[Row]:
    section = PAGE.read_text(encoding="utf-8").partition("## Malformed input")[2].partition("\n## ")[0]
    table = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return [row for row in table if row[0] not in ("input", "---")]


# --- the ways in


class Way:
    """One carrier with one protocol. `answer` says in the table's words what came back."""

    def __init__(self, name: str, house: Serving) -> None:
        self.name = name
        self.house = house

    @property
    def is_http(self) -> bool:
        return self.name.startswith("HTTP")

    @property
    def is_json(self) -> bool:
        return self.name == "HTTP TJSON"

    def wrap(self, message: bytes) -> bytes:
        if self.name == "raw framed":
            return framed(message)
        return self.request(message) if self.is_http else message

    def request(self, body: bytes, *headers: str, method: str = "POST", host: str | None = "localhost") -> bytes:
        kind = [] if self.is_json else [f"Content-Type: {BINARY_TYPE}", f"Accept: {BINARY_TYPE}"]
        lines = [f"{method} /api HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *kind, *headers]
        return "\r\n".join(line for line in lines if line != "Host: None").encode() + b"\r\n\r\n" + body

    def call(self, method: str, **fields: Any) -> bytes:
        return (json_call if self.is_json else binary_call)(method, **fields)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = self.house.http_port if self.is_http else self.house.thrift_port
        return await asyncio.open_connection("127.0.0.1", port)

    async def say(self, data: bytes, after: Callable[[], Awaitable[None]] | None = None) -> str:
        """Send bytes and tell what came back."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            if after is not None:
                await after()
            return await asyncio.wait_for(self.read(reader), 10)
        finally:
            writer.transport.abort()

    async def read(self, reader: asyncio.StreamReader) -> str:
        return await (self._read_http(reader) if self.is_http else self._read_raw(reader))

    async def _read_raw(self, reader: asyncio.StreamReader) -> str:
        try:
            payload = await reader.readexactly(4)
            if self.name == "raw framed":
                payload = await reader.readexactly(int.from_bytes(payload, "big"))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return "close"
        while True:
            with suppress(TTransportException):  # without a frame, only reading tells where a reply ends
                return said(*read_reply(payload)[1::2])
            payload += await reader.read(1 << 20)

    async def _read_http(self, reader: asyncio.StreamReader) -> str:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return "close"
        size = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(size[1])) if size else b""
        status = head[9:12].decode()
        if status != "200":
            assert len(body) > 10 or status == "500", "a refusal says why"
            return status
        if not self.is_json:
            return f"200, {said(*read_reply(body)[1::2])}"
        _, _, kind, _, fields = json.loads(body)
        if kind == 3:
            return f"200, {said(kind, None, fields['2']['i32'])}"
        return f"200, {aurora.ResponseCode._VALUES_TO_NAMES[fields['0']['rec']['1']['i32']]}"


def said(kind: int, returned: Any, exception: int | None = None) -> str:
    if kind == 3:
        number = exception if exception is not None else returned.type
        return f"exception {({1: 'UNKNOWN_METHOD', 2: 'INVALID_MESSAGE_TYPE'})[number]}"
    return str(aurora.ResponseCode._VALUES_TO_NAMES[returned.responseCode])


WAYS: Final = {
    "HTTP": ("HTTP TBinary", "HTTP TJSON"),
    "raw": ("raw framed", "raw unframed"),
}

# --- messages in either protocol


def with_args(way: Way, method: str, binary: bytes, text: str) -> bytes:
    """A call whose arguments are given in bytes."""
    if way.is_json:
        return f'[1,"{method}",1,1,{{{text}}}]'.encode()
    return raw_call(method, binary + b"\0")


def deep(count: int) -> tuple[bytes, str]:
    return struct.pack(">Bh", 12, 77) * count + b"\0" * count, '"77":{"rec":{' * count + "}}" * count


def kill(way: Way, instances: bytes, text: str) -> bytes:
    job_key = binary_call("killTasks", job=JOB)[len(raw_call("killTasks", b"")) : -1]
    as_text = json.dumps(json.loads(JSON.write("x", 1, 1, args_of("killTasks", job=JOB)))[4])[1:-1]
    return with_args(way, "killTasks", job_key + instances, f"{as_text},{text}")


def replaced(way: Way, message: bytes, old: bytes, new: bytes) -> bytes:
    assert message.count(old) == 1
    return message.replace(old, new)


def populate(way: Way, *resources: Any) -> bytes:
    return way.call("populateJobConfig", description=job(resources=list(resources)))


def union(way: Way) -> Iterator[bytes]:
    yield populate(way, aurora.Resource())
    yield populate(way, aurora.Resource(numCpus=1.0, ramMb=5))


def amounts(way: Way) -> Iterator[bytes]:
    for amount in ("nan", "inf", "-inf"):
        yield populate(way, aurora.Resource(numCpus=float(amount)))


def heavy(way: Way) -> Iterator[bytes]:
    # As many as fit the message, of what weighs most.
    binary = struct.pack(">BhBi", 15, 77, 12, 10_001) + b"\0" * 10_001
    yield with_args(way, "getJobs", binary, '"77":{"lst":["rec",10001' + ",{}" * 10_001 + "]}")
    structs = '"77":{"rec":{' + ",".join(f'"{number}":{{"rec":{{}}}}' for number in range(10_000)) + "}}"
    yield with_args(way, "getJobs", struct.pack(">BhB", 12, 77, 0) * 10_001, structs)


def full_of_fields(way: Way) -> Iterator[bytes]:
    of_five = ",{" + ",".join(f'"{number}":{{"tf":1}}' for number in range(20_000)) + "}"
    yield with_args(
        way, "getJobs", struct.pack(">BhB", 2, 77, 1) * 100_001, '"77":{"lst":["rec",5' + of_five * 5 + "]}"
    )


def other_types(way: Way) -> Iterator[bytes]:
    yield kill(way, struct.pack(">BhBii", 15, 5, 8, 1, 7), '"5":{"lst":["i32",1,7]}')
    yield kill(way, struct.pack(">Bhi", 8, 5, 7), '"5":{"i32":7}')


def other_elements(way: Way) -> Iterator[bytes]:
    yield kill(way, struct.pack(">BhBiq", 14, 5, 10, 1, 7), '"5":{"set":["i64",1,7]}')
    yield kill(way, struct.pack(">BhBi", 14, 5, 11, 1) + b"\0\0\0\0", '"5":{"set":["str",1,""]}')


def unknown_fields(way: Way) -> Iterator[bytes]:
    binary, text = deep(60)
    yield with_args(way, "getJobs", binary, text)
    for kind, value in ((2, b"\1"), (4, b"\0" * 8), (11, b"\0\0\0\1x"), (13, b"\x0b\x08\0\0\0\0")):
        yield with_args(way, "getJobs", struct.pack(">Bh", kind, 99) + value, '"99":{"whatever":[1,{"a":null}]}')


def cut(way: Way) -> Iterator[bytes]:
    message = way.call("getJobs", ownerRole="www")
    yield from (message[:end] for end in (1, 8, len(message) // 2, len(message) - 1))


def names(way: Way) -> Iterator[bytes]:
    for name in ("x" * 1000, "é"):
        yield f'[1,"{name}",1,1,{{}}]'.encode() if way.is_json else raw_call(name, b"\0")


def no_calls(way: Way) -> Iterator[bytes]:
    message = way.call("getJobs")
    head = b'"getJobs",1,' if way.is_json else b"\x80\x01\x00\x01"
    yield replaced(way, message, head, head.replace(b",1,", b",2,") if way.is_json else b"\x80\x01\x00\x02")


def missing(way: Way) -> Iterator[bytes]:
    yield way.call("getTasksStatus")
    yield way.call("getJobUpdateSummaries")
    yield way.call("createJob")


def garbage(way: Way) -> Iterator[bytes]:
    yield from (b"nonsense", b"[1]", b"\xff" * 40, b"\x80\x02\x00\x01" + b"\0" * 20)


def not_utf8(way: Way) -> Iterator[bytes]:
    yield replaced(way, way.call("getJobs", ownerRole="www"), b"www", b"\xff\xfe\xfd")


def sized(size: int) -> Callable[[Way], Iterator[bytes]]:
    return lambda way: iter([raw_call("getJobs", struct.pack(">Bhi", 11, 1, size) + b"www\0")])


def after(way: Way) -> Iterator[bytes]:
    yield way.call("getJobs") + b"\0\0"
    yield way.call("getJobs") * 2


def json_only(*texts: str) -> Callable[[Way], Iterator[bytes]]:
    return lambda way: iter([text.encode() for text in texts])


MESSAGES: Final[dict[str, Callable[[Way], Iterator[bytes]]]] = {
    "unknown method": lambda way: iter([with_args(way, "noSuchMethod", b"", "")]),
    "a message that is no call": no_calls,
    "unknown field, of any type, nested": unknown_fields,
    "a field id in another spelling (`05`), or of more than 16 bits": json_only(
        *(f'[1,"killTasks",1,1,{{"{field_id}":{{"set":["i32",1,0]}}}}]' for field_id in ("05", "+5", "65541"))
    ),
    "a known field of another type": other_types,
    "a container with elements of another type": other_elements,
    "an unknown enum value": lambda way: iter([way.call("getTasksStatus", query=aurora.TaskQuery(statuses=[99]))]),
    "a union with no branch or several": union,
    "NaN or infinite amounts": amounts,
    "a required struct is missing": missing,
    "an empty body": lambda way: iter([b""]),
    "garbage instead of a message": garbage,
    "a message cut short": cut,
    "bytes after the message": after,
    "a string longer than the message": sized(5000),
    "a negative size": sized(-1),
    "a list of 2^31 elements that take no bytes": lambda way: iter(
        [raw_call("pulseJobUpdate", struct.pack(">BhBi", 15, 77, kind, 2**31 - 1)) for kind in (0, 1, 99)]
    ),
    "a type that is none of Thrift's": lambda way: iter(
        [raw_call("getJobs", struct.pack(">Bh", kind, 77)) for kind in (1, 99)]
    ),
    "more than 10,000 structs, 100,000 strings or 500,000 numbers": heavy,
    "more than 100,000 fields of structs": full_of_fields,
    "a whole number of more than 40 characters": json_only(f'[1,"getJobs",1,1,{{"77":{{"i64":{"1" * 41}}}}}]'),
    "nesting deeper than 64": lambda way: (with_args(way, "getJobs", *deep(count)) for count in (64, 5000)),
    "a string that is not UTF-8": not_utf8,
    "half of a surrogate pair": json_only('[1,"getJobs",1,1,{"1":{"str":"\\ud83d"}}]'),
    "a number that does not fit its width": json_only(
        '[1,"killTasks",1,1,{"5":{"set":["i32",1,2147483648]}}]', '[1,"getJobs",1,4294967296,{}]'
    ),
    "a method name that is long or not ASCII": names,
    "TBinary's old header without a version": lambda way: iter([binary_call("getTierConfigs", strict=False)]),
    "TJSON of another version": json_only('[2,"getJobs",1,1,{}]'),
    "a message above `--max-message-bytes`": lambda way: iter([way.call("getJobs", ownerRole="x" * MAX_MESSAGE_BYTES)]),
}
"""Rows that are one message each, wrapped as the carrier wants it."""


async def is_refused(way: Way, row: Row) -> None:
    for message in MESSAGES[row[0]](way):
        answer = await way.say(way.wrap(message))
        assert answer == row[2].replace("ignored", "OK").replace("served", "OK"), message[:200]


# --- rows that are more than one message


async def frames(way: Way) -> list[str]:
    return [await way.say(struct.pack(">i", length) + b"\0" * 9) for length in (0, -1, 2**31 - 1, 2**24)]


async def announced(way: Way) -> list[str]:
    head = f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_MESSAGE_BYTES + 1}\r\n\r\n"
    return [await way.say(head.encode())]


async def http_on_raw(way: Way) -> list[str]:
    return [await way.say(b"POST /api HTTP/1.1\r\nHost: localhost\r\n\r\n")]


async def tls(way: Way) -> list[str]:
    return [await way.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500)]


async def no_request(way: Way) -> list[str]:
    return [await way.say(data) for data in (b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n")]


def asked(*headers: str, **how: Any) -> Callable[[Way], Awaitable[list[str]]]:
    async def ask(way: Way) -> list[str]:
        return [await way.say(way.request(way.call("getTierConfigs"), *headers, **how))]

    return ask


async def other_content_type(way: Way) -> list[str]:
    found = []
    for kind in ("text/plain", "application/json; charset=utf-16", "application/vnd.apache.thrift.compact"):
        body = way.call("getTierConfigs")
        head = f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        found.append(await way.say(head.encode() + body))
    return found


async def hosts(way: Way) -> list[str]:
    call = way.call("getTierConfigs")
    return [
        await way.say(way.request(call, host=None)),
        await way.say(way.request(call, "Host: localhost")),
    ]


async def sites(way: Way) -> list[str]:
    return [
        found
        for header in ("Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site")
        for found in await asked(header)(way)
    ]


def later(way: Way, seconds: float) -> Callable[[], Awaitable[None]]:
    """Let the connection be looked at as if so much time had passed."""

    async def look() -> None:
        await asyncio.sleep(0.1)
        now = asyncio.get_running_loop().time()
        for at in (now + seconds - 1, now + seconds + 1):
            await asyncio.sleep(0.05)
            way.house.raw.sweep(at)
            assert way.house.web is not None
            way.house.web.sweep(at)

    return look


async def slow_head(way: Way) -> list[str]:
    return [await way.say(b"POST /api HTTP/1.1\r\nHost: localhost\r\n", later(way, 10))]


async def slow_message(way: Way) -> list[str]:
    return [await way.say(way.wrap(way.call("getJobs", ownerRole="www"))[:-2], later(way, 30))]


def silent(seconds: float) -> Callable[[Way], Awaitable[list[str]]]:
    async def run(way: Way) -> list[str]:
        return [await way.say(b"", later(way, seconds))]

    return run


async def not_taken(way: Way) -> list[str]:
    assert await way.say(way.wrap(way.call("createJob", description=job(4000)))) in ("OK", "200, OK")
    reader, writer = await way.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(5):
        writer.write(way.wrap(way.call("getTasksStatus", query=aurora.TaskQuery())))
    doors = way.house.raw.doors
    await until(lambda: doors.connections == 1 and unsent(way) > 0)
    await later(way, 30)()
    await until(lambda: doors.connections == 0)
    writer.transport.abort()
    assert reader is not None
    return ["close"]


def unsent(way: Way) -> int:
    """What lies in the server's buffers, because no client takes it."""
    assert way.house.web is not None
    transports = [
        *(connection._transport for connection in way.house.raw.connections),
        *(connection.transport for connection in way.house.web._server.server_state.connections),
    ]
    return sum(transport.get_write_buffer_size() for transport in transports)


async def ahead(way: Way) -> list[str]:
    reader, writer = await way.connect()
    way.house.core.held = True
    writer.write(way.wrap(way.call("createJob", description=job())) + way.wrap(way.call("getTierConfigs")) * 100)
    await asyncio.sleep(0.2)
    way.house.core.release()
    answered = 0
    while (answer := await asyncio.wait_for(way.read(reader), 5)) == "200, OK":
        answered += 1
    writer.transport.abort()
    assert answered == 33
    return [answer]


def crowded(limits: dict[str, int]) -> Callable[[Way], Awaitable[list[str]]]:
    async def run(way: Way) -> list[str]:
        doors: Doors = way.house.raw.doors
        doors.max_connections, doors.max_connections_per_address = limits["all"], limits["each"]
        inside = [await way.connect() for _ in range(2)]
        for _ in range(100):
            await asyncio.sleep(0.01)
            if doors.connections == 2:
                break
        found = await way.say(b"")
        for _, writer in inside:
            writer.transport.abort()
        return [found]

    return run


async def no_room(way: Way) -> list[str]:
    assert await way.say(way.wrap(way.call("createJob", description=job(4000)))) in ("OK", "200, OK")
    outstanding = way.house.processor.replies.outstanding
    outstanding.answers, outstanding.bytes, outstanding.max_bytes = 1, 1, 1
    found = await way.say(way.wrap(way.call("getTasksStatus", query=aurora.TaskQuery())))
    outstanding.answers = outstanding.bytes = 0
    return [found]


async def no_room_to_arrive(way: Way) -> list[str]:
    arriving = way.house.arriving
    arriving.max_bytes = 500_000
    message = way.wrap(way.call("getJobs", ownerRole="x" * 400_000))
    _, first = await way.connect()
    first.write(message[:-10])
    await until(lambda: arriving.bytes > 300_000)
    found = [await way.say(message[:-10])]
    assert await way.say(way.wrap(way.call("getTierConfigs"))) in ("OK", "200, OK"), "a short one gets through"
    first.transport.abort()
    await until(lambda: arriving.bytes == 0)
    assert arriving.refused == 1
    assert await way.say(message) in ("OK", "200, OK"), "there is room again"
    return found


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


async def mistaken(way: Way) -> list[str]:
    def broken(*args: Any) -> Any:
        raise RuntimeError("the table is on fire")

    sound = METHODS["getJobs"]
    METHODS["getJobs"] = broken
    try:
        return [await way.say(way.wrap(way.call("getJobs")))]
    finally:
        METHODS["getJobs"] = sound


async def unknown_outcome(way: Way) -> list[str]:
    way.house.core.held = True
    controller = way.house.stage.controller

    async def end() -> None:
        for _ in range(500):
            await asyncio.sleep(0.01)
            if way.house.core.calls:
                break
        controller.next_entry(b"\0" * 16)
        controller.end(Outcome.UNKNOWN)

    return [await way.say(way.wrap(way.call("createJob", description=job())), end)]


STORIES: Final[dict[str, Callable[[Way], Awaitable[list[str]]]]] = {
    "a frame of length 0, negative or above 16 MB - 1": frames,
    "a body announced above `--max-message-bytes`": announced,
    "HTTP on the raw port": http_on_raw,
    "TLS": tls,
    "no HTTP request": no_request,
    "a Content-Type that is none of Aurora's": other_content_type,
    "a compressed body": asked("Content-Encoding: gzip"),
    "another method than POST, GET and OPTIONS": asked(method="PUT"),
    "a Host that is not this server": asked(host="evil.example"),
    "no Host, or several": hosts,
    "a call from another site's page": sites,
    "headers above 32 KB": asked("X: " + "a" * 33_000),
    "headers that do not arrive within 10 s": slow_head,
    "a body that does not arrive within 30 s (`--request-timeout-ms`)": slow_message,
    "a message that does not arrive within 30 s (`--request-timeout-ms`)": slow_message,
    "nothing for 150 s": silent(150),
    "nothing for 900 s": silent(900),
    "a client that takes nothing of its answer for 30 s (`--request-timeout-ms`)": not_taken,
    "more than 32 requests sent ahead": ahead,
    "one connection above `--max-connections`": crowded({"all": 2, "each": 9}),
    "one connection above `--max-connections-per-address`": crowded({"all": 9, "each": 2}),
    "a message above 32 KB, above `--max-unfinished-message-bytes`": no_room_to_arrive,
    "a large answer above `--max-outstanding-answer-bytes`": no_room,
    "an exception of ours": mistaken,
    "the outcome of a change is unknown": unknown_outcome,
}


@asynccontextmanager
async def served() -> Any:
    house = Serving(max_message_bytes=MAX_MESSAGE_BYTES)
    await house.start()
    try:
        yield house
    finally:
        await house.stop()


CASES: Final = [(row, way) for row in rows() for way in WAYS.get(row[1], (row[1],))]


@pytest.mark.parametrize(("row", "carrier"), CASES, ids=[f"{row[0]}: {way}" for row, way in CASES])
def test_row(row: Row, carrier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if row[0].startswith("a large answer"):
        monkeypatch.setattr("scheduler.rpc.large.SLICE_S", 1e-5)

    async def run() -> None:
        async with served() as house:
            way = Way(carrier, house)
            if row[0] in MESSAGES:
                await is_refused(way, row)
            else:
                answers = await STORIES[row[0]](way)
                assert answers == [row[2]] * len(answers)
                assert answers

    asyncio.run(run())


def test_every_case_has_a_row_and_every_row_a_case() -> None:
    assert {row[0] for row in rows()} == set(MESSAGES) | set(STORIES)
    assert len(rows()) == len(set(rows())) > 70
    assert {row[1] for row in rows()} == {"HTTP", "raw", "HTTP TBinary", "HTTP TJSON", "raw framed"}


def test_an_honest_call_gets_through_on_every_way() -> None:
    async def run() -> None:
        async with served() as house:
            for names_ in WAYS.values():
                for name in names_:
                    way = Way(name, house)
                    assert await way.say(way.wrap(way.call("getTierConfigs"))) in ("OK", "200, OK")
                    big = task_config(executorConfig=aurora.ExecutorConfig(name="AuroraExecutor", data="x" * 200_000))
                    description = aurora.JobConfiguration(key=JOB, taskConfig=big, instanceCount=1)
                    honest = way.wrap(way.call("populateJobConfig", description=description))
                    assert await way.say(honest) in ("OK", "200, OK")

    asyncio.run(run())


def test_a_mistake_has_a_second_detail_that_names_the_log_entry(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[str]:
        async with served() as house:

            def broken(*args: Any) -> Any:
                raise RuntimeError("the table is on fire")

            sound = METHODS["getJobs"]
            METHODS["getJobs"] = broken
            try:
                return await asyncio.to_thread(details, house.http_port)
            finally:
                METHODS["getJobs"] = sound

    def details(port: int) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/api", json_call("getJobs"))
        reply = json.loads(connection.getresponse().read())
        connection.close()
        return [detail["1"]["str"] for detail in reply[4]["0"]["rec"]["6"]["lst"][2:]]

    text, log_id = asyncio.run(run())
    assert text == "the table is on fire"
    assert re.fullmatch("log id [0-9a-f]{8}", log_id)
    assert any(log_id in record.getMessage() for record in caplog.records)
