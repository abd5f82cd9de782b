"""A drain that asks a job's coordinator: a real scheduler, a real port, and what both of them say."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from scheduler.testing.cluster import Cluster


class Coordinator(HTTPServer):
    """Says no until it is told to say yes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.says = False
        self.asked: list[dict[str, Any]] = []


class _Asked(BaseHTTPRequestHandler):
    server: Coordinator

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = json.dumps({"may-go": self.server.says}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    made = Coordinator()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def test_a_host_is_emptied_when_the_coordinator_says_so(coordinator: Coordinator) -> None:
    flags = ["-sla_aware_kill_non_prod", "-host_maintenance_polling_interval=200ms"]
    with Cluster(engine="simulated", flags=flags) as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()

        def call(method: str, **arguments: Any) -> dict[str, Any]:
            url = f"http://127.0.0.1:{scheduler.http_port}/apibeta/{method}"
            answer: dict[str, Any] = requests.post(url, json=arguments, timeout=10).json()
            assert answer["responseCode"] == "OK", answer
            return answer

        def task() -> dict[str, Any] | None:
            found = call("getTasksStatus", query={"statuses": ["RUNNING"]})["result"]["scheduleStatusResult"]["tasks"]
            return found[0]["assignedTask"] if found else None

        url = f"http://127.0.0.1:{coordinator.server_port}/drain"
        key = {"role": "www", "environment": "prod", "name": "web"}
        wanted = {
            "job": key,
            "isService": True,
            "executorConfig": {"name": "AuroraExecutor", "data": "sleep 60"},
            "resources": [{"numCpus": 0.1}, {"ramMb": 16}, {"diskMb": 16}],
            "slaPolicy": {"coordinatorSlaPolicy": {"coordinatorUrl": url, "statusKey": "may-go"}},
        }
        call("createJob", description={"key": key, "taskConfig": wanted, "instanceCount": 1})
        before = until(task, "it does not run")
        policy = {"percentageSlaPolicy": {"percentage": 95, "durationSecs": 0}}
        hosts = {"hostNames": [before["slaveHost"]]}
        call("slaDrainHosts", hosts=hosts, defaultSlaPolicy=policy, timeoutSecs=3600)
        until(lambda: len(coordinator.asked) >= 2, "its coordinator is not asked")
        assert coordinator.asked[0]["taskConfig"]["assignedTask"]["taskId"] == before["taskId"]
        assert 3_500_000 < int(coordinator.asked[0]["forceMaintenanceCountdownMs"]) <= 3_600_000
        assert task() == before
        coordinator.says = True
        until(lambda: (now := task()) and now["slaveHost"] != before["slaveHost"], "it does not move")
        figures = requests.get(f"http://127.0.0.1:{scheduler.http_port}/vars.json", timeout=10).json()
        assert figures["sla_coordinator_success"] == 1
        assert figures["sla_coordinator_attempts"] == len(coordinator.asked) >= 3
