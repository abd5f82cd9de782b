"""How long a leader may speak, as arithmetic, and how the lease is kept on a real ZooKeeper."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from scheduler.testing.clock import VirtualClock
from scheduler.testing.proxy import Proxy, Way
from scheduler.testing.zookeeper import shared_server
from scheduler.zk.clock import boot_ms
from scheduler.zk.epoch import claim, epoch_bytes
from scheduler.zk.errors import SessionOver, Superseded
from scheduler.zk.lease import Lease, keep_lease, lapse, lease_until_ms, renew_at_ms
from tests.zk.stage import Stage, eventually, on_stage

ARITHMETIC = [
    # sent, granted, until, renew at
    (0, 4_000, 2_666, 1_000),
    (1_000, 4_000, 3_666, 2_000),
    (1_000, 15_000, 11_000, 4_750),
    (1_000, 400, 1_266, 1_100),
    (7, 1, 7, 7),
]


@pytest.mark.parametrize(("sent_ms", "granted_ms", "until_ms", "renewed_ms"), ARITHMETIC)
def test_until_when_a_write_lets_a_leader_speak(sent_ms: int, granted_ms: int, until_ms: int, renewed_ms: int) -> None:
    assert lease_until_ms(sent_ms, granted_ms) == until_ms
    assert renew_at_ms(sent_ms, granted_ms) == renewed_ms


@pytest.mark.parametrize("granted_ms", [400, 1_000, 4_000, 15_000, 60_000])
def test_a_lease_ends_before_the_session_can_and_after_two_tries_to_renew_it(granted_ms: int) -> None:
    assert lease_until_ms(0, granted_ms) < granted_ms
    assert 2 * renew_at_ms(0, granted_ms) < lease_until_ms(0, granted_ms)


def test_a_lease_is_over_at_its_last_millisecond_and_not_before() -> None:
    clock = VirtualClock()
    lease = Lease(clock.mono_ms)
    assert not lease.is_valid
    assert lease.left_ms == 0

    sent_ms = clock.mono_ms()
    clock.advance(500)
    lease.renew(sent_ms, 3_000)
    assert lease.left_ms == 1_500
    clock.advance(1_499)
    assert lease.is_valid
    clock.advance(1)
    assert not lease.is_valid


def test_a_late_answer_shortens_nothing_and_the_wall_has_no_say() -> None:
    clock = VirtualClock()
    lease = Lease(clock.mono_ms)
    first, second = clock.mono_ms(), clock.mono_ms() + 900
    clock.advance(1_000)
    lease.renew(second, 3_000)
    lease.renew(first, 3_000)
    clock.step_wall(3_600_000)

    assert (lease.sent_ms, lease.left_ms) == (second, 1_900)
    lease.end()
    assert not lease.is_valid


def test_it_is_kept_without_commits_and_lapses_when_writes_are_not_answered() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address, timeout_ms=1000)
            await client.create("/epoch", epoch_bytes(0, ""))
            held = await claim(client, "/epoch", "me", within_s=5)
            lease = Lease()
            keeping = asyncio.create_task(keep_lease(client, held, lease))

            for _ in range(15):
                await asyncio.sleep(0.1)
                assert lease.is_valid or lease.sent_ms == 0
            assert lease.sent_ms > boot_ms() - 500

            proxy.lose(Way.BACK)
            lost_ms = boot_ms()
            await eventually(lambda: not lease.is_valid)
            assert boot_ms() - lost_ms < 700

            proxy.heal()
            await eventually(lambda: lease.is_valid)
            assert not keeping.done()
            await client.close()
            with pytest.raises(SessionOver):
                await keeping

    on_stage(play)


def test_what_counts_is_when_a_proof_was_sent_not_when_it_was_answered() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address)
            await client.create("/epoch", epoch_bytes(0, ""))
            held = await claim(client, "/epoch", "me", within_s=5)
            proxy.hold(Way.BACK)
            lease, begun_ms = Lease(), boot_ms()
            keeping = asyncio.create_task(keep_lease(client, held, lease))
            await asyncio.sleep(0.3)
            assert not lease.is_valid
            proxy.heal()
            await eventually(lambda: lease.is_valid)
            assert begun_ms <= lease.sent_ms < begun_ms + 200
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    on_stage(play)


def test_its_end_can_be_waited_for() -> None:
    async def main() -> None:
        lease = Lease()
        lease.renew(boot_ms(), 150)
        waiting = asyncio.create_task(lapse(lease))
        await asyncio.sleep(0.05)
        lease.renew(boot_ms(), 150)
        await waiting
        assert not lease.is_valid

    asyncio.run(main())


def test_who_keeps_it_hears_of_a_newer_epoch() -> None:
    async def play(stage: Stage) -> None:
        old, new = await stage.client(timeout_ms=1000), await stage.client()
        await old.create("/epoch", epoch_bytes(0, ""))
        held = await claim(old, "/epoch", "old", within_s=5)
        keeping = asyncio.create_task(keep_lease(old, held, Lease()))
        await claim(new, "/epoch", "new", within_s=5)

        with pytest.raises(Superseded, match="epoch 1 is over"):
            await asyncio.wait_for(keeping, 2)

    on_stage(play)


def test_keeping_it_can_be_stopped_anywhere() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client(timeout_ms=400)
        await client.create("/epoch", epoch_bytes(0, ""))
        held = await claim(client, "/epoch", "me", within_s=5)
        for tenth in range(5):
            keeping = asyncio.create_task(keep_lease(client, held, Lease()))
            await asyncio.sleep(tenth / 1000)
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    on_stage(play)
