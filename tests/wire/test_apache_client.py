"""Every method that is served, called by Apache's own client over every carrier: against the core, then for real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.interface import thesan
from scheduler.testing.cluster import Cluster, Scheduler
from scheduler.testing.serving import InThread, serving
from tests.wire import apache
from tests.wire.apache import api
from tests.wire.life import OK, Life

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
    life = Life(client, "www", lambda: inner.on_loop(lambda: _run_all(inner)))
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
    running = api("TaskQuery", role=role, statuses={2})

    def until_running() -> None:
        for _ in range(500):
            if len(client.getTasksWithoutConfigs(running).result.scheduleStatusResult.tasks) == 3:
                return
            time.sleep(0.02)
        raise AssertionError("the tasks do not run")

    life = Life(client, role, until_running)
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
