"""Health and metrics, beside /api."""

import json
import socket

import pytest
import requests

from scheduler.testing.serving import InThread, serving
from scheduler.web.metrics import prometheus, vars_text


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


def test_prometheus() -> None:
    figures = {
        "task_store_RUNNING": 3,
        "http_200_responses_events": 7,
        "sla_a/b/c_ms": 1.5,
        "sla_a/b_c_ms": 2,
        "build_version": 'a"b\n',
        "2nd": 1,
    }
    response = prometheus(lambda: figures)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert bytes(response.body).decode() == (
        "# TYPE _2nd gauge\n"
        '_2nd{name="2nd"} 1\n'
        "# TYPE build_version_info gauge\n"
        'build_version_info{value="a\\"b\\n"} 1\n'
        "# TYPE http_200_responses_events counter\n"
        "http_200_responses_events 7\n"
        "# TYPE sla_a_b_c_ms gauge\n"
        'sla_a_b_c_ms{name="sla_a/b/c_ms"} 1.5\n'
        'sla_a_b_c_ms{name="sla_a/b_c_ms"} 2\n'
        "# TYPE task_store_RUNNING gauge\n"
        "task_store_RUNNING 3\n"
    )


def test_metrics_has_the_figures_of_vars(house: InThread) -> None:
    assert get(house, "/metrics").text == "# TYPE tasks gauge\ntasks 0\n"


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
