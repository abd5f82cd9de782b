"""Who makes way: tasks that may be asked to, for somebody who goes before them, and no more of them than it takes.

Judged from the moves of one decision, in their order: those for one host and one reason make room for one task. What
is free there, and what leaves anyway, is counted here from the second fold of the log; only what is kept for others is
asked of the core, which alone knows it.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from attrs import frozen

from scheduler.core.effects import Say
from scheduler.core.ops import MoveTask, Op
from scheduler.core.records import ACTIVE_STATES, JobKey, ResourceKind, TaskConfig, TaskStatus
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.engine import HOSTS
from scheduler.testing.simulation.fleet import RIVAL_JOBS, has_fleet
from scheduler.testing.simulation.ledger import END_ASKED, Change, Moved, TaskRow
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

_CAPACITY = {host.name: host for host in HOSTS}
_KEPT = "what others leave on "
_MAY_BE_ASKED = frozenset({TaskStatus.ASSIGNED, TaskStatus.STARTING, TaskStatus.RUNNING})


class Room(NamedTuple):
    """Cores, MB of memory and of disk."""

    cpus: float
    ram: float
    disk: float

    def less(self, other: Room) -> Room:
        return Room(self.cpus - other.cpus, self.ram - other.ram, self.disk - other.disk)

    def plus(self, other: Room) -> Room:
        return Room(self.cpus + other.cpus, self.ram + other.ram, self.disk + other.disk)

    def holds(self, other: Room) -> bool:
        return all(mine >= theirs - 1e-6 for mine, theirs in zip(self, other, strict=True))


NOTHING = Room(0, 0, 0)


@frozen
class Group:
    """Tasks that make way together. `why`: what their events say."""

    host: str
    why: str
    victims: tuple[TaskRow, ...]


class Preemption(Check):
    rule = "no more than needed"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._plays = has_fleet(world.seed)
        self._before: dict[str, TaskStatus] = {}
        """What those were that are asked in this decision."""

    def deciding(self, witness: Witness, decision: Decision) -> None:
        self._before = {}

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Moved) and change.task.status is TaskStatus.PREEMPTING:
            self._before[change.task.task_id] = change.old

    def decided(self, witness: Witness, decision: Decision) -> None:
        if self._plays:
            for effect in decision.effects:
                if isinstance(effect, Say) and _KEPT in effect.sentence:
                    self.world.coverage.note("preemption", "what leaves anyway is kept")
        if not self._before:
            return
        moves = [op for op in decision.ops if isinstance(op, MoveTask) and op.event.status is TaskStatus.PREEMPTING]
        asked = [(witness.ledger.tasks[op.task_id], op.event.message or "") for op in moves]
        groups = [
            Group(host or "", why, tuple(task for task, _ in part))
            for (host, why), part in groupby(asked, key=lambda one: (one[0].host, one[1]))
        ]
        for number, group in enumerate(groups):
            config = self._for_whom(witness, group)
            for victim in group.victims:
                self._may_be_asked(config, victim)
            later = [one for one in groups[number:] if one.host == group.host]
            self._is_needed(witness, config, group, later)
            self._tell(config, group)

    def _for_whom(self, witness: Witness, group: Group) -> TaskConfig:
        """The configuration of somebody who waits, and of whom its victims' events tell."""
        for task in witness.ledger.tasks.values():
            config = task.config
            told = f"Makes way for {task.job} (tier {config.tier or 'preemptible'}, priority {config.priority})"
            if task.status is TaskStatus.PENDING and told == group.why:
                return config
        raise Broken("who makes way", f"{group.victims[0].task_id}: {group.why}, and nobody like that waits")

    def _may_be_asked(self, config: TaskConfig, victim: TaskRow) -> None:
        told = f"{victim.task_id} makes way for {config.job}"
        theirs = victim.config
        if self._before[victim.task_id] not in _MAY_BE_ASKED:
            raise Broken("who makes way", f"{told}, and was {self._before[victim.task_id].name}")
        mine_gives_way, theirs_gives_way = self._gives_way(config), self._gives_way(theirs)
        if mine_gives_way != theirs_gives_way:
            if not theirs_gives_way:
                raise Broken("who makes way", f"{told}, and is of tier {theirs.tier}")
            return
        if theirs.job.role != config.job.role or theirs.priority >= config.priority:
            raise Broken("who makes way", f"{told}, and has priority {theirs.priority} of {config.priority}")

    def _gives_way(self, config: TaskConfig) -> bool:
        policy = self.world.policy
        tier = policy.tier(config.tier or policy.default_tier)
        return tier is not None and tier.preemptible

    def _is_needed(self, witness: Witness, config: TaskConfig, group: Group, later: list[Group]) -> None:
        """`later`: this group and those behind it on the same host, as if they were not yet asked."""
        need, not_yet = self._room(config), {task.task_id for one in later for task in one.victims}
        host, free = _CAPACITY[group.host], NOTHING
        free = Room(host.cpus, host.ram_mb, host.disk_mb)
        for task in witness.ledger.tasks.values():
            stays = task.status not in END_ASKED or task.task_id in not_yet
            if task.host == group.host and task.status in ACTIVE_STATES and stays:
                free = free.less(self._room(task.config))
        if not free.plus(self._sum(group.victims)).holds(need):
            raise Broken("who makes way", f"on {group.host} it is not enough for {config.job} whoever makes way")
        kept = witness.controller.state.reservations.held(group.host)
        free = free.less(Room(kept.milli_cpus / 1000, kept.ram_mb, kept.disk_mb))
        for one in later:
            free = free.plus(self._room(self._for_whom(witness, one)))
        for victim in group.victims:
            others = [task for task in group.victims if task is not victim]
            if free.plus(self._sum(tuple(others))).holds(need):
                without = f"there is room for {config.job} on {group.host} without it"
                raise Broken(self.rule, f"{victim.task_id} makes way, and {without}")

    def _room(self, config: TaskConfig) -> Room:
        policy = self.world.policy
        return Room(
            config.amount(ResourceKind.CPUS) + policy.executor_milli_cpus / 1000,
            config.amount(ResourceKind.RAM_MB) + policy.executor_ram_mb,
            config.amount(ResourceKind.DISK_MB),
        )

    def _sum(self, tasks: tuple[TaskRow, ...]) -> Room:
        total = NOTHING
        for task in tasks:
            total = total.plus(self._room(task.config))
        return total

    def swept(self, witness: Witness) -> None:
        """Whoever waits although it goes before others is told why."""
        if not self._plays or not len(witness.controller.state.hosts):
            return
        reasons = witness.controller.state.pending_reasons
        for task in witness.ledger.tasks.values():
            if task.job in RIVAL_JOBS and task.status is TaskStatus.PENDING and task.config not in reasons:
                raise Broken("who waits is told why", f"{task.task_id} is PENDING without a reason")

    def _tell(self, config: TaskConfig, group: Group) -> None:
        note = self.world.coverage.note
        by_tier = self._gives_way(group.victims[0].config) and not self._gives_way(config)
        note("preemption", "by tier" if by_tier else "by priority")
        if len(group.victims) > 1:
            note("preemption", "several make way for one")
        if _is_rival(config.job) and any(_is_rival(task.job) for task in group.victims):
            note("preemption", "between those who go before others")


def _is_rival(job: JobKey) -> bool:
    return job in RIVAL_JOBS
