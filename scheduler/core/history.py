"""An append-only sequence that is cheap to extend and safe to keep.

An update of 4,000 instances records 8,000 events. A tuple would be copied at every one of them; `History` shares one
list between all its versions, each of which sees only its own prefix. Appending to the newest version is O(1);
appending to an older one (after a decision was rolled back) copies once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class History(Generic[T]):
    """An immutable view of the first `len(self)` items of a shared, growing list."""

    __slots__ = ("_items", "_length")

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items: list[T] = list(items)
        self._length = len(self._items)

    def appended(self, item: T) -> History[T]:
        """This history and one item more; `self` stays as it is."""
        if len(self._items) != self._length:
            longer = History(islice(self._items, self._length))
        else:
            longer = History.__new__(History)
            longer._items = self._items
        longer._items.append(item)
        longer._length = self._length + 1
        return longer

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return islice(self._items, self._length)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return self._items[: self._length][index]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return self._items[index if index >= 0 else self._length + index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"History({list(self)!r})"
