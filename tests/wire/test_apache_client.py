"""Every method that is served, called by Apache's own client over every carrier: against the core, then for real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scheduler.interface import thesan
from scheduler.testing.cluster import Cluster, Scheduler
from scheduler.testing.serving import InThread, serving
from tests.wire import apache
from tests.wire.apache import api
from tests.wire.life import OK, Life

RUNNING = 2
SERVED = set(thesan.Scheduler.thrift_services)


@pytest.fixture(params=apache.CARRIERS)
def house(request: pytest.FixtureRequest) -> Iterator[tuple[InThread, Any]]:
    with serving() as inner:
        client = apache.client(request.param, http_port=inner.http_port, thrift_port=inner.thrift_port)
        yield inner, client
        client.close()


def _run_all(inner: InThread) -> None:
    for rows in list(inner.stage.state.tasks.active.values()):
        for task in list(rows.values()):
            inner.stage.run(task)


def test_a_jobs_whole_life(house: tuple[InThread, Any]) -> None:
    inner, client = house
    life = Life(client, "www", lambda: inner.on_loop(lambda: _run_all(inner)), until_at_rest=lambda: None)
    life.live()
    assert life.called == SERVED


@pytest.fixture(scope="module")
def server() -> Iterator[Scheduler]:
    with Cluster(engine="simulated", flags=["--cluster-name", "test"]) as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        yield scheduler


@pytest.mark.parametrize("carrier", apache.CARRIERS)
def test_a_jobs_whole_life_on_a_real_server(server: Scheduler, carrier: str) -> None:
    client = apache.client(carrier, http_port=server.http_port, thrift_port=server.thrift_port)
    role = carrier.replace(" ", "-")
    active = api("TaskQuery", role=role, statuses=apache.constants().ACTIVE_STATES)

    def until(reached: Callable[[list[int]], bool]) -> None:
        """Wait for a look at the statuses of the active tasks that shows what is `reached`."""
        for _ in range(1_500):
            tasks = client.getTasksWithoutConfigs(active).result.scheduleStatusResult.tasks
            statuses = [task.status for task in tasks]
            if reached(statuses):
                return
            time.sleep(0.02)
        raise AssertionError(f"the tasks are not at rest: {statuses}")

    life = Life(
        client,
        role,
        until_running=lambda: until(lambda statuses: statuses == [RUNNING] * 3),
        until_at_rest=lambda: until(lambda statuses: set(statuses) == {RUNNING}),
    )
    life.live()
    assert life.called == SERVED
    client.close()


def test_an_unknown_method_raises_what_apache_expects(house: tuple[InThread, Any]) -> None:
    _, client = house
    args_class = apache.method_class("getTierConfigs", "args")
    client._oprot.writeMessageBegin("noSuchMethod", 1, 1)
    args_class().write(client._oprot)
    client._oprot.writeMessageEnd()
    client._oprot.trans.flush()
    name, kind, _ = client._iprot.readMessageBegin()
    assert (name, kind) == ("noSuchMethod", 3)
    exception = apache.TApplicationException()
    exception.read(client._iprot)
    client._iprot.readMessageEnd()
    assert exception.type == apache.TApplicationException.UNKNOWN_METHOD
    assert "noSuchMethod" in exception.message
    assert client.getTierConfigs().responseCode == OK
