"""The steps of stopping a task, in time."""

from __future__ import annotations

from scheduler.executor.stopping import KILL, POST, TERM, Escalation

CALLS = {"port": 80, "graceful_endpoint": "/quit", "endpoint": "/abort", "graceful_wait_secs": 5, "wait_secs": 7}


def test_each_step_has_its_time() -> None:
    steps = Escalation(CALLS, 30)
    seen = []
    for now in range(60):
        step = steps.next(now)
        if step:
            seen.append((now, step.action, step.path))
    assert seen == [(0, POST, "/quit"), (5, POST, "/abort"), (12, TERM, ""), (42, KILL, "")]
    assert steps.is_killing


def test_what_brings_nothing_is_not_waited_for() -> None:
    steps = Escalation(CALLS, 30)
    steps.next(0)
    steps.hurry()
    step = steps.next(0.5)
    assert step is not None
    assert step.path == "/abort"
    assert steps.next(1) is None


def test_a_kill_skips_the_rest() -> None:
    steps = Escalation(CALLS, 30)
    steps.next(0)
    steps.skip_to_kill()
    step = steps.next(0.1)
    assert step is not None
    assert step.action == KILL
    steps.skip_to_kill()
    assert steps.next(1) is None


def test_without_calls_and_with_an_empty_one() -> None:
    step = Escalation(None, 30).next(0)
    assert step is not None
    assert step.action == TERM
    steps = Escalation({**CALLS, "graceful_endpoint": ""}, 30)
    step = steps.next(0)
    assert step is not None
    assert step.path == "/abort"
