"""Calls of every method, made up from the interface, and ways to break them. All of it follows from a seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any, Final

from scheduler.interface import thesan
from scheduler.rpc import shapes
from scheduler.rpc.messages import CALL, Codec

__all__ = ["altered", "honest", "made_up", "mutated"]

_NUMBER: Final = re.compile(rb"-?\d+")
_ODD_SIZES: Final = (0, 1, -1, 2**31 - 1, -(2**31), 5000, 2**24)
_ODD_BYTES: Final = (0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15, 0x7B, 0x5B, 0x22, 0x2D)

_TEXTS: Final = ("www", "prod", "hello", "AuroraExecutor", "preferred", "{}", "grüße ☀ \U0001f600", "")
_NUMBERS: Final = (0, 1, 2, 3, 1000, 60_000)
_UNIONS: Final = frozenset(
    {"Resource", "TaskConstraint", "Container", "Image", "SlaPolicy", "JobUpdateStrategy", "Result"}
)


# --- honest ones


def honest(method: str, codec: Codec, chance: random.Random, seqid: int = 1) -> bytes:
    """A call of `method` that a client might send."""
    args = made_up(getattr(thesan.Scheduler, f"{method}_args"), chance)
    return codec.write(method, CALL, seqid, args)


def made_up(struct: Any, chance: random.Random) -> Any:
    """A struct of this class with most of its fields set to something usual."""
    found = struct()
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    entries = list(spec.values())
    if struct.__name__ in _UNIONS:
        entries = [chance.choice(entries)]
    for entry in entries:
        if len(entries) == 1 or chance.random() < 0.85:
            setattr(found, entry[1], _value(entry[0], entry[2] if len(entry) > 3 else None, chance))
    return found


def _value(kind: int, inner: Any, chance: random.Random) -> Any:
    if kind == shapes.STRUCT:
        return made_up(inner, chance)
    if kind in (shapes.LIST, shapes.SET):
        return [_element(inner, chance) for _ in range(chance.randint(0, 3))]
    if kind == shapes.MAP:
        return {_element(inner[0], chance): _element(inner[1], chance) for _ in range(chance.randint(0, 2))}
    if kind == shapes.BOOL:
        return chance.random() < 0.5
    if kind == shapes.DOUBLE:
        return chance.choice((0.25, 1.0, 99.5))
    if kind == shapes.STRING:
        return chance.choice(_TEXTS)
    names = getattr(inner, "_VALUES_TO_NAMES", None)
    return chance.choice(list(names) if names else _NUMBERS)


def _element(spec: Any, chance: random.Random) -> Any:
    kind, inner = spec if isinstance(spec, tuple) else (spec, None)
    return _value(kind, inner, chance)


# --- broken ones


def mutated(message: bytes, chance: random.Random) -> bytes:
    """One to three small changes, of the kinds that get past a length check."""
    data = bytearray(message)
    for _ in range(chance.randint(1, 3)):
        if data:
            chance.choice(_CHANGES)(data, chance)
    return bytes(data)


def _other_byte(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] = chance.randrange(256)


def _other_bit(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _odd_size(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at : at + 4] = (chance.choice(_ODD_SIZES) & 0xFFFFFFFF).to_bytes(4, "big")


def _repeat(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[chance.randrange(len(data)) :][: chance.randint(1, 20)]


def _leave_out(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randint(1, 10)]


def _odd_byte(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] = chance.choice(_ODD_BYTES)


def _odd_number(data: bytearray, chance: random.Random) -> None:
    numbers = list(_NUMBER.finditer(data))
    if numbers:
        where = chance.choice(numbers)
        data[where.start() : where.end()] = str(chance.choice(_ODD_SIZES)).encode()


_CHANGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    _other_byte,
    _other_bit,
    _odd_size,
    _repeat,
    _leave_out,
    _odd_byte,
    _odd_number,
)

_ODD_TEXTS: Final = ("", "x", "\U0001f600", "a b", "a" * 300)
_ODD_NUMBERS: Final = (0, -1, 2, 2**31 - 1, 2**31, 2**63 - 1, 1e308, 0.5)
_ODD_VALUES: Final[tuple[Any, ...]] = (None, True, *_ODD_TEXTS, *_ODD_NUMBERS, [], {}, ["rec", 0])


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
