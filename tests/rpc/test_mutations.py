"""Thousands of broken messages, made from honest ones: every one is refused or answered, none raises anything else.

The honest ones are the golden calls, so each method is tried. Seeded: a failure names its message and comes again.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.rpc.binary import STRICT
from scheduler.rpc.messages import BadMessage, Codec
from scheduler.rpc.processor import Caller, Processor
from scheduler.rpc.tjson import JSON
from scheduler.testing.serving import Serving
from tests.wire.write_golden import read

COUNT = 6_000
_NUMBER = re.compile(rb"-?\d+")
_ODD_SIZES = (0, 1, -1, 2**31 - 1, -(2**31), 5000, 2**24)


def mutated(message: bytes, chance: random.Random) -> bytes:
    """One to three small changes, of the kinds that get past a length check."""
    data = bytearray(message)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data))
        match chance.randrange(7):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at : at + 4] = (chance.choice(_ODD_SIZES) & 0xFFFFFFFF).to_bytes(4, "big")
            case 3:
                data[at:at] = data[chance.randrange(len(data)) :][: chance.randint(1, 20)]
            case 4:
                del data[at : at + chance.randint(1, 10)]
            case 5:
                data[at] = chance.choice((0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15, 0x7B, 0x5B, 0x22, 0x2D))
            case _:
                numbers = list(_NUMBER.finditer(data))
                if numbers:
                    where = chance.choice(numbers)
                    data[where.start() : where.end()] = str(chance.choice(_ODD_SIZES)).encode()
        if not data:
            break
    return bytes(data)


_ODD_TEXTS = ("", "x", "\ud83d\ude00", "a b", "a" * 300)
_ODD_NUMBERS = (0, -1, 2, 2**31 - 1, 2**31, 2**63 - 1, 1e308, 0.5)
_ODD_VALUES = (None, True, *_ODD_TEXTS, *_ODD_NUMBERS, [], {}, ["rec", 0])


def altered(message: bytes, chance: random.Random) -> bytes:
    """One value somewhere in a JSON message replaced, dropped or doubled: what is left is still JSON."""
    doc = json.loads(message)
    node: Any = doc
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = chance.choice(keys)
        if isinstance(node[key], (dict, list)) and chance.random() < 0.85:
            node = node[key]
            continue
        match chance.randrange(4):
            case 0:
                del node[key]
            case 1 if isinstance(node, dict):
                node[str(chance.randrange(40))] = node[key]
            case _:
                same = [value for value in _ODD_VALUES if type(value) is type(node[key])]
                node[key] = chance.choice(same if same and chance.random() < 0.7 else _ODD_VALUES)
        break
    return json.dumps(doc).encode()


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
