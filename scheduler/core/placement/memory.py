"""What placement remembers between its passes: the groups that wait, how far each has searched, and what it learned.

Memory of one leader, and only hints: were all of it lost, the next pass would search again and come to the same.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scheduler.core.placement.fit import Counts, Request, Veto, static_veto
from scheduler.core.placement.needs import Need
from scheduler.core.placement.rooms import Room, Rooms, Search
from scheduler.core.policy import Policy
from scheduler.core.records import Constraint, Host, TaskConfig
from scheduler.core.tables import Spread

if TYPE_CHECKING:
    from scheduler.core.placement.preemption import Run
    from scheduler.core.state import State


Nearest = tuple[float, tuple[Veto, ...]]
"""The vetoes of one host, and the sum of their scores."""

Banned = dict[str, tuple[Host, Veto]]
"""By the host's name: its record then, and why not."""


class Group:
    """The pending tasks of one configuration, which fit where any of them fits."""

    __slots__ = (
        "_counted",
        "_counts",
        "banned",
        "departures",
        "due_ms",
        "explained_ms",
        "nearest",
        "number",
        "penalty_ms",
        "raised",
        "request",
        "rest",
        "search",
        "seen",
    )

    def __init__(self, request: Request, number: int) -> None:
        self.request = request
        self.number = number
        """Groups are numbered in the order in which they came."""
        self.banned: Banned = {}
        self.search: Search | None = None
        self.seen = -1
        """Up to which freed host it has searched; -1: not at all."""
        self.departures: object = None
        self.penalty_ms = 0
        self.due_ms = 0
        self.raised = False
        """Its last turn did: it has none before its back-off ends, whatever is freed."""
        self.explained_ms: int | None = None
        self.nearest: Nearest | None = None
        self.rest: Iterator[Room] | None = None
        """Hosts that are still to be asked what speaks against them."""
        self._counts: dict[str, dict[str, int]] = {}
        self._counted: tuple[Spread | None, int, int] | None = None

    def counts(self, state: State) -> Counts:
        """Per limited attribute, how many tasks of the job are on hosts with each value."""
        if not self.request.limits:
            return self._counts
        spread = state.tasks.spread.get(self.request.config.job)
        now = (spread, spread.version if spread is not None else 0, state.hosts.version)
        if self._counted != now:
            self._counted = now
            self._counts = {name: _count(state, spread, name) for name, _ in self.request.limits}
        return self._counts

    def placed(self, state: State, room: Room) -> None:
        """One of its tasks was just put there: its own counts need not be made anew."""
        spread = state.tasks.spread.get(self.request.config.job)
        assert spread is not None
        before = self._counted
        if before is None or before[0] not in (spread, None) or before[1] + 1 != spread.version:
            return
        self._counted = (spread, spread.version, before[2])
        for name, counts in self._counts.items():
            for value in room.attributes.get(name, ()):
                counts[value] = counts.get(value, 0) + 1

    def left(self, state: State) -> object:
        """Changes when a task of the job leaves a host: then a limit may be lifted on hosts where nothing changed."""
        spread = state.tasks.spread.get(self.request.config.job)
        return None if spread is None else (spread, spread.departures)


def _count(state: State, spread: Spread | None, name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for host_name, tasks in spread.hosts.items() if spread is not None else ():
        host = state.hosts.get(host_name) or state.absent_hosts.get(host_name)
        if host is None:
            continue
        for value in next((values for attribute, values in host.attributes if attribute == name), ()):
            counts[value] = counts.get(value, 0) + tasks
    return counts


class Bans:
    """Hosts that cannot take any task with certain constraints, for as long as the host's record is the same."""

    def __init__(self) -> None:
        self._of_rules: dict[tuple[Constraint, ...], Banned] = {}
        self._size = 0

    def of(self, request: Request) -> Banned:
        """Those of its constraints, to be handed to `veto`. Fetched anew for every search."""
        rules = request.rules
        return self._of_rules.get(rules) or self._of_rules.setdefault(rules, {})

    def veto(self, policy: Policy, banned: Banned, room: Room, request: Request) -> Veto | None:
        """As `static_veto`, remembered."""
        known = banned.get(room.name)
        if known is not None and known[0] is room.host:
            return known[1]
        veto = static_veto(room, request)
        if veto is not None:
            self._size += room.name not in banned
            banned[room.name] = (room.host, veto)
            if self._size > policy.offer_static_ban_cache_max_size:  # found again by whoever needs them
                self._of_rules.clear()
                self._size = 0
        return veto


class Memory:
    """See the module. `due`: groups to be searched for now; `waiting`: found nothing, longest not looked at first."""

    def __init__(self) -> None:
        self.rooms = Rooms()
        self.bans = Bans()
        self.groups: dict[TaskConfig, Group] = {}
        self.numbers = 0
        self.due: deque[Group] = deque()
        self.waiting: dict[TaskConfig, Group] = {}
        self.unexplained: deque[Group] = deque()
        self.explained: dict[tuple[Need, tuple[Constraint, ...]], tuple[int, Nearest | None]] = {}
        """When, and what, was last found to be nearest for what was asked."""
        self.attempts = 0
        """Turns of groups; `back_offs` of them found no host."""
        # Of preemption:
        self.search_due_ms: int | None = None
        """For when its deadline is armed."""
        self.search_wanted = False
        self.back_offs = 0
        self.nobody_could: tuple[int, int] | None = None
        """The version of the configurations, and `back_offs`, when it was found that nobody who waits may preempt."""
        self.searched_ms: int | None = None
        """When the last search began."""
        self.run: Run | None = None
        self.weakest: dict[tuple[str, bool], int] = {}
        self.weakest_of: int | None = None
        self.figures: Counter[str] = Counter()
        """How often preemption did what, under Aurora's names less `preemptor_`."""

    def forget_groups(self) -> None:
        """They are found again with the next pass, and search anew."""
        self.groups.clear()
        self.due.clear()
        self.waiting.clear()
        self.unexplained.clear()
        self.run = None
        self.search_due_ms = None
