"""TBinary: checked, then decoded by thriftpy2's Cython code."""

from __future__ import annotations

import struct
from typing import Any

from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyBufferedTransport, TCyMemoryBuffer, TTransportException

from scheduler.rpc import shapes
from scheduler.rpc.checks import Walk, check_call
from scheduler.rpc.messages import BadMessage, Call
from scheduler.rpc.shapes import ARGS

# Cython classes: their types are not declared.
_Protocol: Any = TCyBinaryProtocol
_Buffered: Any = TCyBufferedTransport
_Memory: Any = TCyMemoryBuffer

_FIELD = struct.Struct(">Bh").pack
_I32 = struct.Struct(">i").pack
_LIST = struct.Struct(">Bi").pack

_LEAST_BUFFER_BYTES = 1024  # TCyBufferedTransport refuses a smaller one


class BytesIn:
    """Bytes to read that end where they end.

    thriftpy2's own TCyMemoryBuffer must never be read from: it does not notice the end of its data, and returns
    whatever lies behind it in memory.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    def read(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece


class Binary:
    """Thrift's binary protocol. `strict` refuses headers without a version, as only very old clients write them."""

    content_type = b"application/vnd.apache.thrift.binary"

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def read(self, data: bytes) -> Call:
        """Check and decode one call. Raises BadMessage."""
        return self.read_checked(data, check_call(data, strict=self._strict))

    def read_checked(self, data: bytes, walk: Walk) -> Call:
        """Decode a call that `walk` has been over."""
        args_class = ARGS.get(walk.method)
        if args_class is None:
            return Call(walk.method, walk.kind, walk.seqid, None)
        source = _Buffered(BytesIn(data, walk.args_at), max(_LEAST_BUFFER_BYTES, len(data)))
        args = args_class()
        try:
            _Protocol(source, strict_decode=True).read_struct(args)
        except UnicodeDecodeError as wrong:
            raise BadMessage(f"a string of {walk.method} is not UTF-8: {wrong.reason}") from None
        except (TTransportException, RecursionError, ValueError, TypeError, MemoryError) as wrong:
            raise BadMessage(f"the arguments of {walk.method} cannot be decoded: {wrong}") from wrong
        return Call(walk.method, walk.kind, walk.seqid, args)

    def write(self, method: str, kind: int, seqid: int, struct: Any) -> bytes:
        head, tail = self.message(method, kind, seqid)
        return head + self.fields(struct) + tail

    # --- parts of messages, to be joined: see `messages.Codec`

    separator = b""

    def fields(self, struct: Any) -> bytes:
        out = _Memory()
        _Protocol(out).write_struct(struct)
        value: bytes = out.getvalue()
        return value[:-1]

    def message(self, method: str, kind: int, seqid: int) -> tuple[bytes, bytes]:
        name = method.encode("ascii")
        return b"\x80\x01\x00%c%b%b%b" % (kind, _I32(len(name)), name, _I32(seqid)), b"\0"

    def nest(self, field: shapes.Field, before: bytes = b"", after: bytes = b"") -> tuple[bytes, bytes]:
        return before + _FIELD(shapes.STRUCT, field.number), b"\0" + after

    def listing(self, field: shapes.Field, count: int) -> tuple[bytes, bytes]:
        return _FIELD(field.kind, field.number) + _LIST(shapes.STRUCT, count), b""

    def element(self, fields: bytes) -> bytes:
        return fields + b"\0"

    element_around = (b"", b"\0")
    leading = 0


STRICT = Binary(strict=True)
"""For the raw port."""

LENIENT = Binary(strict=False)
"""For HTTP, where Aurora takes the old header too."""
