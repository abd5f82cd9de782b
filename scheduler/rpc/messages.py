"""Words both carriers and both protocols share: what a message is, how large, and what is wrong with a bad one."""

from __future__ import annotations

from typing import Any, Final, Protocol

from attrs import frozen

CALL: Final = 1
REPLY: Final = 2
EXCEPTION: Final = 3

MAX_MESSAGE_BYTES: Final = 0xFFFFFF
"""16 MB less one byte: the longest frame whose length still begins with a zero byte, by which frames are known."""

MAX_ELEMENTS: Final = 500_000
"""Elements of all containers of one message together: a byte on the wire may be a hundred in memory."""

MAX_NESTING: Final = 64
"""Structs and containers inside one another, as in Apache's own libraries."""

MAX_METHOD_NAME_BYTES: Final = 256


class BadMessage(Exception):
    """Bytes that are no call of ours; the text is a sentence for whoever sent them. Nothing was done."""


@frozen
class Call:
    """One decoded call. `args` is the method's arguments struct, or None when the method is unknown."""

    method: str
    kind: int
    seqid: int
    args: Any


class Codec(Protocol):
    """One of Thrift's protocols, whole messages at a time."""

    content_type: bytes

    def read(self, data: bytes) -> Call:
        """Decode one call. Raises BadMessage."""

    def write(self, method: str, kind: int, seqid: int, struct: Any) -> bytes:
        """Encode one reply or exception."""
