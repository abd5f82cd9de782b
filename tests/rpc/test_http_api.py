"""Thrift over HTTP, as clients send it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.contracts import Outcome
from scheduler.interface import aurora
from scheduler.rpc.messages import MAX_MESSAGE_BYTES
from scheduler.testing.serving import InThread, serving
from tests.rpc.calls import binary_call, job, json_call, read_reply

BINARY = "application/vnd.apache.thrift.binary"
JSON = "application/vnd.apache.thrift.json"

Headers = list[tuple[str, str]]
Answer = tuple[int, str, bytes]


@pytest.fixture(scope="module")
def house() -> Iterator[InThread]:
    with serving() as inner:
        yield inner


def ask(
    house: InThread, body: bytes, headers: Headers | None = None, method: str = "POST", path: str = "/api"
) -> Answer:
    """Status, content type and body; the headers are sent exactly as given, besides Host and Content-Length."""
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers or []:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    found = response.status, response.getheader("Content-Type") or "", response.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Content-Type", "application/x-thrift")],
        [("Content-Type", "application/json")],
        [("Content-Type", "application/vnd.apache.thrift.json")],
        [("Content-Type", "application/vnd.apache.thrift.json; charset=utf-8")],
        [("Content-Type", "Application/vnd.apache.thrift.json;charset=UTF-8")],
        [("Content-Type", "application/x-thrift"), ("Content-Type", "application/x-thrift")],
        [("Content-Type", "application/x-thrift, application/x-thrift")],
        [("Content-Encoding", "identity")],
    ],
)
def test_json_by_any_of_its_names(house: InThread, headers: Headers) -> None:
    status, content_type, body = ask(house, json_call("getTierConfigs", 4), headers)
    assert (status, content_type) == (200, JSON)
    assert json.loads(body)[:4] == [1, "getTierConfigs", 2, 4]


def test_binary_that_is_announced_as_json_is_told_how_to_say_so(house: InThread) -> None:
    """Apache's own HTTP transport says application/x-thrift whatever the protocol."""
    status, _, body = ask(house, binary_call("getTierConfigs"), [("Content-Type", "application/x-thrift")])
    assert status == 400
    assert f"send {BINARY}" in body.decode()


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/json; charset=utf-8")],
        [("Content-Type", "application/vnd.apache.thrift.compact")],
        [("Content-Type", "application/x-thrift"), ("Content-Type", BINARY)],
        [("Content-Type", "multipart/form-data; boundary=x")],
        [("Content-Encoding", "gzip"), ("Content-Type", "application/json")],
    ],
)
def test_other_types_are_named_and_refused(house: InThread, headers: Headers) -> None:
    status, content_type, body = ask(house, json_call("getTierConfigs"), headers)
    assert status == 415
    assert content_type.startswith("text/plain")
    for _, value in headers[:1]:
        assert value.lower() in body.decode().lower()


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], JSON),
        ([("Accept", BINARY)], BINARY),
        ([("Accept", "*/*")], JSON),
        ([("Accept", f"{BINARY}, */*")], JSON),
        ([("Accept", f"{BINARY};q=0.5")], JSON),
        ([("Accept", JSON)], JSON),
        ([("Accept", "nonsense")], JSON),
    ],
)
def test_accept_decides_the_answers_protocol(house: InThread, accept: Headers, expected: str) -> None:
    status, content_type, body = ask(house, binary_call("getTierConfigs", 4), [("Content-Type", BINARY), *accept])
    assert (status, content_type) == (200, expected)
    seqid = read_reply(body)[2] if expected == BINARY else json.loads(body)[3]
    assert seqid == 4


def test_the_old_binary_header_is_read(house: InThread) -> None:
    headers = [("Content-Type", BINARY), ("Accept", BINARY)]
    status, _, body = ask(house, binary_call("getTierConfigs", 4, strict=False), headers)
    assert status == 200
    assert read_reply(body)[:3] == ("getTierConfigs", 2, 4)


def test_get_is_treated_the_same(house: InThread) -> None:
    assert ask(house, json_call("getTierConfigs"), method="GET")[0] == 200


