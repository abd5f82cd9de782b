"""Bytes that Apache's library wrote mean the same to us, and ours the same to Apache's library."""

from __future__ import annotations

from typing import Any

import pytest
from thrift.transport import TTransport
from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyBufferedTransport

from scheduler.interface import aurora, thesan
from scheduler.rpc.binary import LENIENT, STRICT, BytesIn
from scheduler.rpc.messages import REPLY, Codec
from scheduler.rpc.tjson import JSON
from tests.wire import apache, samples
from tests.wire.neutral import neutral
from tests.wire.write_golden import FOLDER, SEQID, golden, read

CODECS: dict[str, Codec] = {"binary": STRICT, "json": JSON}


def ours(name: str, fields: dict[str, Any]) -> Any:
    return getattr(aurora if hasattr(aurora, name) else thesan, name)(**fields)


def args_of(method: str, fields: dict[str, Any]) -> Any:
    args = getattr(thesan.Scheduler, f"{method}_args")()
    for name, value in fields.items():
        setattr(args, name, samples.build(value, ours))
    return args


def test_the_files_are_what_the_script_writes() -> None:
    for name, text in golden().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, name


def test_every_method_has_a_sample() -> None:
    assert {method for method, _ in samples.CALLS.values()} == set(thesan.Scheduler.thrift_services)


@pytest.mark.parametrize("sample", samples.CALLS)
@pytest.mark.parametrize("kind", CODECS)
def test_calls_written_by_apache_are_read(kind: str, sample: str) -> None:
    method, fields = samples.CALLS[sample]
    call = CODECS[kind].read(read(f"calls.{kind}")[sample])
    assert (call.method, call.kind, call.seqid) == (method, 1, SEQID)
    assert neutral(call.args) == neutral(args_of(method, fields))


@pytest.mark.parametrize("sample", samples.REPLIES)
def test_replies_written_by_apache_are_read_by_our_client(sample: str) -> None:
    method, response = samples.REPLIES[sample]
    data = read("replies.binary")[sample]
    protocol = TCyBinaryProtocol(TCyBufferedTransport(BytesIn(data), max(1024, len(data))))
    assert protocol.read_message_begin() == (method, REPLY, SEQID)
    result = getattr(thesan.Scheduler, f"{method}_result")()
    protocol.read_struct(result)
    assert neutral(result.success) == neutral(response.build(ours))


@pytest.mark.parametrize("sample", samples.REPLIES)
@pytest.mark.parametrize("kind", CODECS)
def test_replies_of_ours_are_read_by_apache(kind: str, sample: str) -> None:
    method, response = samples.REPLIES[sample]
    result = getattr(thesan.Scheduler, f"{method}_result")(success=response.build(ours))
    codec = LENIENT if kind == "binary" else JSON
    protocol = apache.protocol(kind, TTransport.TMemoryBuffer(codec.write(method, REPLY, 7, result)))
    assert protocol.readMessageBegin() == (method, REPLY, 7)
    read_back = apache.method_class(method, "result")()
    read_back.read(protocol)
    protocol.readMessageEnd()
    assert neutral(read_back.success) == neutral(response.build(apache.make))
