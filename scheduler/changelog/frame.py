"""The frame around every entry of the log and every chunk of a base: header, body, checksum.

The layout stands in `thrift/storage.thrift` and is the same at every format level, so that a frame can be named,
chained and checked without reading its body.

Each frame carries the checksum of the one before it, and the first a hash of the lineage. So an entry that was altered,
lost, exchanged or taken from another history shows, and two logs with the same checksum at an offset are the same up
to there. For that the checksum must be collision-free in practice, which a CRC is not; BLAKE2b cut to 16 bytes is,
stands in the standard library, and takes 1 us for a small entry and 1 ms for a megabyte, of which a commit notices
nothing.
"""

from __future__ import annotations

from enum import Enum
from hashlib import blake2b
from struct import Struct
from typing import Final

from attrs import frozen

from scheduler.changelog.errors import Damaged, ForeignLineage, FormatTooNew
from scheduler.core.ops import FORMAT_LEVEL

__all__ = [
    "CHECKSUM_BYTES",
    "OVERHEAD_BYTES",
    "Header",
    "Kind",
    "genesis",
    "open_frame",
    "read_header",
    "seal",
]

CHECKSUM_BYTES: Final = 16

_HEADER: Final = Struct(">4sHHQQqI16s16s16s")
_HEADER_BYTES: Final = _HEADER.size
OVERHEAD_BYTES: Final = _HEADER_BYTES + CHECKSUM_BYTES


class Kind(Enum):
    """What a frame holds; the value is how it begins."""

    ENTRY = b"TSNl"
    CHUNK = b"TSNb"


@frozen
class Header:
    """Everything a frame says without its body. For a chunk, `offset` is its position and `epoch` its generation."""

    kind: Kind
    offset: int
    epoch: int
    timestamp_ms: int
    uuid: bytes
    lineage: bytes
    previous: bytes
    length: int = 0
    """Of the body, in bytes."""
    level: int = FORMAT_LEVEL
    """What a reader must understand; of what a reader expects: what it understands."""


def genesis(lineage: bytes) -> bytes:
    """What the first frame of a history names as the checksum before it."""
    return blake2b(lineage, digest_size=CHECKSUM_BYTES, person=b"thesan lineage").digest()


def seal(header: Header, body: bytes) -> tuple[bytes, bytes]:
    """The frame, and its checksum, which the next frame carries. `header.length` is filled in."""
    head = _HEADER.pack(
        header.kind.value,
        header.level,
        0,
        header.offset,
        header.epoch,
        header.timestamp_ms,
        len(body),
        header.uuid,
        header.lineage,
        header.previous,
    )
    checksum = _checksum(head, body)
    return b"".join((head, body, checksum)), checksum


def _checksum(head: bytes, body: bytes) -> bytes:
    digest = blake2b(head, digest_size=CHECKSUM_BYTES)
    digest.update(body)
    return digest.digest()


def read_header(frame: bytes, offset: int | None = None) -> Header:
    """The header alone, unchecked except for its shape. `offset` names the frame in an error. Raises Damaged."""
    if len(frame) < OVERHEAD_BYTES:
        raise Damaged(offset, f"{len(frame)} bytes are too few for an entry")
    magic, level, _, at, epoch, timestamp_ms, length, uuid, lineage, previous = _HEADER.unpack_from(frame)
    try:
        kind = Kind(magic)
    except ValueError:
        raise Damaged(offset, "it does not begin like an entry") from None
    return Header(kind, at, epoch, timestamp_ms, uuid, lineage, previous, length, level)


def open_frame(frame: bytes, expected: Header, offset: int | None = None) -> tuple[Header, bytes, bytes]:
    """Check a frame and take it apart: header, body, checksum.

    Of `expected`, kind, offset, lineage, previous checksum and level are held against the frame. `offset` names the
    frame in errors. Raises Damaged, ForeignLineage, and FormatTooNew for a sound frame of a higher level.
    """
    header = read_header(frame, offset)
    body = frame[_HEADER_BYTES:-CHECKSUM_BYTES]
    if len(body) != header.length:
        raise Damaged(offset, f"its body has {len(body)} bytes and should have {header.length}")
    checksum = frame[-CHECKSUM_BYTES:]
    if _checksum(frame[:_HEADER_BYTES], body) != checksum:
        raise Damaged(offset, "its checksum does not match its content")
    if header.kind is not expected.kind:
        raise Damaged(offset, f"a {header.kind.name.lower()} stands where a {expected.kind.name.lower()} should")
    if header.lineage != expected.lineage:
        raise ForeignLineage(
            offset, f"it belongs to the history {header.lineage.hex()}, not to {expected.lineage.hex()}"
        )
    if header.offset != expected.offset:
        raise Damaged(offset, f"it says of itself that it is number {header.offset}, not {expected.offset}")
    if header.previous != expected.previous:
        raise Damaged(offset, "it does not follow the one before it (the checksums do not chain)")
    if header.level > expected.level or frame[6:8] != b"\0\0":
        raise FormatTooNew(
            offset, f"its format level is {header.level}, this version reads up to {expected.level}", header.level
        )
    return header, body, checksum
