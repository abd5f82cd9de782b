"""Bytes of TBinary are checked before thriftpy2 sees them.

Its decoder trusts sizes: a forty-byte message that announces a list of 2^31 elements that take no bytes keeps the
whole process busy for seconds, and a million empty structs fit into a megabyte. So a walk over the bytes comes first.
It accepts exactly what can be decoded safely: known types, sizes that fit what is there, bounded nesting and a bounded
number of fields and elements; and it refuses a known field of another type, which Thrift's libraries would silently
take for absent ("kill these instances" would become "kill all").

The walk can stop where bytes are missing and go on when more have come, so it also finds the end of a message that
comes without a length.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from scheduler.rpc.messages import (
    MAX_FIELDS,
    MAX_METHOD_NAME_BYTES,
    MAX_NESTING,
    MAX_WEIGHT,
    NUMBER_WEIGHT,
    STRING_WEIGHT,
    STRUCT_WEIGHT,
    TOO_HEAVY,
    BadMessage,
)
from scheduler.rpc.shapes import ARGS_BYTES, LIST, MAP, SET, STRING, STRUCT, TYPE_NAMES, UNKNOWN, Elements, Shape

_WIDTHS: Final = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, 10: 8}
WIDTH: Final = tuple(_WIDTHS.get(kind, 0) for kind in range(256))
"""Bytes of a value of a fixed-width type; 0 for all others."""

_LEAST: Final = {**_WIDTHS, STRING: 4, STRUCT: 1, MAP: 6, SET: 5, LIST: 5}
LEAST: Final = tuple(_LEAST.get(kind, 0) for kind in range(256))
"""The fewest bytes a value of a type takes; 0 for what is no type."""

WEIGHT: Final = tuple(
    NUMBER_WEIGHT if kind in _WIDTHS else STRING_WEIGHT if kind == STRING else STRUCT_WEIGHT for kind in range(256)
)
"""What an element of a type counts for."""

_FIELD: Final = struct.Struct(">BH").unpack_from
_SIZE: Final = struct.Struct(">i").unpack_from
_LIST: Final = struct.Struct(">Bi").unpack_from
_MAP: Final = struct.Struct(">BBi").unpack_from


class _Items:
    """A container being walked: how many values are left, and their types and shapes in turn."""

    __slots__ = ("elements", "left")

    def __init__(self, left: int, elements: Elements) -> None:
        self.left = left
        self.elements = elements


class Walk:
    """A walk over one message. `feed` until it says True; then the fields tell what was found.

    `limit` is how many bytes the message may have at most: its length, where that is known. `strict` refuses the old
    header without a version. `end` is the number of bytes of the message, `args_at` where its arguments begin.
    """

    __slots__ = ("_budget", "_fields", "_limit", "_stack", "_strict", "args_at", "end", "kind", "method", "seqid")

    def __init__(self, limit: int, *, strict: bool = True) -> None:
        self.method = ""
        self.kind = self.seqid = self.args_at = self.end = 0
        self._limit = limit
        self._strict = strict
        self._budget = MAX_WEIGHT
        self._fields = MAX_FIELDS
        self._stack: list[Any] = []  # Shape and _Items

    def feed(self, data: bytes | bytearray) -> bool:
        """Walk on; `data` is the message from its first byte on. False: bytes are missing. Raises BadMessage."""
        if not self.args_at and not self._header(data):
            if len(data) >= self._limit:
                raise BadMessage(f"the message's header is not complete after {self._limit} bytes")
            return False
        try:
            done = self._walk(data)
        except struct.error:
            done = False
        if not done and len(data) >= self._limit:
            raise BadMessage(f"the message is not complete after {self._limit} bytes")
        return done

    # One loop and no calls for plain values: this runs for every message.
    def _walk(self, data: bytes | bytearray) -> bool:
        stack: list[Any] = self._stack
        size = len(data)
        while stack:
            top = stack[-1]
            at = self.end
            if top.__class__ is _Items:
                if not top.left:
                    stack.pop()
                    continue
                kind, inner = top.elements[top.left % len(top.elements)]
            else:
                if at < size and not data[at]:
                    self.end = at + 1
                    stack.pop()
                    continue
                kind, field = _FIELD(data, at)
                at += 3
                try:
                    inner = top[(kind << 16) | field]
                except KeyError:
                    self._unknown_field(top, kind, field)
                    inner = None
            push = None
            if width := WIDTH[kind]:
                at += width
            elif kind == STRING:
                length = _SIZE(data, at)[0]
                at += 4
                if not 0 <= length <= self._limit - at:
                    raise BadMessage(f"a string at byte {at} claims {length} bytes, more than there are")
                at += length
            elif kind == STRUCT:
                push = UNKNOWN if inner is None else inner
            else:
                at, push = self._container(data, at, kind, inner)
            if at > size:
                return False
            self.end = at
            # Counted only now, that it is once, however often the walk is resumed.
            if top.__class__ is _Items:
                top.left -= 1
            elif self._fields:
                self._fields -= 1
                if kind == STRUCT:
                    self._charge(STRUCT_WEIGHT)
            else:
                raise BadMessage(TOO_HEAVY)
            if push is not None:
                if len(stack) >= MAX_NESTING:
                    raise BadMessage(f"structs and containers are nested more than {MAX_NESTING} deep")
                stack.append(push)
        return True

    def _container(self, data: bytes | bytearray, at: int, kind: int, inner: Any) -> tuple[int, _Items | None]:
        """Past a container's header, and past its values too where they have a fixed width."""
        kinds: tuple[int, ...]
        if kind in (LIST, SET):
            first, count = _LIST(data, at)
            kinds, at = (first,), at + 5
        elif kind == MAP:
            first, second, count = _MAP(data, at)
            kinds, at = (first, second), at + 6
        else:
            raise BadMessage(f"type {kind} at byte {at} is not one of Thrift's")
        if not count:
            return at, None  # some libraries write no element type for an empty container
        least = sum(LEAST[k] for k in kinds)
        if not all(LEAST[k] for k in kinds) or not 0 < count <= (self._limit - at) // least:
            what = f"{count} elements of type {list(kinds)}"
            raise BadMessage(f"a {TYPE_NAMES[kind]} at byte {at} claims {what}, which cannot be")
        if inner is None:
            inner = tuple((k, None) for k in kinds)
        elif kinds != tuple(k for k, _ in inner):
            wanted = ", ".join(TYPE_NAMES[k] for k, _ in inner)
            raise BadMessage(f"a {TYPE_NAMES[kind]} at byte {at} has elements of type {list(kinds)}, not of {wanted}")
        plain = all(WIDTH[k] for k in kinds)
        if plain and at + count * least > len(data):
            raise struct.error  # bytes are missing: nothing is counted yet
        self._charge(count * sum(WEIGHT[k] for k in kinds))
        if plain:
            return at + count * least, None
        # A map's values are counted down from an even number: keys first, as `elements` is indexed backwards.
        return at, _Items(count * len(kinds), inner)

    def _charge(self, weight: int) -> None:
        self._budget -= weight
        if self._budget < 0:
            raise BadMessage(TOO_HEAVY)

    def _unknown_field(self, shape: Shape, kind: int, field: int) -> None:
        """A field nobody told us of is skipped; one we know with another type is a mistake."""
        known = shape.fields.get(field)
        if known is not None:
            name, wanted = known
            found = TYPE_NAMES.get(kind, f"type {kind}")
            raise BadMessage(f"{shape.name}.{name} is a {TYPE_NAMES[wanted]}, but a {found} was sent")

    def _header(self, data: bytes | bytearray) -> bool:
        """Read name, kind and sequence number, with a version (0x8001) or, unless strict, in the old form."""
        if data and self._strict and data[0] != 0x80:
            raise BadMessage("the message does not begin with TBinary's version")
        if len(data) < 4:
            return False
        word = _SIZE(data, 0)[0]
        if word < 0:
            if word & 0xFFFF0000 != 0x80010000:
                raise BadMessage("the message does not begin with TBinary's version 1")
            if len(data) < 8:
                return False
            start, length = 8, _SIZE(data, 4)[0]
            after = start + length
        else:
            start, length = 4, word
            after = start + length + 1
        if not 0 <= length <= MAX_METHOD_NAME_BYTES:
            raise BadMessage(
                f"the message's method name claims {length} bytes; at most {MAX_METHOD_NAME_BYTES} are allowed"
            )
        if len(data) < after + 4:
            return False
        self.kind = word & 0xFF if word < 0 else data[after - 1]
        self.seqid = _SIZE(data, after)[0]
        name = bytes(data[start : start + length])
        try:
            self.method = name.decode("ascii")
        except UnicodeDecodeError:
            raise BadMessage("the method's name is not ASCII") from None
        self.args_at = self.end = after + 4
        self._stack.append(ARGS_BYTES.get(name, UNKNOWN))
        return True


def check_call(data: bytes, *, strict: bool = True) -> Walk:
    """Walk over one whole message. Raises BadMessage when it is cut short or something follows it."""
    walk = Walk(len(data), strict=strict)
    walk.feed(data)
    if walk.end != len(data):
        raise BadMessage(f"{len(data) - walk.end} bytes follow the message")
    return walk
