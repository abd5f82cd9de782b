"""Hosts that tasks are about to leave: what will be free there costs nobody anything."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from attrs import define, field

from scheduler.core.placement.fit import overhead_of
from scheduler.core.placement.needs import NOTHING, Need, need_of
from scheduler.core.placement.rooms import Room
from scheduler.core.policy import Policy
from scheduler.core.records import Task, TaskConfig
from scheduler.core.tasks.table import END_ASKED_STATES

Kind = tuple[str, bool]
"""A role, and whether its tasks are of a preemptible tier."""


def kind_of(policy: Policy, config: TaskConfig) -> Kind:
    tier = policy.tier(config.tier or policy.default_tier)
    return config.job.role, tier is not None and tier.preemptible


def about_to_end(tasks: Iterable[Task]) -> list[TaskConfig]:
    """The configurations of those whose end was asked for, one for each of them."""
    return [task.config for task in tasks if task.status in END_ASKED_STATES]


def left_by(policy: Policy, going: Iterable[TaskConfig]) -> Need:
    """What their executors and they will leave."""
    overhead, left = overhead_of(policy), NOTHING
    for config in going:
        left = left.plus(need_of(config)).plus(overhead)
    return left


@define(eq=False)
class Leaving:
    """For one search: such hosts by the kinds of the tasks that go, and by the cores there will be, the fewest first.

    A hint: whoever looks at a host asks anew what goes there.
    """

    _shelves: dict[Kind, list[tuple[int, int, Room]]] = field(factory=dict)
    _listed: dict[Room, tuple[int, set[Kind]]] = field(factory=dict)

    def note(self, policy: Policy, room: Room, going: Iterable[TaskConfig]) -> None:
        """All that goes on this host now."""
        cores, kinds = self._listed.pop(room, (0, set()))
        for kind in kinds:
            shelf = self._shelves[kind]
            del shelf[bisect_left(shelf, (cores, room.number))]
        going = list(going)
        kinds = {kind_of(policy, config) for config in going}
        if not kinds:
            return
        cores = room.milli_cpus + left_by(policy, going).milli_cpus
        for kind in kinds:
            insort(self._shelves.setdefault(kind, []), (cores, room.number, room))
        self._listed[room] = (cores, kinds)

    def kinds(self) -> list[Kind]:
        return list(self._shelves)

    def with_cores(self, kind: Kind, milli_cpus: int) -> list[Room]:
        """Hosts that tasks of this kind leave, and that will have so much."""
        shelf = self._shelves[kind]
        return [room for _, _, room in shelf[bisect_left(shelf, (milli_cpus,)) :]]
