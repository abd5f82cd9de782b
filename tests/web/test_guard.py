"""Who is let in: programs, this server's own pages and one enabled origin; no other web page."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from scheduler.testing.serving import InThread, serving
from scheduler.web.guard import Guard, Refusal
from tests.rpc.calls import job, json_call

SERVER = ("192.0.2.7", 8081)


async def _never(*args: Any) -> None:
    raise AssertionError("the application was called")


def verdict(
    enable_cors_for: str | None = None,
    server: Any = SERVER,
    request: str = "POST /api",
    **headers: str | list[str],
) -> int:
    """The status a request with these headers is refused with; 200 when it is let in."""
    guard = Guard(_never, hostnames=("scheduler.test", ""), enable_cors_for=enable_cors_for)
    raw = []
    for name, value in headers.items():
        for one in [value] if isinstance(value, str) else value:
            raw.append((name.replace("_", "-").lower().encode(), one.encode()))
    try:
        method, path = request.split()
        scope = {"type": "http", "scheme": "http", "method": method, "path": path}
        guard.check({**scope, "headers": raw, "server": server})
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8081",
        "localhost.",
        "127.0.0.1:8081",
        "127.8.9.1",
        "[::1]:8081",
        "[::1]",
        "192.0.2.7:8081",
        "[::ffff:192.0.2.7]:8081",
        "scheduler.test",
        "Scheduler.Test.:8081",
    ],
)
def test_names_and_addresses_of_this_server(host: str) -> None:
    assert verdict(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8081",
        "localhost.evil.example",
        "scheduler.test.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.8",
        "0.0.0.0:8081",
        "2130706433",
        "",
        ":8081",
        "[::2]",
        "[::1",
        "user@localhost",
    ],
)
def test_other_names_are_misdirected(host: str) -> None:
    expected = 200 if host == "[::1" else 421  # a missing bracket changes nothing about whom it names
    assert verdict(host=host) == expected


def test_there_must_be_one_host() -> None:
    assert verdict() == 421
    assert verdict(host=["localhost", "localhost"]) == 421


def test_a_server_without_an_address_still_knows_loopback() -> None:
    assert verdict(server=None, host="127.0.0.1") == 200
    assert verdict(server=("/run/thesan.sock", None), host="192.0.2.7") == 421


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": "http://localhost:8081", "sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "https://localhost:8081"}, 403),
        ({"origin": "http://[oops"}, 403),
        ({"origin": ["http://localhost:8081", "http://evil.example"]}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "nonsense"}, 403),
        ({"origin": "http://localhost:8081", "sec_fetch_site": "cross-site"}, 403),
    ],
)
def test_where_a_browser_says_a_request_comes_from(headers: dict[str, Any], expected: int) -> None:
    assert verdict(host="localhost:8081", **headers) == expected


@pytest.mark.parametrize(
    ("request_line", "changed", "expected"),
    [
        ("GET /scheduler/www/prod/hello", {}, 200),
        ("HEAD /", {}, 200),
        ("GET /", {"sec_fetch_site": "same-site"}, 200),
        ("POST /quitquitquit", {}, 403),
        ("GET /api", {}, 403),
        ("GET /apibeta/killTasks", {}, 403),
        ("GET /events", {}, 403),
        ("GET /", {"origin": "http://evil.example"}, 403),
        ("GET /", {"sec_fetch_mode": "no-cors"}, 403),
        ("GET /", {"sec_fetch_mode": ["navigate", "cors"]}, 403),
        ("GET /", {"sec_fetch_dest": "iframe"}, 403),
        ("GET /", {"sec_fetch_dest": []}, 403),
    ],
)
def test_a_person_may_follow_a_link(request_line: str, changed: dict[str, Any], expected: int) -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert verdict(request=request_line, host="localhost", **{**link, **changed}) == expected


def test_one_origin_can_be_enabled() -> None:
    enabled = "https://ui.example"
    assert verdict(enabled, host="localhost", origin=enabled, sec_fetch_site="cross-site") == 200
    assert verdict(enabled, host="localhost", origin="https://ui.example.evil", sec_fetch_site="cross-site") == 403
    assert verdict(enabled, host="localhost", origin=[enabled, "http://evil.example"]) == 403
    assert verdict(enabled, host="localhost", sec_fetch_site="cross-site") == 403
    assert verdict(enabled, host="evil.example", origin=enabled) == 421


# What browsers send for a page of another site that posts a form, or fetches with `mode: "no-cors"`.
CROSS_SITE = {
    "form": {"Origin": "http://evil.example", "Content-Type": "text/plain", "Sec-Fetch-Site": "cross-site"},
    "fetch of a Blob without a type": {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    "a sandboxed frame": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "an old browser": {"Origin": "http://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
    "another port here": {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
    "as JSON, had the preflight been let through": {
        "Origin": "http://evil.example",
        "Content-Type": "application/json",
        "Sec-Fetch-Site": "cross-site",
    },
    "after rebinding a name to loopback": {
        "Host": "evil.example:8081",
        "Origin": "http://evil.example:8081",
        "Sec-Fetch-Site": "same-origin",
    },
}


def post(house: InThread, headers: dict[str, str], method: str = "POST") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
    connection.request(method, "/api", json_call("createJob", description=job()), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@pytest.mark.parametrize("headers", CROSS_SITE.values(), ids=CROSS_SITE.keys())
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_a_page_of_another_site_creates_no_job(headers: dict[str, str], method: str) -> None:
    with serving() as house:
        response = post(house, headers, method)
        assert response.status == (421 if "Host" in headers else 403)
        assert response.getheader("Access-Control-Allow-Origin") is None
        assert house.core.calls == []
        assert len(house.stage.state.tasks) == 0
        assert post(house, {}).status == 200  # the same bytes from a program do
        assert len(house.stage.state.tasks) == 1


def test_the_enabled_origin_is_told_what_it_may() -> None:
    enabled = "https://ui.example"
    with serving(enable_cors_for=enabled) as house:
        headers = {"Origin": enabled, "Sec-Fetch-Site": "cross-site", "Content-Type": "application/x-thrift"}
        for method in ("OPTIONS", "POST"):
            response = post(house, headers, method)
            assert response.status == 200
            assert response.getheader("Access-Control-Allow-Origin") == enabled
            assert response.getheader("Access-Control-Allow-Methods") == "DELETE,GET,HEAD,OPTIONS,POST,PUT"
            assert response.getheader("Access-Control-Allow-Headers") == "Accept,Content-Type,Origin,X-Requested-With"
        assert house.core.calls == ["create"]
