"""How the server's log is written: whatever begins at the left is a line that the scheduler wrote."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Final

from scheduler.visible import visible

FORMAT: Final = "%(asctime)s %(levelname)-7s %(message)s"
_INDENT: Final = "    "

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Lines(logging.Formatter):
    """Each record is one line, whatever callers have written into it; a traceback follows, set in."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:
        return "\n".join(_INDENT + visible(line) for line in super().formatException(ei).split("\n"))


def to_stderr(level: str) -> None:
    """Send what all loggers say to stderr. `level`: DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=level, handlers=[handler])
