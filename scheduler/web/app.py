"""The HTTP application: /api beside the pages, everything behind the guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scheduler.security.audit import Audit
from scheduler.security.limits import Limits
from scheduler.web.authentication import Authentication, Realm
from scheduler.web.front import Pages
from scheduler.web.guard import App, Guard, Receive, Scope, Send
from scheduler.web.pages.page import Page
from scheduler.web.pages.table import is_for_leader
from scheduler.web.redirect import Leader, LeaderRedirect, Ourselves, leader_health


def application(
    api: App,
    pages: Iterable[Page],
    leader: Callable[[], Leader] = Ourselves,
    *,
    apibeta: App | None = None,
    events: App | None = None,
    hostnames: Iterable[str] = (),
    enable_cors_for: str | None = None,
    realm: Realm | None = None,
    limits: Limits | None = None,
    audit: Audit | None = None,
) -> Guard:
    """Everything this server answers over HTTP.

    `api` is the ASGI application for exactly /api, `apibeta` that for all below /apibeta/, `events` that for /events;
    `pages` are the rest. `leader` tells who leads. `hostnames` are names of this server besides its addresses and
    localhost. `enable_cors_for` is the one origin whose pages may call.
    `realm` knows the users; without it everybody may see every page.
    `limits`: of requests for pages. `audit` is told of what pages change.
    """

    routed = Starlette(routes=[Route(page.path, _async(page), methods=list(page.methods)) for page in pages])

    guarded = Pages(routed, audit, limits)

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        if apibeta is not None and scope["path"].startswith("/apibeta/"):
            await apibeta(scope, receive, send)
        else:
            await guarded(scope, receive, send)

    calls, leaders = LeaderRedirect(api, leader), LeaderRedirect(rest, leader)

    # The hot path does not go through routing: that costs a third of a call.
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/api":
            await calls(scope, receive, send)
        elif path == "/leaderhealth":
            await leader_health(leader(), send)
        elif path == "/events" and events is not None:
            await events(scope, receive, send)
        else:
            await (leaders if is_for_leader(path) else rest)(scope, receive, send)

    inner = dispatch if realm is None else Authentication(dispatch, realm, audit)
    return Guard(inner, hostnames=hostnames, enable_cors_for=enable_cors_for)


def _async(page: Page) -> Callable[[Request], Awaitable[Response]]:
    """On the event loop: Starlette would run a plain function on a thread."""

    async def endpoint(request: Request) -> Response:
        found = page.answer(request)
        return found if isinstance(found, Response) else await found

    return endpoint
