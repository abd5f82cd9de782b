"""Room on a host that is kept for somebody: a group of tasks for which others made way, or an updated instance.

Memory of one leader: the next one begins without. What others see of a host is what is free less what is reserved, so
a reservation needs no rule of its own when they look. Of several owners on one host whoever came first is served first,
by whatever becomes free there: nobody waits for the task that makes way for another.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import NamedTuple, TypeVar

from attrs import frozen

from scheduler.core.placement.needs import NOTHING, Need
from scheduler.core.records import JobKey, TaskConfig
from scheduler.core.tables import Table

A = TypeVar("A")
B = TypeVar("B")


class Instance(NamedTuple):
    job: JobKey
    number: int


Owner = TaskConfig | Instance


class ReservationKey(NamedTuple):
    host: str
    owner: Owner


@frozen
class Reservation:
    """`need` is kept until `until_ms` (recorded time), or until its owner has a host."""

    need: Need
    until_ms: int


class ReservationTable(Table[ReservationKey, Reservation]):
    """Reservations, with what is held on each host and where each owner has some."""

    def __init__(self) -> None:
        super().__init__()
        self.by_host: dict[str, dict[Owner, Need]] = {}
        self.by_owner: dict[Owner, dict[str, Need]] = {}
        self.touched: set[str] = set()
        """Hosts whose reservations changed since somebody emptied it."""

    def held(self, host: str) -> Need:
        total = NOTHING
        for need in self.by_host.get(host, {}).values():
            total = total.plus(need)
        return total

    def own(self, key: ReservationKey) -> Need:
        """What is held on the host for this owner and for those who came later."""
        needs = self.by_host.get(key.host, {})
        total = NOTHING
        for owner in dropwhile(lambda owner: owner != key.owner, needs):
            total = total.plus(needs[owner])
        return total

    def _moved(self, key: ReservationKey, old: Reservation | None, new: Reservation | None) -> None:
        self.touched.add(key.host)
        _index(self.by_host, key.host, key.owner, new)
        _index(self.by_owner, key.owner, key.host, new)


def _index(index: dict[A, dict[B, Need]], outer: A, inner: B, new: Reservation | None) -> None:
    rows = index.setdefault(outer, {})
    if new is not None:
        rows[inner] = new.need
        return
    rows.pop(inner, None)
    if not rows:
        del index[outer]
