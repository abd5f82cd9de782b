"""The first in the queue leads, the next follows at once, and nobody is woken for nothing."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.testing.proxy import Proxy, Way
from scheduler.testing.zookeeper import expire_session, shared_server
from scheduler.zk.client import Client
from scheduler.zk.election import Election, candidates
from scheduler.zk.errors import SessionOver
from tests.zk.stage import Stage, eventually, on_stage

PATH = "/aurora/scheduler"


async def stand(client: Client, data: bytes = b"") -> tuple[Election, asyncio.Task[str]]:
    await client.ensure(PATH)
    election = Election(client, PATH, data)
    winning = asyncio.create_task(election.win())
    await eventually(lambda: election.node)
    return election, winning


def test_three_stand_and_lead_in_the_order_they_came() -> None:
    async def play(stage: Stage) -> None:
        clients = [await stage.client() for _ in range(3)]
        (first, first_wins), (second, second_wins), (third, third_wins) = [
            await stand(client, f"scheduler {n}".encode()) for n, client in enumerate(clients)
        ]

        assert await first_wins == first.node
        assert [one.data for one in await candidates(clients[2], PATH)] == [
            b"scheduler 0",
            b"scheduler 1",
            b"scheduler 2",
        ]
        assert not second_wins.done()

        await clients[0].close()
        assert await asyncio.wait_for(second_wins, 2) == second.node
        assert not third_wins.done()
        await second.leave(within_s=2)
        assert await asyncio.wait_for(third_wins, 2) == third.node
        assert [one.name for one in await candidates(clients[2], PATH)] == [str(third.node).rpartition("/")[2]]

    on_stage(play)


def test_a_predecessor_in_the_middle_dies_and_nobody_leads_too_early() -> None:
    async def play(stage: Stage) -> None:
        clients = [await stage.client() for _ in range(3)]
        (first, first_wins), (_, second_wins), (third, third_wins) = [await stand(client) for client in clients]
        await first_wins

        expire_session(shared_server().address, clients[1].session_id, clients[1].session_password)
        with pytest.raises(SessionOver):
            await second_wins
        await asyncio.sleep(0.2)
        assert not third_wins.done()
        await first.leave(within_s=2)
        assert await asyncio.wait_for(third_wins, 2) == third.node

    on_stage(play)


def test_the_dead_are_succeeded_when_their_session_ends() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            dying, next_one = await stage.client(proxy.address, timeout_ms=1000), await stage.client()
            _, dying_wins = await stand(dying)
            await dying_wins
            _, next_wins = await stand(next_one)
            proxy.lose()

            begun = asyncio.get_running_loop().time()
            await asyncio.wait_for(next_wins, 5)
            assert 0.3 < asyncio.get_running_loop().time() - begun < 3

    on_stage(play)


def test_clients_that_look_for_the_leader_see_no_candidate() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        _, wins = await stand(client)
        await wins
        assert [name for name in await client.children(PATH) if name.startswith("member_")] == []

    on_stage(play)


def test_a_broken_connection_loses_no_place_and_makes_no_second_candidate() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            first, second = await stage.client(), await stage.client(proxy.address)
            first_election, first_wins = await stand(first)
            await first_wins
            second_election, second_wins = await stand(second)
            node = second_election.node
            proxy.cut()
            await asyncio.sleep(0.1)
            proxy.heal()
            await second.connected()
            await first_election.leave(within_s=2)

            assert await asyncio.wait_for(second_wins, 3) == node
            assert len(await candidates(first, PATH)) == 1

    on_stage(play)


def test_a_registration_that_was_not_answered_is_found_again() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client, other = await stage.client(proxy.address), await stage.client()
            await client.ensure(PATH)
            proxy.hold_when_seen(b"candidate_", Way.BACK)
            election = Election(client, PATH)
            winning = asyncio.create_task(election.win())
            await eventually(proxy.seen.is_set)
            await asyncio.sleep(0.05)
            (made,) = await candidates(other, PATH)
            assert election.node is None
            proxy.cut()
            proxy.heal()

            assert await asyncio.wait_for(winning, 5) == f"{PATH}/{made.name}"
            assert await candidates(other, PATH) == [made]

    on_stage(play)


def test_whoever_deletes_the_candidate_ends_its_leadership() -> None:
    async def play(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        election, wins = await stand(client)
        losing = asyncio.create_task(election.lose())
        await asyncio.sleep(0.05)
        assert not losing.done()
        await other.delete(await wins)
        await asyncio.wait_for(losing, 2)

    on_stage(play)
