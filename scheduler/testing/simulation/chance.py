"""Chance that can be asked twice: a number drawn from a seed and a name, not from a position in a stream.

So what one task does is the same whether or not something else happened before it, and a script from which an action
is taken away still means the same for the rest. That is what makes a failure shrink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_MASK: Final = (1 << 64) - 1


def mix(*parts: int) -> int:
    """64 bits that depend on all parts and on their order (the finalizer of splitmix64, once per part)."""
    x = 0
    for part in parts:
        x = (x + 0x9E3779B97F4A7C15 + (part & _MASK)) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        x ^= x >> 31
    return x


class Chance:
    """Draws by name. A name is a few numbers: what for, for whom, the how-manieth."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def share(self, *name: int) -> float:
        """From 0 up to, not including, 1."""
        return mix(self.seed, *name) / (_MASK + 1)

    def between(self, low: int, high: int, *name: int) -> int:
        """A whole number, both ends included."""
        return low + mix(self.seed, *name) % (high - low + 1)

    def pick(self, choices: Sequence[T], *name: int) -> T:
        return choices[mix(self.seed, *name) % len(choices)]
