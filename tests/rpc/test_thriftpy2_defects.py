"""One test for each known defect of thriftpy2 0.7: what it does is told, and that it cannot happen here is shown.

Bytes are never decoded from its memory buffer, its servers and its JSON protocols are not used, and what it decodes has
been checked before. More tests of the same kind: `test_checks.py`, `test_compatibility_rows.py`.
"""

from __future__ import annotations

import ast
import asyncio
import io
import json
import math
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from thriftpy2.parser import load_fp

import scheduler
from scheduler.interface import aurora, thesan
from scheduler.rpc import tjson_out
from scheduler.rpc.binary import STRICT, BytesIn
from scheduler.rpc.messages import CALL, REPLY, BadMessage
from scheduler.rpc.processor import Caller
from scheduler.rpc.tjson import JSON
from scheduler.testing.serving import Serving
from tests.rpc.calls import JOB, binary_call, framed, job, json_call, raw_call, read_reply, task_config

PACKAGE = Path(scheduler.__file__).parent


def sources() -> dict[Path, ast.Module]:
    """Every module that ships."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


# --- its transports


def test_no_bytes_are_read_from_its_memory_buffer() -> None:
    """TCyMemoryBuffer does not notice the end of its data: it returns what lies behind it in memory.

    So nobody makes one of data: writing into an empty one is all that is done with it.
    """
    found = 0
    for path, tree in sources().items():
        names = {
            node.targets[0].id if isinstance(node, ast.Assign) else node.target.id
            for node in ast.walk(tree)
            if isinstance(node, (ast.Assign, ast.AnnAssign))
            and isinstance(node.value, ast.Name)
            and node.value.id == "TCyMemoryBuffer"
            and isinstance(node.targets[0] if isinstance(node, ast.Assign) else node.target, ast.Name)
        }
        for node in ast.walk(tree):
            calls_it = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if calls_it and node.func.id in {"TCyMemoryBuffer", *names}:  # type: ignore[attr-defined]
                found += 1
                assert not node.args and not node.keywords, f"{path}:{node.lineno}"  # type: ignore[attr-defined]
            if isinstance(node, ast.ImportFrom):  # its helpers read from such a buffer
                assert not (node.module or "").startswith("thriftpy2.utils"), path
    assert found


def test_the_end_of_the_data_is_the_end() -> None:
    source = BytesIn(b"abc", 1)
    assert [source.read(5), source.read(5), source.read(0)] == [b"bc", b"", b""]


def test_a_truncated_list_makes_no_million_structs() -> None:
    """From its memory buffer a list of a million structs that ends after its header is a million empty structs."""
    message = raw_call("startJobUpdate", struct.pack(">BhBhBi", 12, 1, 14, 4, 12, 1_000_000))
    with pytest.raises(BadMessage, match="claims 1000000 elements"):
        STRICT.read(message)


def test_large_messages_take_linear_time() -> None:
    """Its buffered transport adds to what it has read piece by piece: 64 MB took 4.7 s."""
    executor = aurora.ExecutorConfig(name="AuroraExecutor", data="x" * 16_000_000)
    message = binary_call("populateJobConfig", description=job(executorConfig=executor))
    begun = time.process_time()
    assert len(STRICT.read(message).args.description.taskConfig.executorConfig.data) == 16_000_000
    assert time.process_time() - begun < 1


# --- its binary decoder


@pytest.mark.parametrize("element", [0, 1, 5, 7, 9, 16, 17, 99])
def test_a_list_of_nothing_is_not_counted_to_its_end(element: int) -> None:
    """Elements that take no bytes are skipped one by one: 40 bytes stop the process for 5 s."""
    begun = time.process_time()
    with pytest.raises(BadMessage):
        STRICT.read(raw_call("getJobs", struct.pack(">BhBi", 15, 77, element, 2**31 - 1) + b"\0" * 20))
    assert time.process_time() - begun < 0.1


def test_a_known_field_of_another_type_is_not_taken_for_absent() -> None:
    key = binary_call("killTasks", job=JOB)[len(raw_call("killTasks", b"")) : -1]
    with pytest.raises(BadMessage, match=r"killTasks\.instances is a set, but a i32 was sent"):
        STRICT.read(raw_call("killTasks", key + struct.pack(">Bhi", 8, 5, 7) + b"\0"))


def test_strings_that_are_not_utf_8_are_no_bytes_objects() -> None:
    """Unless it is told to be strict, its decoder hands out bytes where text is declared."""
    with pytest.raises(BadMessage, match="not UTF-8"):
        STRICT.read(raw_call("getJobs", struct.pack(">Bhi", 11, 1, 2) + b"\xff\xfe\0"))


# --- its servers


def connect_and(test: Any) -> None:
    async def run() -> None:
        inner = Serving()
        await inner.start()
        try:
            await test(inner)
        finally:
            await inner.stop()

    asyncio.run(run())


def test_an_idle_connection_is_not_cut_after_three_seconds() -> None:
    """The default of its server socket cuts idle clients after 3 s, and that of its asyncio server everybody."""

    async def test(inner: Serving) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", inner.thrift_port)
        call = framed(binary_call("getTierConfigs"))
        for passed_s in (0, 60, 600, 890):
            inner.raw.sweep(asyncio.get_running_loop().time() + passed_s)
            writer.write(call)
            length = int.from_bytes(await asyncio.wait_for(reader.readexactly(4), 5), "big")
            await reader.readexactly(length)
        writer.close()

    connect_and(test)


def test_an_idle_http_client_blocks_nobody() -> None:
    """Its HTTP server handles one connection at a time."""

    async def test(inner: Serving) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", inner.http_port) for _ in range(5)]
        reader, writer = await asyncio.open_connection("127.0.0.1", inner.http_port)
        body = json_call("getTierConfigs")
        writer.write(b"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await asyncio.wait_for(reader.readline(), 5)) == b"HTTP/1.1 200 OK\r\n"
        for _, each in [*idle, (reader, writer)]:
            each.close()

    connect_and(test)


def test_an_exception_does_not_cost_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processor passes exceptions on that a method does not declare, and the client sees a dropped connection."""
    from scheduler.rpc.handler import METHODS

    monkeypatch.setitem(METHODS, "getJobs", lambda *args: 1 / 0)

    async def test(inner: Serving) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", inner.thrift_port)
        for method, code in (("getJobs", 2), ("getTierConfigs", 1)):
            writer.write(framed(binary_call(method)))
            length = int.from_bytes(await asyncio.wait_for(reader.readexactly(4), 5), "big")
            assert read_reply(await reader.readexactly(length))[3].responseCode == code
        writer.close()

    connect_and(test)


