"""Requests that only the leader can answer are sent to it; /leaderhealth says whether that is us.

As Aurora's schedulers do (its documentation, "Scheduler Endpoints"): 307 with the leader's address keeps method and
body; 503 while nobody is known to lead. A request with the header `Bypass-Leader-Redirect` is answered here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from scheduler.web.guard import App, Receive, Scope, Send

HEADER: Final = b"bypass-leader-redirect"


@frozen
class Ourselves:
    """We lead."""


@frozen
class Other:
    """Another scheduler is advertised."""

    host: str
    port: int


@frozen
class Nobody:
    """None is advertised, or more than one: a failover is under way."""


Leader = Ourselves | Other | Nobody

_NOBODY: Final = b"""<!DOCTYPE html>
<title>No leader</title>
<p>No scheduler leads at the moment: a failover is under way. Please try again soon.</p>
"""


class LeaderRedirect:
    """Wraps what only a leader can answer."""

    def __init__(self, app: App, leader: Callable[[], Leader]) -> None:
        self._app = app
        self._leader = leader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leader = self._leader()
        if isinstance(leader, Ourselves) or any(name == HEADER for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
        elif isinstance(leader, Other):
            await _answer(send, 307, [(b"location", _location(scope, leader))])
        else:
            await _answer(send, 503, [(b"content-type", b"text/html; charset=utf-8"), (b"retry-after", b"1")], _NOBODY)


async def leader_health(leader: Leader, send: Send) -> None:
    """200 where the leader is, 503 elsewhere, 502 while nobody is known to lead: for load balancers."""
    if isinstance(leader, Ourselves):
        await _answer(send, 200, [])
    else:
        await _answer(send, 503 if isinstance(leader, Other) else 502, [])


def _location(scope: Scope, leader: Other) -> bytes:
    host = f"[{leader.host}]" if ":" in leader.host else leader.host
    query = b"?" + scope["query_string"] if scope.get("query_string") else b""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return f"{scope.get('scheme', 'http')}://{host}:{leader.port}".encode() + path + query


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
