"""What happened when: the moments of a drill, in seconds of `time.monotonic`."""

from __future__ import annotations

import threading
import time

from attrs import define, field, frozen

__all__ = ["Moment", "Timeline"]


@frozen
class Moment:
    at: float
    sentence: str
    node: str = ""
    """Whom it happened to; empty for what happens to everybody."""
    is_fault: bool = False


@define
class Timeline:
    """Safe for threads."""

    began: float = field(factory=time.monotonic)
    moments: list[Moment] = field(factory=list)
    _lock: threading.Lock = field(factory=threading.Lock)

    def note(self, sentence: str, node: str = "", *, is_fault: bool = False, at: float | None = None) -> Moment:
        moment = Moment(time.monotonic() if at is None else at, sentence, node, is_fault)
        with self._lock:
            self.moments.append(moment)
        return moment

    def since(self, at: float) -> float:
        """Seconds since the beginning."""
        return at - self.began
