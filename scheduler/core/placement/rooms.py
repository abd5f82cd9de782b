"""What is free on each host, kept so that a host with room is found without looking at those that have none.

All of it follows from tables of the state (`hosts`, `tasks`, `reservations`). Their `touched` sets say what may have
changed, so a decision that is undone leaves no trace here either: what it touched is simply looked at again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from scheduler.core.placement.needs import Need
from scheduler.core.policy import OfferOrder
from scheduler.core.records import Host, MaintenanceMode

DEDICATED: Final = "dedicated"
MOST_REMEMBERED: Final = 10_000
"""Of hosts that were freed; who has missed more than that looks at all."""
MANY: Final = 300
"""From here on sorting anew is cheaper than moving one by one."""


_SIZES: Final = (attrgetter("milli_cpus"), attrgetter("ram_mb"), attrgetter("disk_mb"))
_SHELF_OF: Final = {OfferOrder.CPU: 0, OfferOrder.MEMORY: 1, OfferOrder.DISK: 2}


class Room:
    """One host, and what is free there: its whole less what tasks, their executors and reservations take."""

    __slots__ = (
        "attributes",
        "disk_mb",
        "gpus",
        "host",
        "is_dedicated",
        "listed",
        "milli_cpus",
        "name",
        "number",
        "ports",
        "ram_mb",
        "rank",
    )

    def __init__(self, host: Host, number: int) -> None:
        self.name = host.name
        self.number = number
        self.take(host)
        self.milli_cpus = self.ram_mb = self.disk_mb = self.gpus = self.ports = 0
        self.listed: tuple[int, tuple[int, ...]] | None = None
        """Its rank, and the sizes under which it stands on the shelves of that rank."""

    def take(self, host: Host) -> None:
        self.host = host
        self.attributes = dict(host.attributes)
        self.is_dedicated = DEDICATED in self.attributes
        self.rank = rank_of(host)

    def set_free(self, free: Need) -> bool:
        """Returns whether there is more of anything than before."""
        before = (self.milli_cpus, self.ram_mb, self.disk_mb, self.gpus, self.ports)
        self.milli_cpus, self.ram_mb, self.disk_mb, self.gpus, self.ports = free
        return any(now > then for now, then in zip(free, before, strict=True))

    def lessen(self, need: Need) -> None:
        """A task was put here."""
        self.milli_cpus -= need.milli_cpus
        self.ram_mb -= need.ram_mb
        self.disk_mb -= need.disk_mb
        self.gpus -= need.gpus
        self.ports -= need.ports


HEALTHY, LEAVING, CLOSED = range(3)
"""Ranks of hosts: in service; on their way out, taken when no healthy one fits; taking nothing."""


def rank_of(host: Host) -> int:
    if host.mode in (MaintenanceMode.DRAINING, MaintenanceMode.DRAINED):
        return CLOSED
    return LEAVING if host.mode is MaintenanceMode.SCHEDULED or host.unavailable_from_ms is not None else HEALTHY


class Rooms:
    """All hosts that are offered. `refresh` first, then ask."""

    def __init__(self) -> None:
        self.by_name: dict[str, Room] = {}
        self._shelves: dict[int, tuple[list[tuple[int, int, Room]], ...]] = {
            rank: tuple([] for _ in _SIZES) for rank in (HEALTHY, LEAVING)
        }
        self._numbers = 0
        self._freed: deque[Room] = deque()
        self._forgotten = 0
        """How many hosts that were freed are not remembered any more."""

    @property
    def freed(self) -> int:
        """How often a host came, changed, or got something free."""
        return self._forgotten + len(self._freed)

    def freed_since(self, seen: int) -> list[Room] | None:
        """Those, each once; None: that is too long ago."""
        if seen < self._forgotten:
            return None
        missed = list(self._freed)[seen - self._forgotten :] if seen < self.freed else []
        return [room for room in dict.fromkeys(missed) if self.by_name.get(room.name) is room]

    def refresh(self, names: set[str], hosts: Callable[[str], Host | None], free: Callable[[Host], Need]) -> None:
        """Take up what may have changed: these hosts' records (None: gone), and what is free there."""
        changed = [room for name in sorted(names) if (room := self._refreshed(name, hosts, free)) is not None]
        if len(changed) > MANY:
            self._sort()
            return
        for room in changed:
            self._list(room)

    def _refreshed(self, name: str, hosts: Callable[[str], Host | None], free: Callable[[Host], Need]) -> Room | None:
        """Returns the room if it has to be listed anew."""
        host, room = hosts(name), self.by_name.get(name)
        if host is None:
            if room is not None:
                del self.by_name[name]
                self._unlist(room)
            return None
        is_other = room is None or room.host is not host
        if room is None:
            self._numbers += 1
            room = self.by_name[name] = Room(host, self._numbers)
        elif is_other:
            room.take(host)
        if room.set_free(free(host)) or is_other:
            self._remember(room)
        place = None if room.rank == CLOSED else (room.rank, tuple(size(room) for size in _SIZES))
        return room if place != room.listed else None

    def _remember(self, room: Room) -> None:
        self._freed.append(room)
        if len(self._freed) > MOST_REMEMBERED:
            self._freed.popleft()
            self._forgotten += 1

    def _unlist(self, room: Room) -> None:
        if room.listed is None:
            return
        rank, sizes = room.listed
        for shelf, size in zip(self._shelves[rank], sizes, strict=True):
            del shelf[bisect_left(shelf, (size, room.number))]
        room.listed = None

    def _list(self, room: Room) -> None:
        self._unlist(room)
        if room.rank == CLOSED:
            return
        sizes = tuple(size(room) for size in _SIZES)
        for shelf, size in zip(self._shelves[room.rank], sizes, strict=True):
            insort(shelf, (size, room.number, room))
        room.listed = (room.rank, sizes)

    def _sort(self) -> None:
        for shelves in self._shelves.values():
            for shelf in shelves:
                shelf.clear()
        for room in self.by_name.values():
            if room.rank == CLOSED:
                room.listed = None
                continue
            room.listed = (room.rank, tuple(size(room) for size in _SIZES))
            for shelf, size in zip(self._shelves[room.rank], room.listed[1], strict=True):
                shelf.append((size, room.number, room))
        for shelves in self._shelves.values():
            for shelf in shelves:
                shelf.sort()

    def candidates(self, need: Need, order: OfferOrder) -> Iterator[list[Room]]:
        """Hosts that may have room, the healthy ones first; in each list those with the least left come first."""
        wanted = (need.milli_cpus, need.ram_mb, need.disk_mb)
        for shelves in self._shelves.values():
            starts = [bisect_left(shelf, (size,)) for shelf, size in zip(shelves, wanted, strict=True)]
            which = _SHELF_OF.get(order, starts.index(max(starts)))
            yield [room for _, _, room in shelves[which][starts[which] :]]


class Search:
    """A walk over candidates: in their order, or in any. A host that does not fit is dropped and not seen again."""

    __slots__ = ("_chance", "_lists", "_rooms")

    def __init__(self, lists: Sequence[list[Room]], chance: Callable[[], float] | None) -> None:
        """`chance`: any order. Healthy hosts still come first."""
        self._lists = [rooms for rooms in reversed(lists) if rooms]
        for rooms in self._lists:
            rooms.reverse()
        self._rooms: list[Room] = self._lists.pop() if self._lists else []
        self._chance = chance

    def __len__(self) -> int:
        """How many are left to look at."""
        return len(self._rooms) + sum(map(len, self._lists))

    def look(self) -> Room | None:
        """The host to look at now; None: there is none left. Looking again without a `drop` chooses anew."""
        rooms = self._rooms
        if not rooms and self._lists:
            rooms = self._rooms = self._lists.pop()
        if not rooms:
            return None
        if self._chance is not None and len(rooms) > 1:
            chosen = int(self._chance() * len(rooms))
            rooms[-1], rooms[chosen] = rooms[chosen], rooms[-1]
        return rooms[-1]

    def drop(self) -> None:
        """What was looked at last does not fit."""
        self._rooms.pop()