def test_unknown_methods_have_their_message() -> None:
    """Its UNKNOWN_METHOD exception has no text."""
    serving = Serving()
    payload = serving.processor.process(raw_call("noSuchMethod", b"\0"), STRICT, STRICT, Caller()).payload
    assert isinstance(payload, bytes)
    assert read_reply(payload)[3].message == "there is no method 'noSuchMethod' here"


def test_negative_and_empty_frames_are_refused() -> None:
    """They are ours to check: its framed transport reads on for ever, or fails somewhere else."""

    async def test(inner: Serving) -> None:
        for length in (0, -1, -(2**31), 2**31 - 1):
            reader, writer = await asyncio.open_connection("127.0.0.1", inner.thrift_port)
            writer.write(struct.pack(">i", length))
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    connect_and(test)


# --- its JSON


SHAPES = """
enum Colour { RED = 1, GREEN = 2 }
struct Shapes {
  1: optional list<list<i32>> lists
  2: optional map<Colour, i32> by_colour
  3: optional list<double> doubles
  4: optional map<i32, string> by_number
  5: optional map<string, list<string>> nested
  6: optional binary raw
  7: optional set<Colour> colours
  8: optional map<string, map<string, bool>> deep
}
"""


@pytest.fixture(scope="module")
def shapes() -> Any:
    return load_fp(io.StringIO(SHAPES), "defect_shapes_thrift")


