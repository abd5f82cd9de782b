"""The ops of transitions straight to their bytes: a commit of many records is mostly these.

thriftpy2 asks an object for its fields one after another; writing down what it would write takes half the time. The
layouts are those of `thrift/storage.thrift` in Thrift's binary protocol: a field is its type (02 bool, 08 i32, 0a i64,
0b string, 0c struct, 0f list), its number and its value; 00 ends a struct. Each op is a struct of one field, its kind.
A test holds every one of them against thriftpy2's own encoding.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeVar

from scheduler.core import ops
from scheduler.core.records import TaskEvent
from scheduler.core.updates.records import UpdateEvent, UpdateKey

__all__ = ["Positions", "Tables", "assign_task", "move_instance", "move_task", "move_update", "record_instance"]

K = TypeVar("K")


class Positions(dict[K, int]):
    """What a body refers to by its position. What is asked for and not there comes last."""

    def __missing__(self, key: K) -> int:
        at = self[key] = len(self)
        return at


class Tables:
    """Of one body."""

    def __init__(self) -> None:
        self.texts: Positions[str] = Positions()
        self.updates: Positions[UpdateKey] = Positions()


_I32 = Struct(">3si").pack
_I64 = Struct(">3sq").pack
_STATUS_AND_TIME = Struct(">3si3sq").pack
_KIND_AND_I32 = Struct(">3s3si").pack
_UPDATE_AND_INSTANCE = Struct(">3s3si3si").pack
_PORTS = Struct(">3sci").pack
_PORT = Struct(">3si3sic").pack


def _text(field: bytes, text: str | None, body: Tables) -> bytes:
    """A text that may be absent."""
    return b"" if text is None else _I32(field, body.texts[text])


def _unless_0(field: bytes, value: int) -> bytes:
    """An i32 that is absent for 0."""
    return _I32(field, value) if value else b""


def move_task(body: Tables, op: ops.MoveTask) -> bytes:
    event, task_id = op.event, op.task_id.encode()
    return b"".join(
        (
            _KIND_AND_I32(b"\x0c\0\x04", b"\x0b\0\x01", len(task_id)),
            task_id,
            _STATUS_AND_TIME(b"\x08\0\x02", event.status, b"\x0a\0\x03", event.timestamp_ms),
            _text(b"\x08\0\x04", event.message, body),
            _text(b"\x08\0\x05", event.scheduler, body),
            _unless_0(b"\x08\0\x06", op.failure_count),
            _unless_0(b"\x08\0\x07", op.times_partitioned),
            b"\x02\0\x08\x01" if op.compact else b"",
            b"\0\0",
        )
    )


def assign_task(body: Tables, op: ops.AssignTask) -> bytes:
    task_id, ports = op.task_id.encode(), op.ports
    return b"".join(
        (
            _KIND_AND_I32(b"\x0c\0\x05", b"\x0b\0\x01", len(task_id)),
            task_id,
            b"\x0c\0\x02",
            _event(op.event, op.event.message, op.event.scheduler, body),
            _text(b"\x08\0\x03", op.host, body),
            _text(b"\x08\0\x04", op.agent_id, body),
            _PORTS(b"\x0f\0\x05", b"\x0c", len(ports)) if ports else b"",
            *[_PORT(b"\x08\0\x01", body.texts[name], b"\x08\0\x02", number, b"\0") for name, number in ports],
            b"\0\0",
        )
    )


def _event(event: TaskEvent | UpdateEvent, third: str | None, fourth: str | None, body: Tables) -> bytes:
    return b"".join(
        (
            _STATUS_AND_TIME(b"\x08\0\x01", event.status, b"\x0a\0\x02", event.timestamp_ms),
            _text(b"\x08\0\x03", third, body),
            _text(b"\x08\0\x04", fourth, body),
            b"\0",
        )
    )


def move_update(body: Tables, op: ops.MoveUpdate) -> bytes:
    event = op.event
    return b"".join(
        (
            _KIND_AND_I32(b"\x0c\0\x08", b"\x08\0\x01", body.updates[op.key]),
            b"\x0c\0\x02",
            _event(event, event.user, event.message, body),
            b"\0\0",
        )
    )


def record_instance(body: Tables, op: ops.RecordInstance) -> bytes:
    event = op.event
    return b"".join(
        (
            _UPDATE_AND_INSTANCE(b"\x0c\0\x09", b"\x08\0\x01", body.updates[op.key], b"\x08\0\x02", event.instance_id),
            _STATUS_AND_TIME(b"\x08\0\x03", event.action, b"\x0a\0\x04", event.timestamp_ms),
            _text(b"\x08\0\x05", event.message, body),
            b"\0\0",
        )
    )


def move_instance(body: Tables, op: ops.MoveInstance) -> bytes:
    progress = op.progress
    return b"".join(
        (
            _UPDATE_AND_INSTANCE(b"\x0c\0\x0a", b"\x08\0\x01", body.updates[op.key], b"\x08\0\x02", op.instance_id),
            _unless_0(b"\x08\0\x03", progress.phase),
            _unless_0(b"\x08\0\x04", progress.failures),
            _I64(b"\x0a\0\x05", progress.exit_seq) if progress.exit_seq else b"",
            _unless_0(b"\x08\0\x06", progress.recorded),
            b"\0\0",
        )
    )
