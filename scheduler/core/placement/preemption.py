"""Tasks that make way: who has waited long enough may end tasks that matter less, and gets the room they leave.

A search goes over all groups that wait, a few tasks of each in turn, and over each host once for each group. What it
finds it does at once: the victims are asked to end (PREEMPTING) and the room is kept for the group. What leaves a host
anyway is counted on before anybody is asked. Searches are cut into slices like everything else; what was found before
is looked at again before it is done, because it is found and done in one decision. Source: Aurora's documentation,
"Resource isolation and sizing" and "Multitenancy".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import define, field, frozen

from scheduler.core.placement.fit import (
    Counts,
    has_room,
    limit_veto,
    maintenance_veto,
    overhead_of,
)
from scheduler.core.placement.holding import keep
from scheduler.core.placement.leaving import Kind, Leaving, about_to_end, kind_of, left_by
from scheduler.core.placement.memory import Group
from scheduler.core.placement.needs import Need, need_of
from scheduler.core.placement.reservations import ReservationKey
from scheduler.core.placement.rooms import Room
from scheduler.core.policy import Policy
from scheduler.core.records import Task, TaskConfig, TaskStatus
from scheduler.core.tables import NO_USAGE
from scheduler.core.tasks.lifecycle import Outcome, transition
from scheduler.core.transaction import Transaction

LOOKS_PER_SLICE: Final = 1_000
FOUND_PER_SLICE: Final = 50

FIGURES: Final = (
    "task_processor_runs",
    *(
        f"{what}_{whose}"
        for what in (
            "slot_search_attempts_for",
            "slot_search_successful_for",
            "slot_search_failed_for",
            "tasks_preempted",
        )
        for whose in ("prod", "non_prod")
    ),
)
"""What is counted in the memory of placement."""

_GIVE_WAY: Final = frozenset({TaskStatus.ASSIGNED, TaskStatus.STARTING, TaskStatus.RUNNING})


@frozen(eq=False)
class Prey:
    """A task that might make way, and what it leaves."""

    task: Task
    need: Need
    kind: Kind
    priority: int


@define(eq=False)
class Run:
    """One search. `census`: hosts whose tasks are still to be counted; then `turns`: groups, and what they want."""

    census: Iterator[Room]
    turns: deque[Turn] | None = None
    prey: dict[str, list[Prey]] = field(factory=dict)
    by_kind: dict[Kind, dict[Room, None]] = field(factory=dict)
    """Hosts that have prey of a kind left."""
    leaving: Leaving = field(factory=Leaving)


@define(eq=False)
class Turn:
    """A group's part of a search. `hosts` begins with its first look, and goes on where it stood."""

    group: Group
    kind: Kind
    wanted: int
    hosts: Iterator[Room] | None = None


def _class_of(kind: Kind) -> str:
    """As Aurora's figures call it."""
    return "non_prod" if kind[1] else "prod"


def may_preempt(mine: Kind, priority: int, theirs: Kind, their_priority: int) -> bool:
    """A tier that is not preemptible goes before one that is, whoever's; else priority decides, within a role."""
    if mine[1] is not theirs[1]:
        return theirs[1]
    return mine[0] == theirs[0] and priority > their_priority


def next_search_ms(tx: Transaction) -> int | None:
    """When, on the clock that never jumps, a search may find something; None: nobody waits who may preempt."""
    memory, policy = tx.state.placement, tx.policy
    if not policy.enable_preemptor or not memory.waiting:
        return None
    weakest = _weakest(tx)
    since = [
        next(iter(rows.values())).latest_event_ms
        for config in memory.waiting
        if (rows := tx.state.tasks.pending.get(config)) and _could(policy, config, weakest)
    ]
    if not since:
        return None
    due_ms = tx.mono_ms + max(0, min(since) + policy.preemption_delay_ms - tx.now_ms)
    if memory.searched_ms is not None:
        due_ms = max(due_ms, memory.searched_ms + policy.preemption_search_interval_ms)
    return due_ms


def _weakest(tx: Transaction) -> dict[Kind, int]:
    """The lowest priority of each kind, over all configurations there are."""
    memory, configs = tx.state.placement, tx.state.configs
    if memory.weakest_of != configs.version:
        memory.weakest_of = configs.version
        memory.weakest = {}
        for config in configs.values():
            kind = kind_of(tx.policy, config)
            memory.weakest[kind] = min(config.priority, memory.weakest.get(kind, config.priority))
    return memory.weakest


