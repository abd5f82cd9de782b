"""What is packed by hand is what thriftpy2 would have written, byte by byte, and what it reads."""

from __future__ import annotations

from typing import get_args

from hypothesis import given, settings, strategies as st
from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyMemoryBuffer

from scheduler.changelog.configs import Configs
from scheduler.changelog.ops_from_thrift import BodyReader
from scheduler.changelog.ops_to_thrift import _WRITERS, BodyWriter
from scheduler.core import ops
from scheduler.interface import storage
from tests.changelog.stage import plain
from tests.changelog.strategies import small_ops, transitions

PACKED = {ops.MoveTask, ops.AssignTask, ops.MoveUpdate, ops.RecordInstance, ops.MoveInstance}


def packed(told: list[ops.Op]) -> bytes:
    writer = BodyWriter(Configs())
    writer.add(told)
    return writer.to_bytes()


def written_by_thriftpy2(body: bytes) -> bytes:
    """Read into the structs of the interface, which keep nothing but what they know, and written out again."""
    found = TCyBinaryProtocol(TCyMemoryBuffer(body)).read_struct(storage.Body())  # type: ignore[no-untyped-call]
    buffer = TCyMemoryBuffer()
    TCyBinaryProtocol(buffer).write_struct(found)  # type: ignore[no-untyped-call]
    return bytes(buffer.getvalue())


@given(st.lists(transitions | small_ops, max_size=5))
@settings(max_examples=300)
def test_the_bytes_are_those_of_the_generic_encoder(told: list[ops.Op]) -> None:
    body = packed(told)

    assert written_by_thriftpy2(body) == body


@given(transitions)
@settings(max_examples=300)
def test_what_is_packed_is_read_as_what_it_was(op: ops.Op) -> None:
    data = TCyMemoryBuffer(packed([op]))
    body = TCyBinaryProtocol(data).read_struct(storage.Body())  # type: ignore[no-untyped-call]

    (found,) = BodyReader(body, Configs()).read()

    assert plain(found) == plain(op)


def test_the_kinds_that_are_packed() -> None:
    """A new kind is one of those above, or made of structs."""
    assert set(_WRITERS) == set(get_args(ops.Op))
    assert {kind for kind, write in _WRITERS.items() if write.__module__ == "scheduler.changelog.packed"} == PACKED
