"""The leader's advertisement, as Aurora's clients and gorealis read it."""

from __future__ import annotations

import asyncio
import json

import pytest

from scheduler.testing.proxy import Proxy
from scheduler.testing.zookeeper import shared_server
from scheduler.zk import serverset
from scheduler.zk.client import Client
from scheduler.zk.epoch import Claim, claim, epoch_bytes
from scheduler.zk.errors import Superseded
from scheduler.zk.ops import create
from scheduler.zk.serverset import Advertisement, Endpoint, LeaderWatch, read_leader
from tests.zk.stage import Stage, eventually, on_stage

PATH = "/aurora/scheduler"
HERE = Endpoint("sched1.example.com", 8081)
THERE = Endpoint("sched2.example.com", 8081)


async def lead(client: Client, holder: str = "me") -> Claim:
    await client.ensure(PATH)
    if await client.exists("/epoch") is None:
        await client.create("/epoch", epoch_bytes(0, ""))
    return await claim(client, "/epoch", holder, within_s=5)


async def members(client: Client) -> list[str]:
    return sorted(name for name in await client.children(PATH) if name.startswith("member_"))


async def gorealis(client: Client) -> str:
    """The first child that begins with member_; of that, the one additional endpoint."""
    name = next(name for name in await client.children(PATH) if name.startswith("member_"))
    told = json.loads((await client.get(f"{PATH}/{name}"))[0])
    ((scheme, at),) = told["additionalEndpoints"].items()
    assert isinstance(at["port"], int)
    return f"{scheme}://{at['host']}:{at['port']}"


def test_clients_find_the_leader_as_they_always_did() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        await Advertisement(client, PATH, await lead(client), HERE).publish(within_s=5)
        await client.multi([create(f"{PATH}/candidate_x-", sequence=True), create(f"{PATH}/singleton_candidate_1")])

        (name,) = await members(client)
        data, stat = await client.get(f"{PATH}/{name}")
        assert len(name) == len("member_") + 10
        assert name[-10:].isdigit()
        assert stat.ephemeralOwner == client.session_id
        assert json.loads(data) == {
            "serviceEndpoint": {"host": "sched1.example.com", "port": 8081},
            "additionalEndpoints": {"http": {"host": "sched1.example.com", "port": 8081}},
            "status": "ALIVE",
        }
        assert await gorealis(client) == "http://sched1.example.com:8081"
        assert await read_leader(client, PATH) == HERE

    on_stage(play)


def test_there_is_never_a_second_one() -> None:
    """Left by a leader whose session is still alive, made twice, or with other words: all but the right one go."""

    async def play(stage: Stage) -> None:
        old, new = await stage.client(), await stage.client()
        await Advertisement(old, PATH, await lead(old, "old"), THERE).publish(within_s=5)
        advertisement = Advertisement(new, PATH, await lead(new, "new"), HERE)
        await new.multi([create(f"{PATH}/member_", b"garbage", ephemeral=True, sequence=True)])

        await advertisement.publish(within_s=5)
        first = await members(new)
        await advertisement.publish(within_s=5)

        assert len(first) == 1
        assert await members(new) == first
        assert await gorealis(old) == "http://sched1.example.com:8081"

    on_stage(play)


def test_a_leader_that_is_none_any_more_advertises_nothing_and_removes_nothing() -> None:
    async def play(stage: Stage) -> None:
        old, new = await stage.client(), await stage.client()
        late = Advertisement(old, PATH, await lead(old, "old"), THERE)
        await Advertisement(new, PATH, await lead(new, "new"), HERE).publish(within_s=5)

        with pytest.raises(Superseded, match="epoch 1 is over"):
            await late.publish(within_s=5)
        await late.withdraw(within_s=5)

        assert await read_leader(old, PATH) == HERE

    on_stage(play)


def test_it_is_withdrawn_at_once() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        advertisement = Advertisement(client, PATH, await lead(client), HERE)
        await advertisement.publish(within_s=5)
        await advertisement.withdraw(within_s=5)

        assert await members(client) == []
        assert await read_leader(client, PATH) is None

    on_stage(play)


