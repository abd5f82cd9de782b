"""The bytes of one raw connection, cut into messages: framed or not, as its first byte tells."""

from __future__ import annotations

from typing import Final

from scheduler.rpc.arriving import Unfinished
from scheduler.rpc.binary import STRICT
from scheduler.rpc.checks import Walk
from scheduler.rpc.messages import BadMessage, Call

FRAMED: Final = 0x00
"""The first byte of a frame's length, since no message has 16 MB."""

UNFRAMED: Final = 0x80
"""The first byte of TBinary's version."""


class Incoming:
    """What has come and was not answered yet. A message that is not complete is told to `unfinished`."""

    __slots__ = ("_max_message_bytes", "_unfinished", "_walk", "buffer", "mode")

    def __init__(self, max_message_bytes: int, unfinished: Unfinished) -> None:
        self.mode: int | None = None
        self._max_message_bytes = max_message_bytes
        self._unfinished = unfinished
        self.buffer = bytearray()
        self._walk: Walk | None = None

    def __len__(self) -> int:
        return len(self.buffer)

    def add(self, data: bytes) -> None:
        self.buffer += data

    def clear(self) -> None:
        self.buffer.clear()
        self._unfinished.drop()

    def next_call(self) -> Call | None:
        """The next message, decoded; None when it is not complete. Raises BadMessage, and Crowded."""
        if not self.buffer:
            return None
        if self.mode is None:
            self.mode = self.buffer[0]
            if self.mode not in (FRAMED, UNFRAMED):
                what = "this is no HTTP port" if 0x41 <= self.mode <= 0x5A else "this is no Thrift"
                raise BadMessage(f"its first byte is {self.mode:#04x}: {what}")
        call = self._next_framed() if self.mode == FRAMED else self._next_unframed()
        if call is None:
            self._unfinished.holds(len(self.buffer))
        return call

    def _next_framed(self) -> Call | None:
        buffer = self.buffer
        if len(buffer) < 4:
            return None
        length = int.from_bytes(buffer[:4], "big")
        if not 0 < length <= self._max_message_bytes:
            raise BadMessage(f"a frame claims {length} bytes; 1 to {self._max_message_bytes} are allowed")
        if len(buffer) < 4 + length:
            return None
        message = bytes(buffer[4 : 4 + length])
        self._drop(4 + length)
        return STRICT.read(message)

    def _next_unframed(self) -> Call | None:
        if self._walk is None:
            self._walk = Walk(self._max_message_bytes)
        walk = self._walk
        if not walk.feed(self.buffer):
            return None
        message = bytes(self.buffer[: walk.end])
        self._walk = None
        self._drop(walk.end)
        return STRICT.read_checked(message, walk)

    def _drop(self, count: int) -> None:
        """Forget the first bytes. An emptied buffer is replaced, or a large message would keep its memory for ever."""
        self._unfinished.drop()
        if count == len(self.buffer):
            self.buffer = bytearray()
        else:
            del self.buffer[:count]
