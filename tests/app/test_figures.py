"""Figures of a real server move with what happens in it, and begin anew with its process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from scheduler.testing.cluster import Cluster, Scheduler

TASK = {
    "job": {"role": "www", "environment": "prod", "name": "web"},
    "executorConfig": {"name": "AuroraExecutor", "data": "sleep 60"},
    "resources": [{"numCpus": 0.1}, {"ramMb": 16}, {"diskMb": 16}],
    "isService": True,
}

OFTEN = [
    "-reconciliation_initial_delay=100ms",
    "-reconciliation_schedule_spread=0ms",
    "-reconciliation_explicit_interval=1secs",
    "-reconciliation_implicit_interval=1secs",
]


def figures(scheduler: Scheduler) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"http://127.0.0.1:{scheduler.http_port}/vars.json", timeout=10).json()
    return found


def until(scheduler: Scheduler, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not holds(found := figures(scheduler)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_what_operators_watch() -> None:
    with Cluster(engine="simulated", flags=OFTEN) as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        base = f"http://127.0.0.1:{scheduler.http_port}"
        ask = {"description": {"key": TASK["job"], "taskConfig": TASK, "instanceCount": 3}}
        assert requests.post(f"{base}/apibeta/createJob", json=ask, timeout=10).json()["responseCode"] == "OK"
        found = until(scheduler, lambda found: found["task_transition_RUNNING"] == 3)
        assert (found["task_transition_PENDING"], found["task_transition_ASSIGNED"]) == (3, 3)
        assert found["schedule_attempts_fired"] >= 1
        assert found["http_500_responses_events"] == found["uncaught_exceptions"] == 0
        assert requests.get(f"{base}/nowhere", timeout=10).status_code == 404
        assert figures(scheduler)["http_404_responses_events"] == 1
        found = until(scheduler, lambda found: found["reconciliation_implicit_runs"] >= 3)
        assert found["reconciliation_explicit_runs"] >= 3
        lines = requests.get(f"{base}/metrics", timeout=10).text
        assert "# TYPE task_transition_RUNNING counter\ntask_transition_RUNNING 3\n" in lines
        scheduler.stop()
        scheduler.start()
        assert figures(scheduler)["task_transition_RUNNING"] == 0
