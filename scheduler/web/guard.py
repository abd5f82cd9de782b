"""Which HTTP requests are let in at all: loopback is not a password.

Whoever may send requests here may run processes, and every browser on this machine can reach loopback. Two checks keep
web pages out: the Host header must name this server (or a name that somebody points at our address would do), and a
browser's own words about where a request comes from (Origin, Sec-Fetch-Site) must not name another site, unless that
origin was enabled. Programs that are no browsers send neither header and are not concerned.

A person may come from anywhere: who follows a link to a page, from a chat or by way of a scheduler that does not lead,
is let in. The page that the link was on sees nothing of what the person sees.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HARMLESS_SITES: Final = ("same-origin", "none")


class Refusal(Exception):
    """The request is not let in: HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Guard:
    """Wraps an application. `hostnames` are names of this server; its addresses and localhost are always allowed."""

    def __init__(self, app: App, *, hostnames: Iterable[str] = (), enable_cors_for: str | None = None) -> None:
        self._app = app
        self._names = {"localhost", *(name.rstrip(".").lower() for name in hostnames if name)}
        self._enabled = enable_cors_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            self.check(scope)
        except Refusal as refusal:
            await _refuse(send, refusal)
            return
        await self._app(scope, receive, send)

    def check(self, scope: Mapping[str, Any]) -> None:
        """Raises Refusal."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        host = self._check_host(_values(headers, b"host"), scope.get("server"))
        origins = _values(headers, b"origin")
        if self._enabled is not None and origins == [self._enabled]:
            return
        for origin in origins:
            if _authority(origin) != (scope.get("scheme", "http"), host):
                raise Refusal(403, f"pages of {origin} may not call this server (--enable-cors-for allows one origin)")
        for site in _values(headers, b"sec-fetch-site"):
            if site not in _HARMLESS_SITES and not (not origins and _follows_a_link(scope, headers)):
                raise Refusal(403, f"a browser says this request is {site}; only pages of this server may call it")

    def _check_host(self, hosts: list[str], server: tuple[str, int | None] | None) -> str:
        if len(hosts) != 1:
            raise Refusal(421, f"the request has {len(hosts)} Host headers; there must be one")
        host = hosts[0].strip().lower()
        name = _without_port(host)
        if name in self._names or _is_own_address(name, server):
            return host
        raise Refusal(421, f"this server is not {host}; it answers to its addresses, localhost and --hostname")


def _follows_a_link(scope: Mapping[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Does a person go to a page, in a window of its own? Calls and events are not for that."""
    how = [_values(headers, name) for name in (b"sec-fetch-mode", b"sec-fetch-dest")]
    is_call = scope["path"].startswith(("/api", "/events"))
    return scope["method"] in ("GET", "HEAD") and how == [["navigate"], ["document"]] and not is_call


def _authority(origin: str) -> tuple[str, str] | None:
    """Scheme and host with port, as an origin has them; None for what is none, like `null`."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return (parts.scheme, parts.netloc.lower()) if parts.netloc else None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_own_address(name: str, server: tuple[str, int | None] | None) -> bool:
    """Is it an address of ours: loopback, or the one this connection came in by?"""
    try:
        address = _plain(ipaddress.ip_address(name))
    except ValueError:
        return False
    if address.is_loopback:
        return True
    try:
        return server is not None and address == _plain(ipaddress.ip_address(server[0]))
    except ValueError:
        return False


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = f"{refusal}\n".encode("latin-1", "replace")
    headers = [
        (b"content-type", b"text/plain; charset=latin-1"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),  # the body, if there is one, is not read
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
