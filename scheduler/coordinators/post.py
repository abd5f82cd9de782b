"""One HTTP POST in the event loop, within a time and a size. httptools reads the answer; no redirect is followed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import httptools
from attrs import frozen

MOST_BYTES: Final = 256 * 1024
"""Of an answer, head and body."""
_CHUNK: Final = 16 * 1024
_AS_IT_IS: Final = "%/:@!$&'()*+,;=-._~?"


class PostFailed(Exception):
    """There is no answer; the sentence ends "its coordinator ...\"."""


@frozen
class Address:
    """Where a URL leads. `target` is what stands in the request's first line."""

    host: str
    port: int
    target: str
    is_tls: bool

    @property
    def name(self) -> str:
        """For the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def address_of(url: str, parameters: dict[str, str]) -> Address:
    """With `parameters` behind the URL's own. Raises PostFailed for what is no http URL."""
    try:
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError as wrong:  # a wrong port, or a host that cannot be written
        raise PostFailed(f"has a URL that leads nowhere: {wrong}") from None
    if parts.scheme not in ("http", "https") or not host or not host.isprintable() or " " in host:
        raise PostFailed(f"has the URL {url!r:.200}, which is not http://HOST... or https://HOST...")
    query = "&".join(filter(None, (quote(parts.query, _AS_IT_IS), urlencode(parameters))))
    return Address(host, port, f"{quote(parts.path, _AS_IT_IS) or '/'}?{query}", is_tls)


async def post(url: str, parameters: dict[str, str], body: bytes, *, timeout_s: float) -> tuple[int, bytes]:
    """Status and body of the answer to `body`, which is JSON. Raises PostFailed."""
    address = address_of(url, parameters)
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(address, body)
    except TimeoutError:
        raise PostFailed(f"has not answered within {timeout_s:g} s") from None
    except ssl.SSLError as wrong:
        raise PostFailed(f"cannot be trusted: {wrong.reason or wrong}") from None
    except OSError as wrong:
        raise PostFailed(f"could not be reached: {wrong.strerror or wrong}") from None


async def _exchange(address: Address, body: bytes) -> tuple[int, bytes]:
    secured = ssl.create_default_context() if address.is_tls else None
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=secured)
    try:
        lines = (
            f"POST {address.target} HTTP/1.1",
            f"Host: {address.name}",
            "User-Agent: thesan",
            "Accept: application/json",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        writer.write("\r\n".join((*lines, "", "")).encode("ascii") + body)
        await writer.drain()
        return await _answer(reader.read)
    finally:
        writer.transport.abort()  # whatever else it would say, nobody listens


async def _answer(read: Callable[[int], object]) -> tuple[int, bytes]:
    answer = _Answer()
    parser = answer.parser = httptools.HttpResponseParser(answer)
    size = 0
    while not answer.is_complete:
        data: bytes = await read(_CHUNK)  # type: ignore[misc]
        if not data:
            break
        size += len(data)
        if size > MOST_BYTES:
            raise PostFailed(f"answered more than {MOST_BYTES} bytes")
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as wrong:
            raise PostFailed(f"did not answer in HTTP: {wrong}") from None
    if not answer.has_head:
        raise PostFailed("hung up without an answer")
    if not answer.is_complete and answer.is_counted:
        raise PostFailed("hung up in the middle of its answer")
    return parser.get_status_code(), b"".join(answer.parts)


class _Answer:
    """What httptools tells. A status below 200 only says that somebody is there: the answer follows."""

    parser: httptools.HttpResponseParser

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.has_head = False
        self.is_complete = False
        self.is_counted = False
        """Does its head say how long it is? Otherwise it lasts until the connection ends."""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.is_counted |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self.has_head = self.parser.get_status_code() >= 200

    def on_body(self, data: bytes) -> None:
        self.parts.append(data)

    def on_message_complete(self) -> None:
        self.is_complete = self.has_head