def _could(policy: Policy, config: TaskConfig, weakest: dict[Kind, int]) -> bool:
    mine = kind_of(policy, config)
    if mine in weakest and config.priority > weakest[mine]:
        return True
    return not mine[1] and any(preemptible for _, preemptible in weakest)


def search(tx: Transaction) -> bool:
    """One slice of the search that is under way, or of a new one. Returns whether there is more of it."""
    memory = tx.state.placement
    run = memory.run
    if run is None:
        run = memory.run = Run(iter(list(memory.rooms.by_name.values())))
        memory.searched_ms = tx.mono_ms
        memory.figures["task_processor_runs"] += 1
    looks, found = LOOKS_PER_SLICE, FOUND_PER_SLICE
    if run.turns is None:
        looks = _count(tx, run, looks)
        if looks == 0:
            return True
        run.turns = deque(_turns(tx))
    while run.turns and looks > 0 and found > 0:
        turn = run.turns[0]
        run.turns.rotate(-1)
        batch = min(turn.wanted, tx.policy.preemption_reservation_max_batch_size, found)
        made, looks = _make_room(tx, run, turn, batch, looks)
        turn.wanted -= made
        found -= made
        if turn.wanted == 0 or (made < batch and looks > 0):
            run.turns.remove(turn)
            outcome = "successful" if turn.wanted == 0 else "failed"
            memory.figures[f"slot_search_{outcome}_for_{_class_of(turn.kind)}"] += 1
    if run.turns:
        return True
    memory.run = None
    return False


def _count(tx: Transaction, run: Run, looks: int) -> int:
    """What there is on each host that could make way. Returns the looks that are left."""
    overhead = overhead_of(tx.policy)
    for room in run.census:
        found = [
            Prey(task, need_of(task.config).plus(overhead), kind_of(tx.policy, task.config), task.config.priority)
            for task in _tasks_on(tx, room)
            if task.status in _GIVE_WAY
        ]
        found.sort(key=lambda prey: prey.need, reverse=True)  # stable: among equals the one that is there longest
        run.prey[room.name] = found
        for kind in {prey.kind for prey in found}:
            run.by_kind.setdefault(kind, {})[room] = None
        run.leaving.note(tx.policy, room, about_to_end(_tasks_on(tx, room)))
        looks -= 1
        if looks == 0:
            break
    return looks


def _turns(tx: Transaction) -> Iterator[Turn]:
    """Groups that have waited long enough, and on how many hosts they want room that is not kept for them yet."""
    state, policy = tx.state, tx.policy
    for config, group in state.placement.waiting.items():
        long_enough = [
            task
            for task in state.tasks.pending.get(config, {}).values()
            if tx.now_ms - task.latest_event_ms >= policy.preemption_delay_ms
        ]
        wanted = len(long_enough) - len(state.reservations.by_owner.get(config, ()))
        if wanted > 0:
            yield Turn(group, kind_of(policy, config), wanted)


def _hunting_ground(run: Run, mine: Kind, need: Need) -> Iterator[Room]:
    """Hosts that tasks which might make way leave anyway, then those with other such tasks, each once."""
    seen: set[Room] = set()
    for kind in run.leaving.kinds():
        if _might_make_way(mine, kind):
            yield from _unseen(run.leaving.with_cores(kind, need.milli_cpus), seen)
    for kind in list(run.by_kind):
        if _might_make_way(mine, kind):
            yield from _unseen(list(run.by_kind[kind]), seen)


def _might_make_way(mine: Kind, theirs: Kind) -> bool:
    """Some task of theirs for some of mine, as far as the kinds go."""
    return theirs == mine or (not mine[1] and theirs[1])


def _unseen(rooms: list[Room], seen: set[Room]) -> Iterator[Room]:
    for room in rooms:
        if room not in seen:
            seen.add(room)
            yield room


def _make_room(tx: Transaction, run: Run, turn: Turn, batch: int, looks: int) -> tuple[int, int]:
    """On up to `batch` hosts. Returns on how many, and the looks that are left."""
    made = 0
    if turn.hosts is None:
        turn.hosts = _hunting_ground(run, turn.kind, turn.group.request.need)
        tx.state.placement.figures[f"slot_search_attempts_for_{_class_of(turn.kind)}"] += 1
    for room in turn.hosts:
        looks -= 1
        made += _clear(tx, run, turn, room)
        if made == batch or looks <= 0:
            break
    return made, looks


