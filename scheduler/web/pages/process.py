"""This process: what its threads and coroutines do, what it logs, how it is ended."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from html import escape
from io import StringIO
from typing import Final
from urllib.parse import parse_qs

from attrs import frozen
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from scheduler.security.audit import LOGGER as AUDIT_LOGGER
from scheduler.web.pages.writing import SAFE, as_html, head, usage

LEVELS: Final = {
    "OFF": logging.CRITICAL + 10,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": 5,
    "ALL": 1,
    "INHERIT": logging.NOTSET,
}
"""Aurora's names of levels, and Python's numbers."""

MAX_FORM_BYTES: Final = 4096
MAX_COROUTINES: Final = 1000
MAX_TOLD: Final = 100
"""Characters of what was posted that the audit trail is told."""

LOG = logging.getLogger("thesan")


@frozen
class Ending:
    """How this process ends: `quit` as on SIGTERM, `abort` at once."""

    quit: Callable[[], None]
    abort: Callable[[], None]


def threads(request: Request) -> Response:
    """The stacks of all threads, then of the event loop's tasks."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    out = StringIO()
    for ident, frame in sys._current_frames().items():
        out.write(f"Thread {names.get(ident, '?')} ({ident})\n{''.join(traceback.format_stack(frame))}\n")
    for count, task in enumerate(asyncio.all_tasks()):
        if count == MAX_COROUTINES:
            out.write("... and more\n")
            break
        out.write(f"Task {task.get_name()}\n")
        task.print_stack(limit=8, file=out)
        out.write("\n")
    return PlainTextResponse(out.getvalue(), headers=SAFE)


# --- logs ------------------------------------------------------------------------------------------------------------


async def log_levels(request: Request) -> Response:
    """A table of loggers with their levels; posted `logger` and `level` change one."""
    if request.method == "POST":
        form = await _form(request)
        if form is None:
            return usage(f"A form has at most {MAX_FORM_BYTES} bytes.", 413)
        name, level = form.get("logger", ""), form.get("level", "").upper()
        request.scope["arguments"] = {"logger": name[:MAX_TOLD], "level": level[:MAX_TOLD]}
        if level not in LEVELS:
            return usage(f"level is {level!r}; it must be one of {', '.join(LEVELS)}")
        if name not in _known_loggers():
            return usage(f"logger is {name!r}; there is none of this name")
        logging.getLogger(name).setLevel(LEVELS[level])
        LOG.warning("the level of logger %s is %s now", name or "root", level)
    return as_html(_level_page())


async def _form(request: Request) -> dict[str, str] | None:
    """None: it is too long."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            return None
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _known_loggers() -> list[str]:
    """Those whose level may be changed. The audit trail has none."""
    names = set(logging.root.manager.loggerDict) - {AUDIT_LOGGER}
    return ["", *sorted(name for name in names if name.partition(".")[0] in _OURS)]


_OURS: Final = frozenset({"thesan", "scheduler", "uvicorn", "kazoo", "apscheduler", "asyncio"})


def _level_page() -> Iterator[str]:
    names = {number: name for name, number in LEVELS.items()}
    yield f"{head('Log levels')}<table>\n"
    for logger in _known_loggers():
        level = logging.getLogger(logger).level if logger else logging.root.level
        options = "".join(
            f"<option{' selected' if number == level else ''}>{name}" for number, name in sorted(names.items())
        )
        hidden = f'<input type="hidden" name="logger" value="{escape(logger)}">'
        choice = f'{hidden}<select name="level">{options}</select><button>Set</button>'
        yield f"<tr><td>{escape(logger or 'root')}<td>{names.get(level, level)}"
        yield f'<td><form method="post" action="/logconfig">{choice}</form>\n'
    yield "</table>\n"


# --- ending ----------------------------------------------------------------------------------------------------------


def ends(end: Callable[[], None], said: str) -> Callable[[Request], Response]:
    """A page that ends the process. Without security only a caller on this machine may."""

    def page(request: Request) -> Response:
        if "user" not in request.scope and not _is_near(request):
            return PlainTextResponse(_ONLY_NEAR, 403)
        LOG.warning("%s was asked for by %s", request.url.path, request.scope.get("user") or request.client)
        # A little later, so that the answer leaves first.
        asyncio.get_running_loop().call_later(0.1, end)
        return PlainTextResponse(said)

    return page


_ONLY_NEAR: Final = "Only callers on this machine may; --http-authentication-mechanism asks for a user instead.\n"


def _is_near(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
