"""Who sends an HTTP request, and which pages want a user.

As in Aurora, a request without credentials passes and one with wrong credentials is answered 401, whatever it is for;
Thrift's methods ask for a user themselves (`rpc/access.py`). Otherwise than in Aurora, the pages that end the process,
change it or show its inside want a user too, with the permission `http.Admin:<page>`, and so does every page that does
not only read.
"""

from __future__ import annotations

from typing import Final, Protocol

from scheduler.security.audit import Audit
from scheduler.security.limits import host_of
from scheduler.security.names import CHALLENGE
from scheduler.security.permissions import Grants
from scheduler.security.realm import Denied, TryLater
from scheduler.web.guard import App, Receive, Scope, Send
from scheduler.web.refusals import refuse, tell

SERVICE: Final = "http.Admin"

ADMIN_PAGES: Final = frozenset({"quitquitquit", "abortabortabort", "logconfig", "threads"})
"""First parts of paths; all methods of these want a user."""

THRIFT: Final = frozenset({"api", "apibeta"})
"""The method that is called asks for itself."""

OPEN: Final = frozenset({"mname"})
"""All methods of these are open: they only redirect."""

READING: Final = ("GET", "HEAD", "OPTIONS")


class Realm(Protocol):
    """What is needed of whoever knows the users."""

    def known(self, header: bytes) -> str | None:
        """The user of credentials that were found right before."""

    async def identify(self, header: bytes, host: str) -> str:
        """The user of credentials. Raises Denied and TryLater."""

    def grants(self, user: str) -> Grants:
        """What a user may do now."""


def permission(path: str, method: str) -> str | None:
    """What a request for a page asks for, as the second part of a permission; None: nothing."""
    page = path.strip("/").partition("/")[0]
    if page in ADMIN_PAGES:
        return page
    if page in THRIFT or page in OPEN or method in READING:
        return None
    return page or "index"


class Authentication:
    """Wraps an application. The user stands in the scope as `user`, also when a certificate told (`protocol.py`)."""

    def __init__(self, app: App, realm: Realm, audit: Audit | None = None) -> None:
        self._app = app
        self._realm = realm
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if given:
            user = self._realm.known(given[0]) if len(given) == 1 else None
            if user is None:
                user = await self._identify(given, scope, send)
                if user is None:
                    return
            scope["user"] = user
        if scope["path"] != "/api" and (wanted := permission(scope["path"], scope["method"])) is not None:
            user = scope.get("user")
            if user is None:
                tell(self._audit, scope, 401)
                await refuse(send, 401, "This page wants a user.", CHALLENGE)
                return
            if not self._realm.grants(user).allows(SERVICE, wanted):
                tell(self._audit, scope, 403)
                await refuse(send, 403, f"{user} lacks permission {SERVICE}:{wanted}.")
                return
        await self._app(scope, receive, send)

    async def _identify(self, given: list[bytes], scope: Scope, send: Send) -> str | None:
        """None when the request was answered here."""
        client = scope.get("client")
        try:
            if len(given) > 1:
                raise Denied("The request has several Authorization headers.")
            return await self._realm.identify(given[0], host_of(client[0]) if client else "")
        except Denied as denied:
            if scope["method"] not in READING:
                tell(self._audit, scope, 401)
            await refuse(send, 401, str(denied), CHALLENGE)
        except TryLater as later:
            await refuse(send, 429, str(later), (b"retry-after", b"%d" % (later.after_s + 1)))
        return None
