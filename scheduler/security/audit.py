"""The audit trail: a line of JSON for each call that changes something, or wanted to.

Its fields, always all and in this order: `at` (UTC), `user`, `from`, `call`, `target`, `arguments`, `result`,
`details`, `id`. `id` is the client's X-Request-Id if it sent one, and comes back in the answer's header.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

LOGGER: Final = "thesan.audit"
MAX_TEXT: Final = 500

_GOOD_ID: Final = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)


@frozen
class Deed:
    """What somebody did, or was kept from doing."""

    user: str
    address: str
    call: str
    """An RPC's name; or method and path of a page."""
    target: str
    """The job, update, task, role or hosts it was about."""
    result: str
    """A response code or an HTTP status; UNKNOWN: nobody knows whether it was done."""
    request_id: str
    details: str = ""
    arguments: Mapping[str, Any] = field(factory=dict)


Audit = Callable[[Deed], None]
"""Is told of every deed, once its outcome is known."""


def to_log(wall_ms: Callable[[], int], path: Path | None = None) -> Audit:
    """Lines go to the logger `thesan.audit`: the server's log, or a file of their own that may be rotated under us.

    They pass whatever the levels of loggers are: who may turn those must not thereby act unseen.
    Raises OSError when the file cannot be opened.
    """
    logger = logging.getLogger(LOGGER)
    if path is not None:
        handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.handlers[:] = [handler]
        logger.propagate = False

    def tell(deed: Deed) -> None:
        said = (line(deed, wall_ms()),)
        logger.handle(logger.makeRecord(LOGGER, logging.INFO, __file__, 0, "%s", said, None))

    return tell


def line(deed: Deed, at_ms: int) -> str:
    """One line; whatever a caller wrote is inside strings."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found = {
        "at": at,
        "user": deed.user,
        "from": deed.address,
        "call": deed.call[:MAX_TEXT],
        "target": deed.target[:MAX_TEXT],
        "arguments": deed.arguments,
        "result": deed.result,
        "details": deed.details[:MAX_TEXT],
        "id": deed.request_id,
    }
    return json.dumps(found, separators=(",", ":"), default=str)


def request_id(given: str | None) -> str:
    """The client's word for its request, if it can stand in a log; else one of ours."""
    return given if given is not None and _GOOD_ID.fullmatch(given) else secrets.token_hex(8)
