"""The changelog in a real ZooKeeper: what was acknowledged is there, and only the newest epoch writes."""

from __future__ import annotations

import asyncio
import json

import pytest
from attrs import evolve

from scheduler.changelog.codec import Unencodable
from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_follower import Follower
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.contracts import Fenced, Unavailable
from scheduler.core import ops
from scheduler.core.records import TaskConfig
from scheduler.testing.zookeeper import expire_session, shared_server
from scheduler.zk.client import Condition
from scheduler.zk.clock import boot_ms
from scheduler.zk.errors import SessionOver
from tests.changelog import zookeeper_stage
from tests.changelog.stage import JOB, contents, story, told_until
from tests.changelog.zookeeper_stage import LAYOUT, ROOT, Scheduler
from tests.zk.stage import Stage, eventually, on_stage, until


def test_what_one_commits_another_reads() -> None:
    async def play(stage: Stage) -> None:
        leader, standby = await Scheduler.at(stage), await Scheduler.at(stage)

        assert await leader.lead() == 1
        await leader.tell(120)

        assert await standby.follow() == 120
        assert contents(standby.state) == contents(leader.state) == told_until(120)
        assert standby.changelog.lineage == leader.changelog.lineage
        assert standby.changelog.head_offset == standby.changelog.offset == 120
        assert await standby.follow() == 0

    on_stage(play)


def test_what_is_there_can_be_read_by_eye() -> None:
    async def play(stage: Stage) -> None:
        leader = await Scheduler.at(stage)
        await leader.lead()
        await leader.tell(3)
        client = leader.client

        epoch = json.loads((await client.get(f"{ROOT}/epoch"))[0])
        head, stat = await client.get(f"{ROOT}/head")
        told = json.loads(head)
        frame = (await client.get(f"{ROOT}/log/0/3"))[0]

        assert epoch["number"] == 1 and len(epoch["holder"]) == 32
        assert (told["next"], told["lineage"], stat.version) == (4, leader.changelog.lineage, 3)
        assert frame.startswith(b"TSNl") and frame.endswith(bytes.fromhex(told["checksum"]))
        assert sorted(await client.children(f"{ROOT}/log/0")) == ["1", "2", "3"]
        assert sorted(await client.children(ROOT)) == ["epoch", "head", "log", "parts"]

    on_stage(play)


def test_following_may_stop_anywhere_and_goes_on_from_there() -> None:
    async def play(stage: Stage) -> None:
        leader, standby = await Scheduler.at(stage), await Scheduler.at(stage)
        await leader.lead()
        await leader.tell(200)

        assert await standby.changelog.follow(standby.apply, upto=70) == 70
        assert standby.is_right
        following = asyncio.create_task(standby.follow())
        await asyncio.sleep(0.02)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert standby.is_right
        await standby.follow()
        assert standby.is_right and standby.changelog.offset == 200

    on_stage(play)


def test_who_claims_ends_the_epoch_before() -> None:
    async def play(stage: Stage) -> None:
        old, new = await Scheduler.at(stage), await Scheduler.at(stage)
        await old.lead()
        await old.tell(10)

        assert await new.lead() == 2
        with pytest.raises(Fenced, match="entry 11 was refused: epoch 1 is over"):
            await old.tell(11)
        await new.tell(12)

        assert new.is_right
        reader = await Scheduler.at(stage)
        assert await reader.follow() == 12 and reader.is_right

    on_stage(play)


def test_the_tail_is_read_after_the_claim_or_nothing_can_be_written() -> None:
    """Read first and then claim would lose what was committed in between."""

    async def play(stage: Stage) -> None:
        old, new = await Scheduler.at(stage), await Scheduler.at(stage)
        await old.lead()
        await old.tell(5)
        await new.follow()
        await old.tell(8)  # acknowledged, and not seen by the new one yet

        await new.changelog.claim()
        with pytest.raises(Unavailable, match="the log was not claimed, and read to its end"):
            await new.changelog.append(evolve(story(6), epoch=2))
        assert await new.follow() == 3
        await new.tell(9)

        assert new.is_right

    on_stage(play)


def test_two_leaders_fight_and_only_the_newer_one_writes() -> None:
    """Both commit without a pause while they depose each other: every acknowledged entry is in the log."""

    async def play(stage: Stage) -> None:
        acknowledged: dict[int, bytes] = {}

        async def fight(me: Scheduler, number: int) -> None:
            for _ in range(6):
                try:
                    await me.lead()
                    for turn in range(12):
                        entry = evolve(me.decide(), uuid=bytes([number, turn] * 8))
                        await me.changelog.append(entry)
                        acknowledged[entry.offset] = entry.uuid
                except Fenced:
                    pass
                changelog = ZooKeeperChangelog(me.client, LAYOUT)
                await changelog.open()
                me = Scheduler(me.client, changelog)  # a fresh world

        await asyncio.gather(*[fight(await Scheduler.at(stage), number) for number in (1, 2, 3)])

        reader = await Scheduler.at(stage)
        await reader.follow()
        assert reader.is_right
        assert len(acknowledged) > 12
        for offset, uuid in acknowledged.items():
            frame = (await reader.client.get(f"{ROOT}/log/0/{offset}"))[0]
            assert uuid in frame

    on_stage(play)


