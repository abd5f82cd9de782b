"""The HTTP application: /api beside the pages, everything behind the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from scheduler.security.audit import Audit
from scheduler.security.limits import Limits
from scheduler.web.authentication import Authentication, Realm
from scheduler.web.guard import App, Guard, Receive, Scope, Send
from scheduler.web.metrics import Metrics, vars_json, vars_text
from scheduler.web.pages import Pages
from scheduler.web.redirect import Leader, LeaderRedirect, Ourselves, leader_health


def application(
    api: App,
    metrics: Metrics,
    leader: Callable[[], Leader] = Ourselves,
    *,
    events: App | None = None,
    hostnames: Iterable[str] = (),
    enable_cors_for: str | None = None,
    realm: Realm | None = None,
    limits: Limits | None = None,
    audit: Audit | None = None,
) -> Guard:
    """Everything this server answers over HTTP.

    `api` is the ASGI application for exactly /api, `events` that for /events. `leader` tells who leads.
    `hostnames` are names of this server besides its addresses and localhost.
    `enable_cors_for` is the one origin whose pages may call.
    `realm` knows the users; without it everybody may see every page.
    `limits`: of requests for pages. `audit` is told of what pages change.
    """

    async def health(request: Request) -> Response:
        return PlainTextResponse("OK\n")

    async def as_text(request: Request) -> Response:
        return vars_text(metrics)

    async def as_json(request: Request) -> Response:
        return vars_json(metrics, request)

    pages = Starlette(routes=[Route("/health", health), Route("/vars", as_text), Route("/vars.json", as_json)])

    by_leader = LeaderRedirect(api, leader)

    # The hot path does not go through routing: that costs a third of a call.
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/api":
            await by_leader(scope, receive, send)
        elif scope["path"] == "/leaderhealth":
            await leader_health(leader(), send)
        elif scope["path"] == "/events" and events is not None:
            await events(scope, receive, send)
        else:
            await guarded(scope, receive, send)

    guarded = Pages(pages, audit, limits)
    inner = dispatch if realm is None else Authentication(dispatch, realm, audit)
    return Guard(inner, hostnames=hostnames, enable_cors_for=enable_cors_for)
