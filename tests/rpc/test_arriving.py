"""What has come of messages that are not complete is counted as a whole, and bounded; short ones always get through."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, strategies

from scheduler.rpc.arriving import SHORT_BYTES, Arriving, Crowded, Unfinished
from scheduler.testing.serving import Serving
from tests.rpc.calls import UPDATE, binary_call, framed, read_reply

MOST = 10 * SHORT_BYTES


@given(
    strategies.lists(
        strategies.tuples(strategies.integers(0, 4), strategies.integers(0, 4 * SHORT_BYTES) | strategies.none())
    )
)
def test_no_more_is_held_than_is_allowed_and_nothing_stays(steps: list[tuple[int, int | None]]) -> None:
    arriving = Arriving(MOST)
    messages: list[Unfinished] = [arriving.message() for _ in range(5)]
    come = [0] * 5
    for which, more in steps:
        try:
            if more is not None:
                messages[which].holds(come[which] + more)
                come[which] += more
                continue
            messages[which].drop()
        except Crowded:
            assert come[which] + more > SHORT_BYTES, "a short message was turned away"
            messages[which].drop()
        come[which] = 0
        assert arriving.bytes == sum(size for size in come if size > SHORT_BYTES)
        assert arriving.bytes <= max(MOST, *come), "a single message may have more"
    for message in messages:
        message.drop()
    assert arriving.bytes == 0


def test_a_single_message_has_room_and_the_next_is_told_why_not() -> None:
    arriving = Arriving(1)
    first, second = arriving.message(), arriving.message()
    first.holds(1_000_000)
    second.holds(SHORT_BYTES)
    with pytest.raises(Crowded, match="holds 1000000 bytes of messages that are not complete, 1 at most"):
        second.holds(SHORT_BYTES + 1)
    first.holds(2_000_000)
    first.drop()
    second.holds(SHORT_BYTES + 1)
    assert (arriving.bytes, arriving.refused) == (SHORT_BYTES + 1, 1)


def test_sixty_frames_that_never_end_take_no_more_than_is_allowed() -> None:
    """One address may have 2,500 connections, and each of them a message of 16 MB."""

    async def run() -> None:
        inner = Serving()
        inner.arriving.max_bytes = 3_000_000
        port = await inner.raw.start("127.0.0.1", 0)
        long = framed(binary_call("getJobs", ownerRole="x" * 1_000_000))[:-1]
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        pulse_reader, pulse = await asyncio.open_connection("127.0.0.1", port)
        for _, writer in streams:
            writer.write(long)
        while inner.arriving.refused < 57:
            assert inner.arriving.bytes <= 3_000_000
            pulse.write(framed(binary_call("pulseJobUpdate", key=UPDATE)))
            length = int.from_bytes(await asyncio.wait_for(pulse_reader.readexactly(4), 60), "big")
            assert read_reply(await asyncio.wait_for(pulse_reader.readexactly(length), 60))[3].responseCode == 1
        held = sum(len(connection._incoming) for connection in inner.raw.connections)
        assert held <= 3_000_000
        for _, writer in [*streams, (pulse_reader, pulse)]:
            writer.transport.abort()
        await inner.raw.stop()
        assert inner.arriving.bytes == 0

    asyncio.run(asyncio.wait_for(run(), 120))
