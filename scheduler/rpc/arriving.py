"""How many bytes of messages that are not complete yet are held, over all connections of both ports together.

What one message may hold is bounded, and how many connections there may be; but their product is not what memory there
is. Short messages are not counted and never turned away, so that a heartbeat gets through whatever else is on its way.
"""

from __future__ import annotations

from typing import Final

MAX_UNFINISHED_BYTES: Final = 256 * 1024 * 1024

SHORT_BYTES: Final = 32 * 1024
"""A heartbeat, and a job with a usual configuration. So much every connection may hold besides."""


class Crowded(Exception):
    """There is no room for the rest of a message; the text is a sentence for whoever sends it."""


class Arriving:
    """The bytes of all long messages on their way here."""

    def __init__(self, max_bytes: int = MAX_UNFINISHED_BYTES) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.refused = 0

    def message(self) -> Unfinished:
        """One message, or one after another of a connection."""
        return Unfinished(self)


class Unfinished:
    """What has come of one message. It must be dropped when the message is complete, or nobody waits for it."""

    __slots__ = ("_all", "_bytes")

    def __init__(self, arriving: Arriving) -> None:
        self._all = arriving
        self._bytes = 0

    def holds(self, size: int) -> None:
        """So many bytes have come. A single long message always has room. Raises Crowded."""
        if size <= SHORT_BYTES:
            return
        others = self._all.bytes - self._bytes
        if others and others + size > self._all.max_bytes:
            self._all.refused += 1
            raise Crowded(
                f"the server holds {others} bytes of messages that are not complete, {self._all.max_bytes} at most;"
                f" only messages of up to {SHORT_BYTES} bytes are taken in meanwhile"
            )
        self._all.bytes = others + size
        self._bytes = size

    def drop(self) -> None:
        """It is complete, or nobody waits for it."""
        if self._bytes:
            self._all.bytes -= self._bytes
            self._bytes = 0