def _clear(tx: Transaction, run: Run, turn: Turn, room: Room) -> bool:
    """Room is made on this host, if there are victims. Those who cannot be asked to end are left out of this search."""
    while (victims := _victims(tx, run, turn, room)) is not None:
        what = f"making room on {room.name} for {turn.group.request.config.job}"
        is_done = tx.attempt(what, _preempt, tx, room, victims, turn.group)
        _strike_off(tx, run, room, victims)
        if is_done or not victims:
            return is_done
    return False


def _strike_off(tx: Transaction, run: Run, room: Room, victims: list[Prey]) -> None:
    """Those whose turn comes later look at what they leave, and not at them."""
    run.leaving.note(tx.policy, room, about_to_end(_tasks_on(tx, room)))
    left = run.prey[room.name] = [prey for prey in run.prey[room.name] if prey not in victims]
    for kind in {prey.kind for prey in victims} - {prey.kind for prey in left}:
        del run.by_kind[kind][room]


def _victims(tx: Transaction, run: Run, turn: Turn, room: Room) -> list[Prey] | None:
    """Who has to make way on this host, the largest first: nobody without whom there would be room too.

    Nobody at all where it is enough what leaves anyway, and some of that would have had to make way. None: the host is
    no help, whoever made way.
    """
    memory, group, policy = tx.state.placement, turn.group, tx.policy
    request = group.request
    if (
        memory.rooms.by_name.get(room.name) is not room
        or ReservationKey(room.name, request.config) in tx.state.reservations
        or memory.bans.veto(policy, group.banned, room, request) is not None
        or maintenance_veto(room.host, tx.now_ms + policy.unavailability_threshold_ms) is not None
        or limit_veto(room, request, _with_kept(tx, group)) is not None
    ):
        return None
    mine, priority = turn.kind, request.config.priority
    going = about_to_end(_tasks_on(tx, room))
    left = left_by(policy, going)
    if has_room(room, request.need, left):
        is_owed = any(may_preempt(mine, priority, kind_of(policy, config), config.priority) for config in going)
        return [] if is_owed else None
    victims: list[Prey] = []
    for prey in run.prey[room.name]:
        task = tx.state.tasks.get(prey.task.task_id)
        if task is None or task.status not in _GIVE_WAY or task.host != room.name:
            continue
        if may_preempt(mine, priority, prey.kind, prey.priority):
            victims.append(prey)
            left = left.plus(prey.need)
            if has_room(room, request.need, left):
                return _needed(room, request.need, left, victims)
    return None


def _tasks_on(tx: Transaction, room: Room) -> Iterable[Task]:
    return tx.state.tasks.by_host.get(room.name, NO_USAGE).tasks.values()


def _needed(room: Room, need: Need, left: Need, victims: list[Prey]) -> list[Prey]:
    """Those of them that it takes: one that is large in cores may have nothing of what is short."""
    taken: list[Prey] = []
    for prey in victims:
        without = left.minus(prey.need)
        if has_room(room, need, without):
            left = without
        else:
            taken.append(prey)
    return taken


def _with_kept(tx: Transaction, group: Group) -> Counts:
    """The counts that limits go by, with the tasks for which room is kept already: nobody is to make way for more."""
    counts, request = group.counts(tx.state), group.request
    kept = tx.state.reservations.by_owner.get(request.config)
    if kept is None or not request.limits:
        return counts
    rooms = tx.state.placement.rooms.by_name
    grown = {name: dict(values) for name, values in counts.items()}
    for host in kept:
        for name, values in grown.items():
            for value in rooms[host].attributes.get(name, ()) if host in rooms else ():
                values[value] = values.get(value, 0) + 1
    return grown


def _preempt(tx: Transaction, room: Room, victims: list[Prey], group: Group) -> None:
    config = group.request.config
    tier = config.tier or tx.policy.default_tier
    why = f"Makes way for {config.job} (tier {tier}, priority {config.priority})"
    for prey in victims:
        done = transition(tx, prey.task.task_id, TaskStatus.PREEMPTING, why)
        assert done is Outcome.SUCCESS, (prey.task.task_id, done)
    tx.state.placement.figures.update(f"tasks_preempted_{_class_of(prey.kind)}" for prey in victims)
    keep(tx, ReservationKey(room.name, config), config, tx.policy.offer_reservation_duration_ms)
    room.lessen(group.request.need)
    if not victims:
        tx.say(config.job, f"what others leave on {room.name} is kept for it")
        return
    who = "1 task makes" if len(victims) == 1 else f"{len(victims)} tasks make"
    tx.say(config.job, f"{who} way for it on {room.name}")