def test_a_claim_is_refused_without_its_candidate() -> None:
    async def play(stage: Stage) -> None:
        one = await Scheduler.at(stage)
        with pytest.raises(Fenced, match="the candidate is gone"):
            await one.changelog.claim("/aurora/scheduler/candidate_x-0000000001")

    on_stage(play)


def test_entries_cross_from_folder_to_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, folder_entries=10))

    async def play(stage: Stage) -> None:
        leader, standby = await Scheduler.at(stage), await Scheduler.at(stage)
        await leader.lead()
        await leader.tell(22)

        assert sorted(await leader.client.children(f"{ROOT}/log")) == ["0", "1", "2"]
        assert len(await leader.client.children(f"{ROOT}/log/0")) == 9
        assert len(await leader.client.children(f"{ROOT}/log/1")) == 10
        assert await standby.follow() == 22 and standby.is_right

    on_stage(play)


def test_what_cannot_be_the_next_entry_is_not_sent() -> None:
    async def play(stage: Stage) -> None:
        leader = await Scheduler.at(stage)
        await leader.lead()
        await leader.tell(2)

        with pytest.raises(ValueError, match="entry 4 cannot follow entry 2"):
            await leader.changelog.append(evolve(story(4), epoch=1))
        with pytest.raises(Fenced, match="epoch 2 is not the one that was claimed: that is 1"):
            await leader.changelog.append(evolve(story(3), epoch=2))
        unknown = ops.SaveTask(evolve(story(3).ops[-1].task, config=TaskConfig(JOB, priority=99)))  # type: ignore[union-attr]
        with pytest.raises(Unencodable, match="never saved"):
            await leader.changelog.append(evolve(story(3), ops=(unknown,)))
        await leader.tell(3)

    on_stage(play)


def test_a_lease_is_renewed_by_claims_and_commits() -> None:
    async def play(stage: Stage) -> None:
        leader = await Scheduler.at(stage)
        sent: list[int] = []
        leader.changelog.on_quorum_write = sent.append
        begun = boot_ms()
        await leader.lead()
        await leader.tell(2)

        assert len(sent) == 3
        assert begun <= sent[0] <= sent[1] <= sent[2] <= boot_ms()

    on_stage(play)


# --- a standby ---


def test_a_standby_follows_and_knows_how_far_behind_it_is() -> None:
    async def play(stage: Stage) -> None:
        leader, standby = await Scheduler.at(stage), await Scheduler.at(stage)
        follower = Follower(standby.client, standby.changelog, standby.apply)
        following = asyncio.create_task(follower.run())
        await leader.lead()
        await leader.tell(60)

        await eventually(lambda: standby.changelog.offset == 60)
        assert follower.lag_entries == 0
        assert follower.staleness_ms < 2000
        assert standby.is_right
        await asyncio.sleep(1.2)  # nothing happens, and still it looks
        assert follower.staleness_ms < 1500

        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert await standby.lead() == 2
        await standby.tell(61)

    on_stage(play)


def test_a_standby_survives_its_connection_and_ends_with_its_session() -> None:
    async def play(stage: Stage) -> None:
        leader, standby = await Scheduler.at(stage), await Scheduler.at(stage)
        following = asyncio.create_task(Follower(standby.client, standby.changelog, standby.apply).run())
        await leader.lead()
        for offset in (10, 20, 30):
            standby.client.break_connection()
            await leader.tell(offset)
            await eventually(lambda offset=offset: standby.changelog.offset == offset)  # type: ignore[misc]
        assert standby.is_right

        expire_session(shared_server().address, standby.client.session_id, standby.client.session_password)
        with pytest.raises(SessionOver):
            await asyncio.wait_for(following, 5)

    on_stage(play)


def test_a_session_that_expired_under_a_leader_writes_nothing_more() -> None:
    async def play(stage: Stage) -> None:
        leader = await Scheduler.at(stage)
        await leader.lead()
        await leader.tell(5)
        expire_session(shared_server().address, leader.client.session_id, leader.client.session_password)
        await until(leader.client, Condition.ENDED)

        with pytest.raises(Unavailable, match="entry 6 was not sent: nothing was sent: ZooKeeper says"):
            await leader.changelog.append_through(leader.decide())
        reader = await Scheduler.at(stage)
        assert await reader.follow() == 5

    on_stage(play)


def test_a_standby_goes_on_with_a_new_session_where_it_stood() -> None:
    async def play(stage: Stage) -> None:
        leader, standby = await Scheduler.at(stage), await Scheduler.at(stage)
        await leader.lead()
        await leader.tell(20)
        await standby.follow()
        await standby.client.close()
        await leader.tell(30)

        standby.changelog.attach(await stage.client())
        assert await standby.follow() == 10
        assert standby.is_right
        assert await standby.lead() == 2
        with pytest.raises(RuntimeError, match="begins anew"):
            standby.changelog.attach(leader.client)

    on_stage(play)
