"""Epochs are claimed by one at a time, and a claim that was not answered is known by its holder."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.testing.proxy import Proxy, Way
from scheduler.testing.zookeeper import expire_session, shared_server
from scheduler.zk.epoch import claim, epoch_bytes, prove, read_epoch
from scheduler.zk.errors import SessionOver, Superseded, UnreadableEpoch
from tests.zk.stage import Stage, eventually, on_stage


def test_numbers_grow_and_the_last_claim_counts() -> None:
    async def play(stage: Stage) -> None:
        one, two = await stage.client(), await stage.client()
        await one.create("/epoch", epoch_bytes(6, "before"))

        first = await claim(one, "/epoch", "one", within_s=5)
        await prove(one, first)
        second = await claim(two, "/epoch", "two", within_s=5)

        assert (first.number, second.number) == (7, 8)
        assert second.version == first.version + 1
        assert await read_epoch(one, "/epoch") == second
        with pytest.raises(Superseded, match="epoch 7 is over"):
            await prove(one, first)
        await prove(two, second)

    on_stage(play)


def test_of_many_at_once_all_get_different_numbers_or_nothing() -> None:
    async def play(stage: Stage) -> None:
        clients = [await stage.client() for _ in range(5)]
        await clients[0].create("/epoch", epoch_bytes(0, ""))

        tries = [claim(client, "/epoch", f"number {n}", within_s=5) for n, client in enumerate(clients)]
        found = await asyncio.gather(*tries, return_exceptions=True)

        held = [one for one in found if not isinstance(one, BaseException)]
        assert all(isinstance(one, Superseded) for one in found if isinstance(one, BaseException))
        assert held
        assert len({one.number for one in held}) == len(held)
        assert (await read_epoch(clients[0], "/epoch")).number == len(held)

    on_stage(play)


@pytest.mark.parametrize("way", list(Way))
def test_a_claim_that_was_not_answered_is_settled(way: Way) -> None:
    """Lost on the way there, or its answer on the way back: in the end the epoch was claimed once."""

    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address)
            await client.create("/epoch", epoch_bytes(0, ""))
            proxy.hold_when_seen(b'"me"', way)
            claiming = asyncio.create_task(claim(client, "/epoch", "me", within_s=10))
            await eventually(proxy.seen.is_set)
            await asyncio.sleep(0.05)
            proxy.cut()
            proxy.heal()

            held = await claiming
            assert (held.number, held.version) == (1, 1)
            assert await client.patiently(lambda: read_epoch(client, "/epoch"), 5) == held

    on_stage(play)


def test_a_candidate_that_is_gone_claims_nothing() -> None:
    async def play(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        await other.create("/epoch", epoch_bytes(0, ""))
        await client.create("/candidate", ephemeral=True)
        assert (await claim(client, "/epoch", "a", candidate="/candidate", within_s=5)).number == 1

        await other.delete("/candidate")
        with pytest.raises(Superseded, match="the candidate is gone"):
            await claim(client, "/epoch", "b", candidate="/candidate", within_s=5)
        assert (await read_epoch(other, "/epoch")).number == 1

        expire_session(shared_server().address, client.session_id, client.session_password)
        with pytest.raises(SessionOver):
            await claim(client, "/epoch", "c", within_s=5)

    on_stage(play)


def test_without_its_node_there_is_no_epoch() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        with pytest.raises(UnreadableEpoch, match="/epoch in ZooKeeper is not there"):
            await claim(client, "/epoch", "me", within_s=5)
        await client.create("/epoch", b"")
        for number in ("Infinity", "-1", str(2**70), "[]", "x"):
            await client.set("/epoch", f'{{"number": {number}, "holder": ""}}'.encode(), -1)
            with pytest.raises(UnreadableEpoch, match="holds something else"):
                await claim(client, "/epoch", "me", within_s=5)
        await client.set("/epoch", epoch_bytes(0, ""), -1)
        held = await claim(client, "/epoch", "me", within_s=5)
        await client.delete("/epoch")
        with pytest.raises(Superseded):
            await prove(client, held)

    on_stage(play)
