"""Health and metrics, beside /api."""

import json
import socket

import pytest
import requests

from scheduler.testing.serving import InThread, serving
from scheduler.web.metrics import vars_text


@pytest.fixture(scope="module")
def house():  # type: ignore[no-untyped-def]
    with serving() as inner:
        yield inner


def get(house: InThread, path: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{house.http_port}{path}", timeout=10)


def test_health(house: InThread) -> None:
    response = get(house, "/health")
    assert (response.status_code, response.text) == (200, "OK\n")
    assert response.headers["Content-Type"].startswith("text/plain")


def test_vars(house: InThread) -> None:
    assert get(house, "/vars").text == "tasks 0\n"
    assert get(house, "/vars.json").json() == {"tasks": 0}
    assert get(house, "/vars.json?pretty").text == '{\n  "tasks": 0\n}'
    assert get(house, "/vars.json?pretty=false").text == '{"tasks": 0}'


def test_names_are_sorted_and_cleaned() -> None:
    text = vars_text(lambda: {"b": 2, "a/x.y-z_1": 1.5, "task é(x)": "some text"}).body
    assert text == b"a/x.y-z_1 1.5\nb 2\ntask___x_ some text\n"


def test_unknown_paths_and_methods(house: InThread) -> None:
    assert get(house, "/nothing").status_code == 404
    assert requests.post(f"http://127.0.0.1:{house.http_port}/health", timeout=10).status_code == 405


def test_names_are_guarded_here_too(house: InThread) -> None:
    url = f"http://127.0.0.1:{house.http_port}/vars"
    assert requests.get(url, headers={"Host": "evil.example"}, timeout=10).status_code == 421
    assert requests.get(url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10).status_code == 403


def test_garbage_is_answered_and_closed(house: InThread) -> None:
    with socket.create_connection(("127.0.0.1", house.http_port), timeout=10) as raw:
        raw.sendall(b"\x00\x00\x00\x10garbage garbage\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert json.loads(get(house, "/vars.json").text) == {"tasks": 0}
