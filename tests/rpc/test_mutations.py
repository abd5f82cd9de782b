"""Thousands of broken messages, made from honest ones: every one is refused or answered, none raises anything else.

The honest ones are the golden calls, so each method is tried. Seeded: a failure names its message and comes again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from scheduler.rpc.binary import STRICT
from scheduler.rpc.callers import Caller
from scheduler.rpc.messages import BadMessage, Codec
from scheduler.rpc.processor import Processor
from scheduler.rpc.tjson import JSON
from scheduler.testing.fuzz_messages import altered, mutated
from scheduler.testing.serving import Serving
from tests.wire.write_golden import read

COUNT = 6_000


@pytest.mark.parametrize(
    ("kind", "codec", "change"),
    [("binary", STRICT, mutated), ("json", JSON, mutated), ("json", JSON, altered)],
    ids=["binary", "json bytes", "json values"],
)
def test_broken_messages_are_refused_or_answered(
    kind: str, codec: Codec, change: Callable[[bytes, random.Random], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(4711)
    serving = Serving()
    serving.core.held = True
    processor: Processor = serving.processor
    honest = list(read(f"calls.{kind}").values())
    seen: Counter[str] = Counter()
    for number in range(COUNT):
        message = change(chance.choice(honest), chance)
        try:
            assert processor.process(message, codec, codec, Caller()).payload
            seen["answered"] += 1
        except BadMessage:
            seen["refused"] += 1
        assert not caplog.records, f"mutation {number}: {message!r}: {caplog.records[0].getMessage()}"
        if number % 500 == 0:
            serving.stage.settle()
    share = 5 if change is not mutated or kind == "binary" else 20  # most broken JSON is no JSON
    assert min(seen["answered"], seen["refused"]) > COUNT // share, seen
