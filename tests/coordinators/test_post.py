"""One POST: what is sent, what is understood, and every way in which no answer comes."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from scheduler.coordinators.post import MOST_BYTES, PostFailed, address_of, post
from tests.coordinators.house import house, in_loop, ok

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n"


async def asked(answer: bytes) -> tuple[int, bytes]:
    async with house(answer) as there:
        return await post(f"http://127.0.0.1:{there.port}/drain", {"task": "a/b"}, b"{}", timeout_s=30)


@in_loop
async def test_what_is_sent() -> None:
    async with house(ok(b"yes")) as there:
        url = f"http://127.0.0.1:{there.port}/a b?x=1"
        assert await post(url, {"task": "east/www/prod/web/3"}, b'{"a":1}', timeout_s=30) == (200, b"yes")
    head, _, body = there.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /a%20b?x=1&task=east%2Fwww%2Fprod%2Fweb%2F3 HTTP/1.1",
        b"Host: 127.0.0.1:%d" % there.port,
        b"User-Agent: thesan",
        b"Accept: application/json",
        b"Content-Type: application/json",
        b"Content-Length: 7",
        b"Connection: close",
    ]
    assert body == b'{"a":1}'


@pytest.mark.parametrize(("answer", "understood"), [
    (ok(b"x"), (200, b"x")),
    (ok(b"", "302 Found"), (302, b"")),
    (ok(b"no", "503 Away"), (503, b"no")),
    (CHUNKED, (200, b"{}\n")),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"x"), (200, b"x")),
    (b"HTTP/1.0 200 OK\r\n\r\nto the end", (200, b"to the end")),
    (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
])  # fmt: skip
def test_what_is_understood(answer: bytes, understood: tuple[int, bytes]) -> None:
    assert asyncio.run(asked(answer)) == understood


@pytest.mark.parametrize(("answer", "sentence"), [
    (b"", "hung up without an answer"),
    (b"HTTP/1.1 100 Continue\r\n\r\n", "hung up without an answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "hung up in the middle of its answer"),
    (CHUNKED[:-7], "hung up in the middle of its answer"),
    (b"220 mail.example.com ESMTP\r\n", "did not answer in HTTP"),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MOST_BYTES + 1), f"answered more than {MOST_BYTES} bytes"),
])  # fmt: skip
def test_no_answer(answer: bytes, sentence: str) -> None:
    with pytest.raises(PostFailed, match=sentence):
        asyncio.run(asked(answer))


@in_loop
async def test_who_says_nothing_is_given_up() -> None:
    never = asyncio.Event()

    async def silent(request: bytes) -> bytes:
        await never.wait()
        return b""

    async with house(silent) as there:
        with pytest.raises(PostFailed, match=r"has not answered within 0\.05 s"):
            await post(f"http://127.0.0.1:{there.port}/", {}, b"", timeout_s=0.05)
        never.set()


@in_loop
async def test_nobody_is_there() -> None:
    async with house(b"") as there:
        pass
    with pytest.raises(PostFailed, match="could not be reached: Connect"):
        await post(f"http://127.0.0.1:{there.port}/", {}, b"", timeout_s=30)


@in_loop
async def test_a_certificate_that_nobody_trusts() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with house(ok(b"x"), tls) as there:
        with pytest.raises(PostFailed, match="cannot be trusted: CERTIFICATE_VERIFY_FAILED"):
            await post(f"https://127.0.0.1:{there.port}/", {}, b"", timeout_s=30)


@pytest.mark.parametrize(("url", "host", "port", "target", "name"), [
    ("http://c.example", "c.example", 80, "/?task=t", "c.example"),
    ("https://C.example:8443/x?y=z#f", "c.example", 8443, "/x?y=z&task=t", "c.example:8443"),
    ("http://[::1]:80/", "::1", 80, "/?task=t", "[::1]"),
    ("http://b\u00fccher.example/\u00fc", "xn--bcher-kva.example", 80, "/%C3%BC?task=t", "xn--bcher-kva.example"),
    ("http://c.example/a\r\nX: y", "c.example", 80, "/aX:%20y?task=t", "c.example"),
])  # fmt: skip
def test_addresses(url: str, host: str, port: int, target: str, name: str) -> None:
    found = address_of(url, {"task": "t"})
    assert (found.host, found.port, found.target, found.name) == (host, port, target, name)


@pytest.mark.parametrize("url", [
    "", "ftp://c.example/", "http://", "http:///x", "http://a b/", "http://c.example:99999/", "http://c.example:x/",
    f"http://{'a' * 64}.example/", "http://[::1/", "http://a\x00b/",
])  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(PostFailed):
        address_of(url, {})
