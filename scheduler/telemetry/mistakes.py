"""Counts exceptions nobody expected: each is a line of the log with its trace, wherever it was caught."""

from __future__ import annotations

import logging


class Mistakes(logging.Handler):
    """Hears errors of all loggers while it is one of the root's handlers; says nothing itself."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[0] is not None:
            self.count += 1
