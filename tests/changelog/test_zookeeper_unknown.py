"""A commit that was not answered: in the end it is in the log exactly once, or surely never."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from scheduler.changelog.errors import Damaged
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.contracts import Entry, Fenced, OutcomeUnknown, Unavailable
from scheduler.testing.proxy import Proxy, Way
from scheduler.testing.zookeeper import expire_session, shared_server
from scheduler.zk.client import Condition
from tests.changelog import zookeeper_stage
from tests.changelog.stage import story
from tests.changelog.zookeeper_stage import ROOT, Scheduler, program
from tests.zk.stage import Stage, eventually, on_stage, until


def with_leader(play: Callable[[Stage, Proxy, Scheduler], Awaitable[None]]) -> None:
    """A leader behind a proxy that has committed five entries."""

    async def main(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            leader = await Scheduler.at(stage, proxy.address)
            await leader.lead()
            await leader.tell(5)
            await play(stage, proxy, leader)

    on_stage(main)


async def lose(proxy: Proxy, leader: Scheduler, way: Way) -> Entry:
    """Cut the connection while the next commit is on its way, or its answer. Returns the entry."""
    entry = leader.decide()
    proxy.hold_when_seen(b"TSNl", way)
    appending = asyncio.create_task(leader.changelog.append(entry))
    await eventually(proxy.seen.is_set)
    await asyncio.sleep(0.05)
    proxy.cut()
    with pytest.raises(OutcomeUnknown, match=f"entry {entry.offset} may have been committed"):
        await appending
    return entry


async def count(reader: Scheduler, entry: Entry) -> int:
    """How many entries of the log have its uuid."""
    await reader.client.sync(ROOT)
    names = await reader.client.children(f"{ROOT}/log/0")
    frames = [(await reader.client.get(f"{ROOT}/log/0/{name}"))[0] for name in names]
    return sum(entry.uuid in frame for frame in frames)


@pytest.mark.parametrize("way", list(Way))
def test_cut_in_the_middle_of_a_multi_it_is_settled_either_way(way: Way) -> None:
    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        reader = await Scheduler.at(stage)
        entry = await lose(proxy, leader, way)
        assert await count(reader, entry) == (way is Way.BACK)
        assert not leader.changelog.is_settled
        with pytest.raises(OutcomeUnknown, match="entry 6 is not settled yet"):
            await leader.changelog.append(evolve(story(7), epoch=1))

        proxy.heal()
        await leader.client.connected()
        await leader.changelog.settle()

        assert leader.changelog.is_settled
        assert leader.changelog.offset == 6
        assert await count(reader, entry) == 1
        await leader.tell(8)
        await reader.follow()
        assert reader.is_right and reader.changelog.offset == 8

    with_leader(play)


@pytest.mark.parametrize("way", list(Way))
def test_settling_may_be_cut_off_too(way: Way) -> None:
    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        reader = await Scheduler.at(stage)
        entry = await lose(proxy, leader, Way.THERE)
        with pytest.raises(OutcomeUnknown):
            await leader.changelog.settle()
        proxy.heal()
        await leader.client.connected()
        proxy.hold_when_seen(b"TSNl", way)
        settling = asyncio.create_task(leader.changelog.settle())
        await eventually(proxy.seen.is_set)
        await asyncio.sleep(0.05)
        proxy.cut()
        with pytest.raises(OutcomeUnknown):
            await settling

        proxy.heal()
        await leader.client.connected()
        await leader.changelog.settle()

        assert await count(reader, entry) == 1
        await leader.tell(7)

    with_leader(play)


def test_a_first_multi_that_arrives_late_does_not_land_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lands after the leader looked and before the identical one is sent: the head's version refuses the second."""

    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        reader = await Scheduler.at(stage)
        entry = await lose(proxy, leader, Way.BACK)  # so it is there ...
        proxy.heal()
        await leader.client.connected()
        committer = leader.changelog._leading()
        looked: list[bool] = []

        async def too_early(pending: object) -> bool:
            looked.append(await type(committer)._is_in_log(committer, pending))  # type: ignore[arg-type]
            return looked[-1] and len(looked) > 1  # ... and was not yet when it was looked for

        monkeypatch.setattr(committer, "_is_in_log", too_early)
        await leader.changelog.settle()

        assert looked == [True, True]
        assert leader.changelog.offset == 6
        assert await count(reader, entry) == 1
        await leader.tell(8)
        await reader.follow()
        assert reader.is_right

    with_leader(play)


def test_appending_through_a_break_holds_until_it_is_durable() -> None:
    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        reader = await Scheduler.at(stage)
        for way in (Way.THERE, Way.BACK):
            entry = leader.decide()
            proxy.hold_when_seen(b"TSNl", way)
            appending = asyncio.create_task(leader.changelog.append_through(entry))
            await eventually(proxy.seen.is_set)
            await asyncio.sleep(0.05)
            proxy.cut()
            await until(leader.client, Condition.SUSPENDED)
            assert not appending.done()
            proxy.heal()
            await asyncio.wait_for(appending, 5)
            assert await count(reader, entry) == 1

        proxy.cut()
        await until(leader.client, Condition.SUSPENDED)
        entry = leader.decide()  # one that was never sent is held as well
        appending = asyncio.create_task(leader.changelog.append_through(entry))
        await asyncio.sleep(0.05)
        proxy.heal()
        await asyncio.wait_for(appending, 5)
        await reader.follow()
        assert reader.is_right and reader.changelog.offset == 8

    with_leader(play)