def test_other_methods_and_paths(house: InThread) -> None:
    assert ask(house, b"", method="PUT")[0] == 405
    assert ask(house, b"", method="OPTIONS")[0] == 200
    assert ask(house, json_call("getTierConfigs"), path="/api/")[0] == 404
    assert ask(house, json_call("getTierConfigs"), path="/apix")[0] == 404


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[1]", b"\x80\x01\x00\x01"])
@pytest.mark.parametrize("content_type", [JSON, BINARY])
def test_what_is_no_message_is_a_bad_request(house: InThread, body: bytes, content_type: str) -> None:
    status, kind, text = ask(house, body, [("Content-Type", content_type)])
    assert status == 400
    assert kind.startswith("text/plain")
    assert b"message" in text


def test_an_unknown_method_is_an_exception_in_a_200(house: InThread) -> None:
    status, _, body = ask(house, b'[1,"noSuchMethod",1,4,{}]')
    version, method, kind, seqid, fields = json.loads(body)
    assert (status, version, method, kind, seqid) == (200, 1, "noSuchMethod", 3, 4)
    assert fields["1"]["str"] == "there is no method 'noSuchMethod' here"
    assert fields["2"]["i32"] == 1


def test_a_body_that_is_announced_too_large_is_refused_unread(house: InThread) -> None:
    with socket.create_connection(("127.0.0.1", house.http_port), timeout=10) as raw:
        head = f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_MESSAGE_BYTES + 1}\r\n\r\n"
        raw.sendall(head.encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_becomes_too_large_is_refused(house: InThread) -> None:
    with socket.create_connection(("127.0.0.1", house.http_port), timeout=10) as raw:
        raw.sendall(b"POST /api HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        answer = b""
        try:
            for _ in range(MAX_MESSAGE_BYTES // 0x100000 + 2):
                raw.sendall(piece)
            answer = raw.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            answer = answer or raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")


def test_chunked_bodies_and_keep_alive(house: InThread) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
    for seqid in range(3):
        call = json_call("getTierConfigs", seqid)
        connection.request("POST", "/api", iter([call[:10], call[10:]]), encode_chunked=True)
        assert json.loads(connection.getresponse().read())[3] == seqid
    connection.close()


def test_an_answer_waits_until_it_is_durable(house: InThread) -> None:
    house.core.held = True
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=0.2)
    connection.request("POST", "/api", json_call("createJob", description=job()))
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    house.on_loop(house.core.release)
    status, _, body = ask(house, json_call("createJob", description=job()))
    assert status == 200
    assert b"Job already exists" in body


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNKNOWN])
def test_answers_that_never_become_durable(outcome: Outcome) -> None:
    async def end(inner: InThread) -> None:
        for _ in range(1000):
            if inner.core.calls:
                break
            await asyncio.sleep(0.005)
        inner.stage.controller.next_entry(b"\0" * 16)
        inner.stage.controller.end(outcome)

    with serving() as house:
        house.core.held = True
        ending = asyncio.run_coroutine_threadsafe(end(house), house._loop)
        headers = [("Content-Type", BINARY), ("Accept", BINARY)]
        status, _, body = ask(house, binary_call("createJob", description=job()), headers)
        ending.result(5)
        if outcome is Outcome.REFUSED:
            assert status == 200
            assert read_reply(body)[3].responseCode == aurora.ResponseCode.ERROR_TRANSIENT
        else:
            assert (status, body) == (500, b"")


def test_hanging_up_in_the_middle_hurts_nobody(house: InThread) -> None:
    before = list(house.core.calls)
    with socket.create_connection(("127.0.0.1", house.http_port), timeout=10) as raw:
        raw.sendall(b"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n[1,")
    assert ask(house, json_call("getTierConfigs"))[0] == 200
    assert house.core.calls == [*before, "tier_configs"]


def json_reply(house: InThread, method: str, **fields: Any) -> Any:
    return json.loads(ask(house, json_call(method, **fields))[2])[4]["0"]["rec"]


def test_empty_results_are_there(house: InThread) -> None:
    """Clients take the branch of a result for granted."""
    response = json_reply(house, "getTasksWithoutConfigs", query=aurora.TaskQuery(role="nobody"))
    assert response["3"]["rec"] == {"3": {"rec": {"1": {"lst": ["rec", 0]}}}}
    assert response["6"] == {"lst": ["rec", 0]}
    response = json_reply(house, "getJobUpdateSummaries", jobUpdateQuery=aurora.JobUpdateQuery())
    assert response["3"]["rec"] == {"23": {"rec": {"1": {"lst": ["rec", 0]}}}}
