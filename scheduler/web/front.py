"""In front of the pages: how often somebody may ask for them, and an audit line for what is done by way of them."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from scheduler.security.audit import Audit
from scheduler.security.limits import Limits, host_of
from scheduler.web.authentication import READING, permission
from scheduler.web.guard import App, Receive, Scope, Send
from scheduler.web.refusals import refuse, tell

UNLIMITED: Final = frozenset({"/health", "/leaderhealth"})
"""Whoever watches over the server asks for these."""


class Pages:
    """Wraps an application that answers everything but Thrift."""

    def __init__(self, app: App, audit: Audit | None, limits: Limits | None) -> None:
        self._app = app
        self._audit = audit
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._limits is not None and scope["path"] not in UNLIMITED:
            client = scope.get("client")
            after_s = self._limits.take(scope.get("user") or (host_of(client[0]) if client else ""))
            if after_s:
                await refuse(send, 429, "Too many requests.", (b"retry-after", b"%d" % (after_s + 1)))
                return
        if scope["method"] in READING or permission(scope["path"], scope["method"]) is None:
            await self._app(scope, receive, send)
            return

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                tell(self._audit, scope, message["status"])
            await send(message)

        await self._app(scope, receive, told)
