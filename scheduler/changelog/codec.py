"""Entries of the log and chunks of a base to bytes and back: frame, body, ops.

The same bytes stand in the embedded store and in ZooKeeper. Bodies are Thrift's binary protocol by thriftpy2's
compiled codec; its in-memory reader does not notice the end of its data, so reading goes through a source that does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyBufferedTransport

from scheduler.changelog.config_from_thrift import UnknownBranch
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged, FormatTooNew
from scheduler.changelog.frame import Header, Kind, open_frame, seal
from scheduler.changelog.ops_from_thrift import BodyReader
from scheduler.changelog.ops_to_thrift import BodyWriter
from scheduler.contracts import Entry, Unavailable
from scheduler.core.ops import FORMAT_LEVEL, Op, level_of
from scheduler.interface import storage

__all__ = ["Unencodable", "decode", "decode_chunk", "encode", "encode_chunk"]

_NO_UUID = bytes(16)


class Unencodable(Unavailable):
    """An op that does not fit the storage format: a fault of whoever made it. Nothing was written."""


def encode(entry: Entry, *, lineage: bytes, previous: bytes, configs: Configs) -> tuple[bytes, bytes]:
    """The bytes of an entry and its checksum. `previous` is the checksum of the entry before it.

    `configs` learns the SaveConfig ops and must know every other configuration used. Raises Unencodable.
    """
    if len(entry.uuid) != 16:
        raise Unencodable(f"the uuid of entry {entry.offset} has {len(entry.uuid)} bytes, not 16")
    level = level_of(entry.ops)
    header = Header(
        Kind.ENTRY, entry.offset, entry.epoch, entry.timestamp_ms, entry.uuid, lineage, previous, level=level
    )
    return seal(header, _to_bytes(entry.ops, configs))


def decode(
    frame: bytes, *, offset: int, lineage: bytes, previous: bytes, configs: Configs, level: int = FORMAT_LEVEL
) -> tuple[Entry, bytes]:
    """The entry and its checksum. What is given beside `frame` is what it must agree with.

    `level` is the highest that is read; a lower one than ours is for tests of schedulers that are older than this.
    Raises Damaged, ForeignLineage, FormatTooNew.
    """
    expected = Header(Kind.ENTRY, offset, 0, 0, _NO_UUID, lineage, previous, level=level)
    header, body, checksum = open_frame(frame, expected, offset)
    ops = _from_bytes(body, configs, offset)
    return Entry(header.offset, header.epoch, header.uuid, header.timestamp_ms, tuple(ops)), checksum


def encode_chunk(
    ops: Iterable[Op], *, position: int, generation: int, lineage: bytes, previous: bytes, configs: Configs
) -> tuple[bytes, bytes]:
    """One chunk of a base, chained like entries; the first has the hash of the lineage before it."""
    ops = tuple(ops)
    header = Header(Kind.CHUNK, position, generation, 0, _NO_UUID, lineage, previous, level=level_of(ops))
    return seal(header, _to_bytes(ops, configs))


def decode_chunk(
    frame: bytes,
    *,
    position: int,
    covered: int,
    lineage: bytes,
    previous: bytes,
    configs: Configs,
    level: int = FORMAT_LEVEL,
) -> tuple[list[Op], bytes]:
    """The ops and the checksum. `covered` is the offset up to which the base reaches: errors name it.

    `level` as in `decode`.
    """
    expected = Header(Kind.CHUNK, position, 0, 0, _NO_UUID, lineage, previous, level=level)
    _, body, checksum = open_frame(frame, expected, covered)
    return _from_bytes(body, configs, covered), checksum


def _to_bytes(ops: Iterable[Op], configs: Configs) -> bytes:
    writer = BodyWriter(configs)
    try:
        writer.add(ops)
        return writer.to_bytes()
    except KeyError as error:
        raise Unencodable(f"an op uses a configuration that was never saved: {error}") from error
    except Exception as error:  # thriftpy2 raises several kinds for a value of a wrong type or size
        raise Unencodable(f"an op does not fit the storage format: {error!r}") from error


class _Source:
    """Bytes to read from; at their end it gives none, which the transport above takes for what it is."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece


def _from_bytes(body: bytes, configs: Configs, offset: int) -> list[Op]:
    """The checksum was right, so what fails here was written so: by a newer version or by a fault of ours."""
    try:
        # The type stubs know only the slow protocol of the same shape.
        protocol: Any = TCyBinaryProtocol(TCyBufferedTransport(_Source(body)))  # type: ignore[no-untyped-call]
        record = protocol.read_struct(storage.Body())
        return BodyReader(record, configs).read()
    except UnknownBranch as error:
        raise FormatTooNew(offset, str(error)) from error
    except Exception as error:
        raise Damaged(offset, f"its content cannot be read: {error!r}") from error
