"""Answers that are too long to be made or sent in one go.

Their records were fixed when the read was decided and never change; only the making and the sending of the bytes is
spread over slices. An answer is prepared first, which tells its length, and then handed out in pieces.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Final

from scheduler.rpc.turns import Turns
from scheduler.rpc.untracked import untrack

SLICE_S: Final = 0.004
"""How long a slice may take before it ends with the batch at hand."""

PIECE_BYTES: Final = 256 * 1024
"""What is handed to a connection at once."""

MAX_ANSWER_BYTES: Final = 2**31 - 1
"""What the length of a frame can say."""

GRACE_S: Final = 30.0
"""For so long a client may be as slow as it likes in taking an answer."""

LEAST_BYTES_PER_S: Final = 64 * 1024
"""After that it must have taken so many on average, or it is cut off: others wait for the room."""


class TooSlow(Exception):
    """A client takes its answer so slowly that it is cut off."""


class NoRoom(Exception):
    """Too many bytes of large answers are on their way already; the text says how many."""


class Outstanding:
    """How many bytes of large answers are on their way to clients, together."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.answers = 0
        self.bytes = 0

    def check_room_for(self, size: int) -> None:
        """A single answer always has room, however large: otherwise it could never be had. Raises NoRoom."""
        if self.bytes and self.bytes + size > self.max_bytes:
            raise NoRoom(f"{self.answers} large answers of {self.bytes} bytes are on their way; ask soon, or for less")


class Parts:
    """The parts of one answer, made batch by batch."""

    def __init__(self, batches: Iterable[list[bytes]]) -> None:
        self._more = iter(batches)
        self._made: list[tuple[int, list[bytes]]] = []
        self.size = 0

    def make_some(self, clock: Callable[[], float] = time.perf_counter) -> bool:
        """Make one slice. Returns whether that was all."""
        end = clock() + SLICE_S
        for batch in self._more:
            untrack(batch)
            size = sum(map(len, batch))
            self._made.append((size, batch))
            self.size += size
            if clock() >= end:
                return False
        return True

    @property
    def batches(self) -> int:
        """How many were made."""
        return len(self._made)

    def whole(self) -> bytes:
        return b"".join([part for _, batch in self._made for part in batch])

    def pieces(self) -> Iterator[bytes]:
        """All that was made, in pieces of about `PIECE_BYTES`, none much longer."""
        gathered: list[bytes] = []
        room = PIECE_BYTES
        for size, batch in self._made:
            if size <= room:
                gathered += batch
                room -= size
                continue
            for part in batch:
                if len(part) > room and gathered:
                    yield b"".join(gathered)
                    gathered.clear()
                    room = PIECE_BYTES
                if len(part) > PIECE_BYTES:
                    yield from (part[at : at + PIECE_BYTES] for at in range(0, len(part), PIECE_BYTES))
                else:
                    gathered.append(part)
                    room -= len(part)
        if gathered:
            yield b"".join(gathered)


class Large:
    """One large answer. `estimate` is what it counts for until its length is known.

    `mistake` makes the answer that is sent instead when making this one raises, `too_long` when it cannot be sent.
    """

    def __init__(
        self,
        parts: Parts,
        estimate: int,
        turns: Turns,
        outstanding: Outstanding,
        *,
        mistake: Callable[[Exception], bytes],
        too_long: Callable[[int], bytes],
    ) -> None:
        self._parts: Parts | None = parts
        self._turns = turns
        self._outstanding = outstanding
        self._mistake = mistake
        self._too_long = too_long
        self._counted = max(estimate, parts.size)
        self.size = 0
        self.is_prepared = False
        outstanding.answers += 1
        outstanding.bytes += self._counted

    async def prepare(self) -> None:
        """Make all parts, a slice at a time. Then `size` is known."""
        parts = self._parts
        try:
            while parts is not None:
                await self._turns.mine()
                if parts.make_some():
                    break
                parts = self._parts  # None: dropped meanwhile
        except Exception as mistake:
            self._replace(self._mistake(mistake))
        if self._parts is None:
            return
        if self._parts.size > MAX_ANSWER_BYTES:
            self._replace(self._too_long(self._parts.size))
        self.size = self._parts.size
        self._outstanding.bytes += self.size - self._counted
        self._counted = self.size
        self.is_prepared = True

    def _replace(self, payload: bytes) -> None:
        if self._parts is not None:
            self._parts = Parts([[payload]])
            self._parts.make_some()

    async def pieces(
        self, frame: bytes = b"", *, clock: Callable[[], float] = time.monotonic
    ) -> AsyncGenerator[bytes, None]:
        """What is to be sent, one piece in a turn, after `frame`; to be called when prepared.

        Ends early when the answer is dropped. Raises TooSlow when it is not taken.
        """
        parts = self._parts
        if parts is None:
            return
        begun, sent = clock(), 0
        for piece in parts.pieces():
            await self._turns.mine()
            if self._parts is None:
                return
            if sent < (clock() - begun - GRACE_S) * LEAST_BYTES_PER_S:
                raise TooSlow(f"it took {sent} of {self.size} bytes of its answer in {clock() - begun:.0f} s")
            yield piece if sent else frame + piece
            sent += len(piece)

    def drop(self) -> None:
        """Nobody needs the answer any more: sent, or its client is gone."""
        if self._parts is not None:
            self._parts = None
            self._outstanding.answers -= 1
            self._outstanding.bytes -= self._counted
