"""The changelog in a real ZooKeeper: what was acknowledged is there, and only the newest epoch writes."""

from __future__ import annotations

import pytest
from attrs import evolve

from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.contracts import Fenced
from scheduler.core.state import State, apply
from tests.changelog.stage import contents, story, told_until
from tests.zk.stage import Stage, on_stage


class Scheduler:
    """A state and the changelog it comes from."""

    def __init__(self, changelog: ZooKeeperChangelog) -> None:
        self.changelog = changelog
        self.state = State()

    @classmethod
    async def at(cls, stage: Stage, hosts: str = "") -> Scheduler:
        changelog = ZooKeeperChangelog(await stage.client(hosts), "/thesan/east")
        await changelog.open()
        return cls(changelog)

    async def follow(self) -> int:
        return await self.changelog.follow(lambda op: apply(self.state, op))

    async def lead(self) -> int:
        epoch = await self.changelog.claim()
        await self.follow()
        return epoch

    async def tell(self, until: int, epoch: int = 1) -> None:
        for offset in range(self.changelog.offset + 1, until + 1):
            entry = evolve(story(offset), epoch=epoch)
            for op in entry.ops:
                apply(self.state, op)
            await self.changelog.append(entry)


def test_what_one_commits_another_reads() -> None:
    async def play(stage: Stage) -> None:
        leader, standby = await Scheduler.at(stage), await Scheduler.at(stage)

        assert await leader.lead() == 1
        await leader.tell(120)

        assert await standby.follow() == 120
        assert contents(standby.state) == contents(leader.state) == told_until(120)
        assert standby.changelog.lineage == leader.changelog.lineage

    on_stage(play)


def test_who_claims_ends_the_epoch_before() -> None:
    async def play(stage: Stage) -> None:
        old, new = await Scheduler.at(stage), await Scheduler.at(stage)
        await old.lead()
        await old.tell(10)

        assert await new.lead() == 2
        with pytest.raises(Fenced, match="entry 11 was refused: epoch 1 is over"):
            await old.tell(11)
        await new.tell(12, epoch=2)

        assert contents(new.state) == told_until(12)

    on_stage(play)
