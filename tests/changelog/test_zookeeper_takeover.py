"""The seven steps of a take-over, on a real ZooKeeper and with the real controller; the engine is left out."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_follower import Follower
from scheduler.contracts import Fenced
from scheduler.controller.controller import Controller
from scheduler.core import ops, takeover
from scheduler.core.policy import Policy
from scheduler.core.state import apply
from scheduler.core.transaction import Transaction, World
from scheduler.testing.clock import VirtualClock
from scheduler.testing.zookeeper import expire_session, shared_server
from scheduler.zk.election import Election
from scheduler.zk.errors import SessionOver
from scheduler.zk.lease import Lease, keep_lease
from scheduler.zk.serverset import Advertisement, Endpoint, read_leader
from tests.changelog.stage import story
from tests.changelog.zookeeper_stage import Scheduler
from tests.zk.stage import Stage, on_stage

SERVERSET = "/aurora/scheduler"


class Node:
    """One scheduler process, as far as its store is concerned."""

    def __init__(self, name: str, scheduler: Scheduler) -> None:
        self.name = name
        self.scheduler = scheduler
        self.client = scheduler.client
        self.changelog: ZooKeeperChangelog = scheduler.changelog
        self.election = Election(self.client, SERVERSET, name.encode())
        self.follower = Follower(self.client, self.changelog, scheduler.apply)
        self.lease = Lease()
        self.changelog.on_quorum_write = lambda sent_ms: self.lease.renew(sent_ms, self.client.session_timeout_ms)
        self.endpoint = Endpoint(name, 8081)
        self.steps_ms: dict[str, float] = {}
        self.keeping: list[asyncio.Task[None]] = []

    @classmethod
    async def at(cls, stage: Stage, name: str, data_dir: Path) -> Node:
        found = cls(name, await Scheduler.at(stage, data_dir=data_dir / name))
        await found.client.ensure(SERVERSET)
        return found

    async def take_over(self) -> Controller:
        """Follow until elected, then claim, read, begin the epoch, advertise."""
        following = asyncio.create_task(self.follower.run())
        candidate = await self.election.win()  # 1
        begun = time.monotonic()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        epoch = await self.changelog.claim(candidate)  # 2
        self._took("claim", begun)
        await self.changelog.follow(self.scheduler.apply)  # 3
        self._took("read", begun)
        world = World(Policy(), self.name, lambda: str(uuid.uuid4()), random.random)
        clock = VirtualClock(1_795_000_000_000)
        controller = Controller(self.scheduler.state, world, clock, epoch=epoch, offset=self.changelog.offset)
        controller.write(takeover.begin_epoch, epoch)  # 4, and 5: deadlines are armed by the same decision
        await self.flush(controller)
        self._took("begin", begun)
        self.keeping.append(asyncio.create_task(keep_lease(self.client, self.changelog.held, self.lease)))
        advertisement = Advertisement(self.client, SERVERSET, self.changelog.held, self.endpoint)
        await advertisement.publish(within_s=5)  # 7; 6 is the engine's
        self._took("advertise", begun)
        self.keeping.append(asyncio.create_task(advertisement.keep()))
        return controller

    def _took(self, step: str, begun: float) -> None:
        self.steps_ms[step] = round((time.monotonic() - begun) * 1000, 1)

    async def flush(self, controller: Controller) -> None:
        while controller.decided_offset > controller.durable_offset:
            entry = controller.next_entry(uuid.uuid4().bytes)
            assert entry is not None
            await self.changelog.append_through(entry)
            controller.committed(entry.offset)

    async def end(self) -> None:
        for task in self.keeping:
            task.cancel()
        await asyncio.gather(*self.keeping, return_exceptions=True)


def add(tx: Transaction, number: int) -> None:
    """Some decision."""
    task = story(3).ops[-1]
    assert isinstance(task, ops.SaveTask)
    tx.apply(ops.SaveTask(evolve(task.task, task_id=f"more-{number}", instance_id=100 + number)))


@pytest.mark.slow
def test_three_schedulers_hand_over_and_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def play(stage: Stage) -> None:
        nodes = [await Node.at(stage, name, tmp_path) for name in ("one", "two", "three")]
        leading: list[Node] = []
        acknowledged: list[str] = []

        async def live(node: Node) -> None:
            stage.cleanup(node.end)
            controller = await node.take_over()
            leading.append(node)
            turn = len(leading)
            if turn == 1:
                controller.write(lambda tx: tx.apply(story(1).ops[1]))  # the tasks' configuration
            for number in range(turn * 10, turn * 10 + 10):
                ticket = controller.write(add, number)
                await node.flush(controller)
                assert controller.durable_offset >= ticket.offset and node.lease.is_valid
                acknowledged.append(f"more-{number}")
            assert await read_leader(node.client, SERVERSET) == node.endpoint
            if turn == 3:
                return
            expire_session(shared_server().address, node.client.session_id, node.client.session_password)
            with pytest.raises(SessionOver):
                await node.election.lose()

        await asyncio.gather(*(live(node) for node in nodes))

        assert {node.name for node in leading} == {"one", "two", "three"}
        last = leading[-1]
        assert last.changelog.held.number == 3
        assert set(last.scheduler.state.tasks) == set(acknowledged) and len(acknowledged) == 30
        reader = await Scheduler.at(stage)
        began: list[ops.Op] = []
        await reader.changelog.follow(lambda op: (began.append(op), apply(reader.state, op)))  # type: ignore[func-returns-value]
        assert [op.epoch for op in began if isinstance(op, ops.EpochBegun)] == [1, 2, 3]
        with capsys.disabled():
            print(f"\n  milliseconds since the election: {last.steps_ms}", end=" ")
        assert last.steps_ms["begin"] < 2000

    on_stage(play)


def test_who_was_elected_and_lost_it_before_the_claim_does_nothing(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        node, other = await Node.at(stage, "one", tmp_path), await stage.client()
        candidate = await node.election.win()
        await other.delete(candidate)

        with pytest.raises(Fenced, match="the candidate is gone"):
            await node.changelog.claim(candidate)
        assert await node.election.win() != candidate  # it stands again, behind the others

    on_stage(play)


def test_a_scheduler_may_claim_again_and_reads_again_before_it_writes(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        one = await Scheduler.at(stage, data_dir=tmp_path)
        await one.lead()
        await one.tell(3)
        assert await one.lead() == 2
        await one.tell(5)
        assert one.is_right and one.changelog.held.number == 2

    on_stage(play)
