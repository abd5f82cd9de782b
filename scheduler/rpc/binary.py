"""TBinary: checked, then decoded by thriftpy2's Cython code."""

from __future__ import annotations

from typing import Any

from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyBufferedTransport, TCyMemoryBuffer, TTransportException

from scheduler.rpc.checks import Walk, check_call
from scheduler.rpc.messages import BadMessage, Call
from scheduler.rpc.shapes import ARGS

# Cython classes: their types are not declared.
_Protocol: Any = TCyBinaryProtocol
_Buffered: Any = TCyBufferedTransport
_Memory: Any = TCyMemoryBuffer

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
        out = _Memory()
        protocol = _Protocol(out)
        protocol.write_message_begin(method, kind, seqid)
        protocol.write_struct(struct)
        value: bytes = out.getvalue()
        return value


STRICT = Binary(strict=True)
"""For the raw port."""

LENIENT = Binary(strict=False)
"""For HTTP, where Aurora takes the old header too."""
