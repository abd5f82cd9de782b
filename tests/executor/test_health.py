"""When a task is healthy and when it is not, on a clock that is only turned."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.executor.health import EAGER_INTERVAL_SECS, Health
from scheduler.executor.probe import HttpRequest


def made(**changes: Any) -> Health:
    spec = {
        "port": 1,
        "endpoint": "/health",
        "expected_response": "ok",
        "expected_response_code": 0,
        "initial_interval_secs": 15,
        "interval_secs": 10,
        "timeout_secs": 1,
        "max_consecutive_failures": 0,
        "min_consecutive_successes": 1,
    }
    return Health({**spec, **changes}, now=100.0)


def test_the_first_success_makes_it_healthy() -> None:
    health = made()
    assert health.next_at == 100
    assert health.count(None, 100) is None
    assert health.is_healthy
    assert health.next_at == 110


def test_failures_in_the_beginning_do_not_count_and_it_is_asked_again_soon() -> None:
    health = made()
    assert health.count("refused", 100) is None
    assert health.next_at == 100 + EAGER_INTERVAL_SECS
    assert health.count("refused", 114.9) is None
    assert health.count("refused", 115) == "unhealthy: 1 health checks in a row failed, the last one: refused"


def test_as_many_failures_in_a_row_as_are_tolerated() -> None:
    health = made(max_consecutive_failures=2)
    health.count(None, 100)
    for now in (110, 120):  # it was healthy: the initial interval is over
        assert health.count("slow", now) is None
    assert health.count(None, 140) is None
    for now in (150, 160):
        assert health.count("slow", now) is None
    assert health.count("slow", 170) == "unhealthy: 3 health checks in a row failed, the last one: slow"


def test_as_many_successes_in_a_row_as_are_asked_for() -> None:
    health = made(min_consecutive_successes=3)
    health.count(None, 100)
    health.count(None, 110)
    health.count("x", 112)
    assert not health.is_healthy
    for now in (113, 123, 133):
        assert health.count(None, now) is None
    assert health.is_healthy


def test_one_that_never_makes_up_its_mind_fails() -> None:
    """Good and bad in turn: never so many failures, never so many successes."""
    health = made(min_consecutive_successes=2, max_consecutive_failures=1)
    verdicts = [health.count("x" if i % 2 else None, 100 + 10 * i) for i in range(10)]
    first = next(i for i, verdict in enumerate(verdicts) if verdict)
    assert first == 5  # 15 s, and then as many checks as could have brought either
    assert verdicts[first] == "not healthy in time, the last health check: x"


def answer(code: int = 200, body: str = "ok", error: str = "") -> HttpRequest:
    request = HttpRequest.__new__(HttpRequest)
    request.code, request.body, request.error = code, body, error
    return request


@pytest.mark.parametrize(
    ("spec", "given", "problem"),
    [
        ({}, answer(), None),
        ({}, answer(body=" OK\n"), None),
        ({}, answer(code=500), None),  # no code is expected by default, as in Aurora
        ({}, answer(body="not ok"), "body 'not ok', expected 'ok'"),
        ({}, answer(error="Connection refused"), "Connection refused"),
        ({"expected_response_code": 200}, answer(code=503), "status 503, expected 200"),
        ({"expected_response": "", "expected_response_code": 204}, answer(code=204, body="anything"), None),
    ],
)
def test_what_is_a_good_answer(spec: dict[str, Any], given: HttpRequest, problem: str | None) -> None:
    assert made(**spec).judge(given) == problem
