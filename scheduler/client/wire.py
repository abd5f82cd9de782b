"""Calls to bytes and bytes to answers, in Thrift's binary protocol."""

from __future__ import annotations

from typing import Any, Final

from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.thrift import TApplicationException, TDecodeException, TMessageType
from thriftpy2.transport import TCyBufferedTransport, TCyMemoryBuffer

from scheduler.client.errors import Usage
from scheduler.interface import thesan

CONTENT_TYPE: Final = "application/vnd.apache.thrift.binary"

# Cython classes: their types are not declared.
_Protocol: Any = TCyBinaryProtocol
_Buffered: Any = TCyBufferedTransport
_Memory: Any = TCyMemoryBuffer

_LEAST_BUFFER_BYTES: Final = 1024  # TCyBufferedTransport refuses a smaller one


_HOLDS: Final = {
    "I32": f"whole numbers up to {2**31 - 1}",
    "I64": f"whole numbers up to {2**63 - 1}",
    "STRING": "text in UTF-8",
}
_SHOWN: Final = 60


class NotAnAnswer(ValueError):
    """Bytes that are no answer to the call."""


class _BytesIn:
    """Bytes to read that end where they end; thriftpy2's own memory buffer reads on behind them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece


def encode_call(method: str, arguments: dict[str, Any], seqid: int) -> bytes:
    """One call of a method of thesan.Scheduler. Raises AttributeError for a method, TypeError for an argument it
    does not have, and Usage for a value that its field cannot hold."""
    struct = getattr(thesan.Scheduler, f"{method}_args")(**arguments)
    out = _Memory()
    protocol = _Protocol(out)
    protocol.write_message_begin(method, TMessageType.CALL, seqid)
    try:
        protocol.write_struct(struct)
    except TDecodeException as wrong:
        raise Usage(f"{method}: {_unfit(wrong)}") from None
    value: bytes = out.getvalue()
    return value


def _unfit(wrong: Any) -> str:
    """What a field cannot hold, and what it can."""
    value, kind = repr(wrong.value), str(wrong.type_repr)
    holds = next((words for name, words in _HOLDS.items() if name in kind), kind.lower())
    return f"{wrong.field} cannot be {value if len(value) <= _SHOWN else value[:_SHOWN] + '...'}: it holds {holds}"


def decode_answer(method: str, data: bytes) -> Any:
    """The Response (or ServerState) in an answer.

    Raises NotAnAnswer; and TApplicationException when the server knows no such method or failed to read the call.
    """
    protocol = _Protocol(_Buffered(_BytesIn(data), max(_LEAST_BUFFER_BYTES, len(data))))
    try:
        name, kind, _ = protocol.read_message_begin()
        if kind == TMessageType.EXCEPTION:
            failure = TApplicationException()
            protocol.read_struct(failure)
            raise failure
        if kind != TMessageType.REPLY or name != method:
            raise NotAnAnswer(f"message {name!r} of kind {kind} instead of the reply to {method}")
        result = getattr(thesan.Scheduler, f"{method}_result")()
        protocol.read_struct(result)
    except (TApplicationException, NotAnAnswer):
        raise
    except Exception as wrong:  # whatever a decoder makes of bytes that are something else
        raise NotAnAnswer(f"{len(data)} bytes that are no answer in Thrift's binary protocol ({wrong})") from wrong
    if result.success is None:
        raise NotAnAnswer(f"the reply to {method} is empty")
    return result.success