def test_it_is_kept_though_somebody_meddles_and_the_connection_breaks() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client, other = await stage.client(proxy.address), await stage.client()
            keeping = asyncio.create_task(Advertisement(client, PATH, await lead(client), HERE).keep())
            watch = LeaderWatch(other, PATH)
            watching = asyncio.create_task(watch.run())

            async def changed_and_settled(before: list[str]) -> None:
                async with asyncio.timeout(5):
                    while await members(other) == before or await read_leader(other, PATH) != HERE:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                await eventually(lambda: watch.leader == HERE)

            await changed_and_settled([])
            before = await members(other)
            await other.delete(f"{PATH}/{before[0]}")
            await changed_and_settled(before)
            (now,) = await members(other)
            _, intruder = await other.multi([create(f"{PATH}/x"), create(f"{PATH}/member_", b"{}", sequence=True)])
            await changed_and_settled([now, intruder.rpartition("/")[2]])
            proxy.cut()
            await other.delete(f"{PATH}/{(await members(other))[0]}")
            await eventually(lambda: watch.leader is None)
            proxy.heal()
            await changed_and_settled([])
            for task in (keeping, watching):
                task.cancel()
            await asyncio.gather(keeping, watching, return_exceptions=True)

    on_stage(play)


def test_a_node_made_by_hand_goes_with_what_is_below_it() -> None:
    """No leader's: those are ephemeral, and have nothing below them."""

    async def play(stage: Stage) -> None:
        client = await stage.client()
        held = await lead(client)
        await client.ensure(f"{PATH}/member_0000000099/a/b")
        await client.ensure(f"{PATH}/member_0000000099/c")
        await Advertisement(client, PATH, held, HERE).publish(within_s=5)
        assert await read_leader(client, PATH) == HERE
        assert len(await members(client)) == 1

    on_stage(play)


def test_what_cannot_be_removed_is_left_and_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverset, "MAX_BELOW", 3)

    async def play(stage: Stage) -> None:
        client = await stage.client()
        owner = await stage.client(credentials="thesan:secret")
        held = await lead(client)
        await owner.ensure(f"{PATH}/member_0000000098/only-its-owner-removes-this")
        for name in "abc":
            await client.ensure(f"{PATH}/member_0000000099/{name}")
        advertisement = Advertisement(client, PATH, held, HERE)
        keeping = asyncio.create_task(advertisement.keep())
        async with asyncio.timeout(10):
            while len(await members(client)) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        before = await members(client)
        (ours,) = set(before) - {"member_0000000098", "member_0000000099"}
        await client.delete(f"{PATH}/{ours}")
        async with asyncio.timeout(10):
            while await members(client) == before or len(await members(client)) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not keeping.done(), "it leads on"
        said = sorted(record.message for record in caplog.records if "remove it by hand" in record.message)
        assert len(said) == 2
        assert "member_0000000098 is not ours and cannot be removed" in said[0]
        assert "may not be changed by us" in said[0]
        assert "member_0000000099 is not ours and cannot be removed: it has more than 3 nodes below it" in said[1]
        keeping.cancel()

    on_stage(play)


@pytest.mark.parametrize(
    ("nodes", "leader"),
    [
        ([], None),
        ([b"not json"], None),
        ([b'{"serviceEndpoint": {}}'], None),
        ([b'{"serviceEndpoint": {"host": "a", "port": Infinity}}'], None),
        ([b'{"serviceEndpoint": {"host": "a", "port": 1}}'], Endpoint("a", 1)),
        ([b'{"serviceEndpoint": {"host": "a", "port": 1}}', b'{"serviceEndpoint": {"host": "b", "port": 2}}'], None),
    ],
)
def test_one_member_is_a_leader_and_none_or_several_are_none(nodes: list[bytes], leader: Endpoint | None) -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        await client.ensure(PATH)
        for data in nodes:
            await client.multi([create(f"{PATH}/member_", data, sequence=True)])
        assert await read_leader(client, PATH) == leader

    on_stage(play)