def test_while_suspended_nothing_is_sent_and_the_same_entry_may_be_given_again() -> None:
    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        proxy.cut()
        await until(leader.client, Condition.SUSPENDED)
        entry = leader.decide()
        for _ in range(3):
            with pytest.raises(Unavailable, match="entry 6 was not sent"):
                await leader.changelog.append(entry)
        assert leader.changelog.is_settled
        proxy.heal()
        await leader.client.connected()
        await leader.changelog.append(entry)
        assert leader.changelog.offset == 6

    with_leader(play)


@pytest.mark.parametrize("way", list(Way))
def test_deposed_with_a_commit_in_flight(way: Way) -> None:
    """Fenced is said only of what was surely not written; what was written has an outcome nobody may call a no."""

    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        new = await Scheduler.at(stage)
        entry = await lose(proxy, leader, way)
        await new.lead()
        await new.tell(new.changelog.offset + 1)
        proxy.heal()
        await leader.client.connected()

        if way is Way.THERE:
            with pytest.raises(Fenced, match="entry 6 was not written: epoch 1 is over"):
                await leader.changelog.settle()
        else:
            with pytest.raises(OutcomeUnknown, match="entry 6 was committed before epoch 1 ended"):
                await leader.changelog.settle()
        assert await count(new, entry) == (way is Way.BACK)
        assert new.is_right

    with_leader(play)


def test_in_flight_while_another_claims_it_is_refused() -> None:
    """The multi of the old leader is held on its way, arrives after the claim, and does nothing."""

    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        new = await Scheduler.at(stage)
        proxy.hold_when_seen(b"TSNl", Way.THERE)
        appending = asyncio.create_task(leader.changelog.append_through(leader.decide()))
        await eventually(proxy.seen.is_set)
        assert await new.lead() == 2
        proxy.heal()

        with pytest.raises(Fenced, match=r"entry 6 was (refused|not written): epoch 1 is over"):
            await asyncio.wait_for(appending, 5)
        await new.tell(7)
        assert new.is_right

    with_leader(play)


def test_a_session_that_ended_leaves_the_outcome_open() -> None:
    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        proxy.hold_when_seen(b"TSNl", Way.BACK)
        appending = asyncio.create_task(leader.changelog.append_through(leader.decide()))
        await eventually(proxy.seen.is_set)
        expire_session(shared_server().address, leader.client.session_id, leader.client.session_password)
        proxy.cut()
        proxy.heal()

        with pytest.raises(OutcomeUnknown, match="entry 6 may have been committed"):
            await asyncio.wait_for(appending, 5)

    with_leader(play)


def test_an_append_that_was_cancelled_is_settled_like_any_other() -> None:
    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        entry = leader.decide()
        appending = asyncio.create_task(leader.changelog.append(entry))
        await asyncio.sleep(0)
        appending.cancel()
        await asyncio.gather(appending, return_exceptions=True)

        await leader.changelog.settle()
        assert leader.changelog.offset == 6
        await leader.tell(7)

    with_leader(play)


def test_parts_cut_off_in_the_middle_are_surely_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=150, part_bytes=100))

    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        reader = await Scheduler.at(stage)
        entry = leader.decide()
        proxy.hold_when_seen(b"/1", Way.BACK)
        appending = asyncio.create_task(leader.changelog.append(entry))
        await eventually(proxy.seen.is_set)
        await asyncio.sleep(0.05)
        proxy.cut()
        with pytest.raises(Unavailable, match="the parts of entry 6 were not written"):
            await appending
        assert leader.changelog.is_settled
        proxy.heal()
        await leader.client.connected()
        await leader.changelog.append(entry)  # over the parts that are there
        await leader.tell(8)
        await reader.follow()
        assert reader.is_right and reader.changelog.offset == 8

    with_leader(play)


def test_somebody_else_in_the_log_is_damage() -> None:
    async def play(stage: Stage, proxy: Proxy, leader: Scheduler) -> None:
        await leader.client.set(f"{ROOT}/head", (await leader.client.get(f"{ROOT}/head"))[0], -1)
        says = (
            "offset 6: ZooKeeper refused it although the epoch holds: .*/head in ZooKeeper was changed by somebody else"
        )
        with pytest.raises(Damaged, match=says) as caught:
            await leader.tell(6)
        assert caught.value.offset == 6

    with_leader(play)


def test_a_leader_that_was_frozen_past_its_session_writes_nothing_when_it_wakes() -> None:
    async def play(stage: Stage) -> None:
        new = await Scheduler.at(stage)
        process = program(stage.hosts, stage.chroot)
        assert process.stdout is not None
        try:
            told = [await asyncio.to_thread(process.stdout.readline) for _ in range(5)]
            assert told == ["1\n", "2\n", "3\n", "4\n", "5\n"]
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.6)
            assert await new.lead() == 2
            head = new.changelog.offset
            await new.tell(head + 3)
            process.send_signal(signal.SIGCONT)
            said, _ = await asyncio.to_thread(process.communicate, None, 10)
        finally:
            process.kill()
            process.communicate()

        *more, last = said.splitlines()
        assert all(int(line.split()[0]) <= head for line in more)  # acknowledged before, told only now
        assert last.startswith(("Fenced: ", "Unavailable: ", "OutcomeUnknown: "))
        reader = await Scheduler.at(stage)
        assert await reader.follow() == head + 3 and reader.is_right

    on_stage(play)
