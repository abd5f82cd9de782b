"""An ensemble of three: leadership and log survive the loss of a server, and a lease does not outlive the quorum."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from scheduler.testing.zookeeper import Ensemble, ZooKeeper
from scheduler.zk.client import Client, Condition
from scheduler.zk.clock import boot_ms
from scheduler.zk.lease import Lease, keep_lease
from tests.changelog.zookeeper_stage import Scheduler
from tests.zk.stage import Stage, eventually, on_stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ensemble() -> Iterator[Ensemble]:
    with Ensemble.temporary(sync_limit=25) as running:
        yield running


def serving(ensemble: Ensemble, client: Client) -> ZooKeeper:
    """The server this client talks to."""
    assert client.server is not None
    return next(server for server in ensemble.servers if server.port == client.server[1])


class Leading:
    """A leader that keeps its lease."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.lease = Lease()
        self.conditions: list[tuple[int, Condition]] = []
        client = scheduler.client
        client.listeners.append(lambda now: self.conditions.append((boot_ms(), now)))
        scheduler.changelog.on_quorum_write = lambda sent_ms: self.lease.renew(sent_ms, client.session_timeout_ms)

    async def begin(self, stage: Stage) -> None:
        await self.scheduler.lead()
        keeping = asyncio.create_task(keep_lease(self.scheduler.client, self.scheduler.changelog.held, self.lease))

        async def stop() -> None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

        stage.cleanup(stop)


async def leading(stage: Stage, hosts: str = "", *, timeout_ms: int) -> Leading:
    found = Leading(await Scheduler.at(stage, hosts, timeout_ms=timeout_ms))
    await found.begin(stage)
    return found


def test_the_loss_of_its_leader_costs_an_ensemble_a_pause_and_nobody_the_epoch(ensemble: Ensemble) -> None:
    async def play(stage: Stage) -> None:
        leader = await leading(stage, timeout_ms=6000)
        changelog = leader.scheduler.changelog
        await leader.scheduler.tell(10)
        victim = ensemble.leader
        victim.kill()

        async def tell_on() -> None:
            while changelog.offset < 40:
                await changelog.append_through(leader.scheduler.decide())

        await asyncio.wait_for(tell_on(), 20)
        assert changelog.held.number == 1
        assert leader.scheduler.client.condition is Condition.CONNECTED
        await eventually(lambda: leader.lease.is_valid)
        victim.start()
        reader = await Scheduler.at(stage)
        assert await reader.follow() == 40 and reader.is_right

    on_stage(play, ensemble.addresses)


def test_a_frozen_server_is_left_before_the_lease_is_over_for_good(ensemble: Ensemble) -> None:
    """It keeps its connections and answers nothing: what was asked is asked of another, in the same session."""

    async def play(stage: Stage) -> None:
        leader = await leading(stage, timeout_ms=6000)
        await leader.scheduler.tell(3)
        while serving(ensemble, leader.scheduler.client).mode == "leader":
            leader.scheduler.client.break_connection()
            await asyncio.sleep(0.3)
            await leader.scheduler.client.connected()
        frozen = serving(ensemble, leader.scheduler.client)
        session = leader.scheduler.client.session_id
        frozen.freeze()
        frozen_ms = boot_ms()
        try:
            await leader.scheduler.changelog.append_through(leader.scheduler.decide())
            took_ms = boot_ms() - frozen_ms
        finally:
            frozen.thaw()

        assert took_ms < 6000 * 2 // 3 + 500
        assert leader.scheduler.client.session_id == session
        assert serving(ensemble, leader.scheduler.client) is not frozen

    on_stage(play, ensemble.addresses)


def test_a_lease_lapses_with_the_quorum_although_pings_are_answered(ensemble: Ensemble) -> None:
    async def play(stage: Stage) -> None:
        follower = ensemble.followers[0]
        leader = await leading(stage, follower.address, timeout_ms=3000)
        await leader.scheduler.tell(3)
        await asyncio.sleep(1)
        assert leader.lease.is_valid
        others = [server for server in ensemble.servers if server is not follower]
        for server in others:
            server.freeze()
        cut_ms = boot_ms()
        try:
            assert leader.scheduler.client.condition is Condition.CONNECTED
            assert "imok" in await asyncio.to_thread(follower.ask, "ruok")
            await eventually(lambda: not leader.lease.is_valid, within_s=4)
            lapsed_ms = boot_ms()
        finally:
            for server in others:
                server.thaw()

        # kazoo noticed nothing; that the answer to a write was late is what made us look for another server.
        assert all(when - cut_ms >= 700 for when, _ in leader.conditions if when > cut_ms)
        assert lapsed_ms - cut_ms <= 2000 + 100
        await eventually(lambda: leader.lease.is_valid or not _lives(leader), within_s=10)

    on_stage(play, ensemble.addresses)


def _lives(leader: Leading) -> bool:
    return leader.scheduler.client.condition is not Condition.ENDED