def written(struct_: Any) -> Any:
    return json.loads("{" + tjson_out.fields(struct_) + "}")


def test_shapes_its_json_writer_fails_on_are_written_as_apache_writes_them(shapes: Any) -> None:
    """An empty list in a list is an IndexError there, a map with enum keys a KeyError."""
    found = written(shapes.Shapes(lists=[[1], [], [2, 3]], by_colour={2: 7}, by_number={-1: "x"}))
    assert found == {
        "1": {"lst": ["lst", 3, ["i32", 1, 1], ["i32", 0], ["i32", 2, 2, 3]]},
        "2": {"map": ["i32", "i32", 1, {"2": 7}]},
        "4": {"map": ["i32", "str", 1, {"-1": "x"}]},
    }
    found = written(shapes.Shapes(nested={"a": ["b"]}, raw=b"\0\1", colours=[1], deep={"a": {"b": True}}))
    assert found == {
        "5": {"map": ["str", "lst", 1, {"a": ["str", 1, "b"]}]},
        "6": {"str": "AAE"},
        "7": {"set": ["i32", 1, 1]},
        "8": {"map": ["str", "map", 1, {"a": ["str", "tf", 1, {"b": 1}]}]},
    }


def test_numbers_that_json_has_not_are_words(shapes: Any) -> None:
    """Both it and Apache's Python library write a bare `inf`, which is no JSON."""
    found = written(shapes.Shapes(doubles=[math.inf, -math.inf, math.nan, 0.1, -0.0, 1e300, 3]))
    assert found == {"3": {"lst": ["dbl", 7, "Infinity", "-Infinity", "NaN", 0.1, -0.0, 1e300, 3.0]}}
    resource = '{"1":{"rec":{"32":{"set":["rec",1,{"1":{"dbl":"Infinity"}}]}}}}'
    call = JSON.read(f'[1,"populateJobConfig",1,1,{{"1":{{"rec":{{"6":{resource[5:-1]}}}}}}}]'.encode())
    assert call.args.description.taskConfig.resources[0].numCpus == math.inf


def test_one_reader_reads_every_message() -> None:
    """Its reader keeps the first message it sees and returns it for ever."""
    for seqid, role in enumerate(("a", "b", "c")):
        call = JSON.read(json_call("getJobs", seqid, ownerRole=role))
        assert (call.seqid, call.args.ownerRole) == (seqid, role)


def test_unknown_fields_are_skipped_in_json_too() -> None:
    """They are a KeyError there."""
    call = JSON.read(b'[1,"getJobs",1,1,{"99":{"rec":{"1":{"i32":1}}},"1":{"str":"www"}}]')
    assert call.args.ownerRole == "www"


def test_large_json_is_read_and_written_in_no_time() -> None:
    """It reads byte by byte, and writes at a twelfth of its binary writer's speed."""
    config = task_config(metadata=[aurora.Metadata(key=f"{i}", value="v" * 200) for i in range(4000)])
    description = aurora.JobConfiguration(key=JOB, taskConfig=config, instanceCount=1)
    begun = time.process_time()
    message = JSON.write("createJob", CALL, 1, thesan.Scheduler.createJob_args(description=description))
    assert len(JSON.read(message).args.description.taskConfig.metadata) == 4000
    assert time.process_time() - begun < 1


def test_its_own_json_is_not_spoken() -> None:
    """TJSONProtocol of thriftpy2 is a format of its own that no other library reads."""
    reply = thesan.Scheduler.getJobs_result(success=aurora.Response(responseCode=1))
    assert JSON.write("getJobs", REPLY, 1, reply) == b'[1,"getJobs",2,1,{"0":{"rec":{"1":{"i32":1}}}}]'
    with pytest.raises(BadMessage):
        JSON.read(b'\x00\x00\x00\x1a{"metadata":{"version":1},"payload":{}}')
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("thriftpy2"):
                assert not {alias.name for alias in node.names} & {"TJSONProtocol", "TApacheJSONProtocol"}, path
