"""Those who look on as entries pass: what is durable stands, whatever they make of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from scheduler.contracts import Entry

__all__ = ["tell"]

LOG = logging.getLogger("thesan")


def tell(who: str, take: Callable[[Entry], None], entry: Entry) -> None:
    """Give `who` a durable entry. What `take` raises is said, and counted as `uncaught_exceptions`; nothing else comes
    of it: an entry that ended the scheduler would end it again at each start.
    """
    try:
        take(entry)
    except Exception:
        LOG.exception("entry %d is durable, and %s could not take it: it goes on with the next", entry.offset, who)
