"""What this server makes of the log: the state, and the event stream beside it. Each history read begins both anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scheduler.app.following import Following
from scheduler.app.observers import tell
from scheduler.contracts import Entry
from scheduler.core.ops import Op
from scheduler.core.state import State, apply
from scheduler.stream.reader import Stream


class Reading:
    """Implements `leadership.reader.Reader`."""

    def __init__(self, stream: Stream, folder: Path) -> None:
        """`folder` is where the tail will be."""
        self._stream = stream
        self._folder = folder
        self._following: Following | None = None
        self.state = State()
        self.lineage = ""
        self.offset = 0
        """Of the last entry that was read or written here; nothing was before the first `begin`."""
        self.is_caught_up = False
        """Everything that was there at the start is in `state`."""

    def begin(self, lineage: str) -> Callable[[Op], None]:
        self.close("The log is being read.")
        state = self.state = State()
        self.lineage, self.offset = lineage, 0
        following = self._following = Following(self._stream, self._folder, lineage)

        def take(op: Op) -> None:
            apply(state, op)
            following.applied(op)

        return take

    def passed(self, entry: Entry) -> None:
        assert self._following is not None
        self.offset = entry.offset
        tell("the event stream", self._following.passed, entry)

    def caught_up(self, offset: int) -> None:
        assert self._following is not None
        self.offset = offset
        self._following.loaded(offset)
        self.is_caught_up = True

    def committed(self, entry: Entry) -> None:
        """This server's own entry is durable. Its ops are in the state already."""
        assert self._following is not None
        self.offset = entry.offset
        tell("the event stream", self._following.committed, entry)

    def close(self, why_not: str) -> None:
        self.is_caught_up = False
        if self._following is not None:
            self._following.close(why_not)
            self._following = None
