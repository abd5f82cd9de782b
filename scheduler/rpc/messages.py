"""Words both carriers and both protocols share: what a message is, how large, and what is wrong with a bad one."""

from __future__ import annotations

from typing import Any, Final, Protocol

from attrs import frozen

from scheduler.core.answers import Answer, Code
from scheduler.rpc.shapes import Field

CALL: Final = 1
REPLY: Final = 2
EXCEPTION: Final = 3

MAX_MESSAGE_BYTES: Final = 0xFFFFFF
"""16 MB less one byte: the longest frame whose length still begins with a zero byte, by which frames are known."""

MAX_WEIGHT: Final = 500_000
"""Of the elements of all containers of one message together: a byte on the wire may be a hundred in memory, and what
is decoded in one go nobody else can interrupt."""

NUMBER_WEIGHT: Final = 1
STRING_WEIGHT: Final = 5
STRUCT_WEIGHT: Final = 50
"""Of a struct, in a container or in a field, and of a container inside another one."""

MAX_FIELDS: Final = 100_000
"""Of all structs of one message together, known or not: to skip one of three bytes takes as long as to read one."""

TOO_HEAVY: Final = (
    f"the message holds too much: {MAX_WEIGHT // STRUCT_WEIGHT} structs, {MAX_WEIGHT // STRING_WEIGHT} strings or "
    f"{MAX_WEIGHT} numbers in lists, sets and maps, or a mix of them, are allowed, and {MAX_FIELDS} fields of structs"
)

MAX_NESTING: Final = 64
"""Structs and containers inside one another, as in Apache's own libraries."""

MAX_METHOD_NAME_BYTES: Final = 256


NOTHING_HAPPENED: Final = Answer(
    Code.ERROR_TRANSIENT, ("The change could not be written and surely did not happen. Please try again.",)
)


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
    """One of Thrift's protocols, whole messages at a time, or in parts that make one when they are joined.

    In both protocols a struct is its fields one after another with something around them, and a list its elements with
    something around them; neither depends on where in a message it stands. So a struct that was encoded once can be
    joined into any message. `fields` are always those of one struct, without what goes around them.
    """

    content_type: bytes

    def read(self, data: bytes) -> Call:
        """Decode one call. Raises BadMessage."""

    def write(self, method: str, kind: int, seqid: int, struct: Any) -> bytes:
        """Encode one reply or exception."""

    separator: bytes
    """Stands between two fields."""

    element_around: tuple[bytes, bytes]
    """Stands around the fields of a struct that is an element of a list or set."""

    def fields(self, struct: Any) -> bytes:
        """The fields of a struct that are set."""

    def message(self, method: str, kind: int, seqid: int) -> tuple[bytes, bytes]:
        """What stands around the fields of the struct that is the message."""

    def nest(self, field: Field, before: bytes = b"", after: bytes = b"") -> tuple[bytes, bytes]:
        """What stands around the fields of a struct that is itself a field, with the fields before and after it."""

    def listing(self, field: Field, count: int) -> tuple[bytes, bytes]:
        """What stands around the elements of a field that is a list or set of structs."""

    leading: int
    """So many bytes of an element the first one of a list does without."""

    def element(self, fields: bytes) -> bytes:
        """A struct as an element of a list or set."""
