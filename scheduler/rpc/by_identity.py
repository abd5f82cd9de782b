"""What was made of a record, kept for as long as the record itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import ref

R = TypeVar("R")
V = TypeVar("V")


class _Kept(ref[R], Generic[R, V]):
    """A weak reference to the record, and what was made of it."""

    __slots__ = ("key", "value")

    key: int
    value: V


class ByIdentity(Generic[R, V]):
    """`make(record)`, made once for each record and dropped with it.

    A record is known by which object it is, since records never change: a look-up does not hash what is in them. So
    there are never more entries than records that somebody still holds: the state, or an answer on its way out.
    """

    __slots__ = ("_drop", "_kept", "_make")

    def __init__(self, make: Callable[[R], V]) -> None:
        self._make = make
        self._kept: dict[int, _Kept[R, V]] = {}
        self._drop = self._dropped  # one bound method for all

    def __call__(self, record: R) -> V:
        kept = self._kept.get(id(record))
        if kept is not None:
            return kept.value
        value = self._make(record)
        kept = _Kept(record, self._drop)
        kept.key = id(record)
        kept.value = value
        self._kept[kept.key] = kept
        return value

    def __len__(self) -> int:
        return len(self._kept)

    def _dropped(self, kept: ref[R]) -> None:
        # Called before the record's memory, and with it its identity, can be used again.
        assert isinstance(kept, _Kept)
        del self._kept[kept.key]
