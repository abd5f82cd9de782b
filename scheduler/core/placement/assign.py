"""One placement pass: give pending tasks that fit a host and ports, and say of the others why they wait.

Tasks of one configuration form a group, which fits where any of them fits. Groups have their turns one after another,
a few tasks at a time, so a large job holds up no other; one whose turn raises is set back alone. A group that found
nothing waits until a host comes or something is freed, and then looks at those hosts only; of very many such groups the
first ones look at once, the others when their back-off ends. Source: Aurora's documentation, "Scheduler
configuration"; `docs/compatibility.md`.
"""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import Final

from scheduler.core import ops
from scheduler.core.effects import Launch
from scheduler.core.placement import preemption
from scheduler.core.placement.explaining import explain, explained_for_ms
from scheduler.core.placement.fit import (
    choose_ports,
    free_ports,
    has_room,
    limit_veto,
    maintenance_veto,
    overhead_of,
    request_of,
)
from scheduler.core.placement.holding import forget_of, give_up, settle
from scheduler.core.placement.memory import Group
from scheduler.core.placement.needs import Need
from scheduler.core.placement.reservations import Instance, ReservationKey
from scheduler.core.placement.rooms import Room, Search
from scheduler.core.placement.work import Work
from scheduler.core.policy import OfferOrder
from scheduler.core.records import Host, Task, TaskEvent, TaskStatus
from scheduler.core.tables import NO_USAGE
from scheduler.core.tasks.lifecycle import arm_deadlines
from scheduler.core.transaction import DeadlineKind, TaskChanged, Transaction

TASKS_PER_PASS: Final = 100
"""The controller makes another pass while it is told that more may be placed."""
LOOKS_PER_PASS: Final = 3_000
"""At hosts."""
WOKEN_AT_ONCE: Final = 100
"""Groups that look at what was freed although they have backed off; the others when their back-off ends."""
LISTED_PER_LOOK: Final = 32
"""Listing so many candidates takes as long as looking at one."""
FEW: Final = 256
"""More freed hosts than that are not looked at one by one: the search begins anew."""


def place(tx: Transaction) -> bool:
    """Returns whether another pass may place or explain more."""
    memory = tx.state.placement
    try:
        refresh(tx)
        _queue(tx)
        _send_home(tx)
        _work_off(tx, Work(TASKS_PER_PASS, LOOKS_PER_PASS))
        more = bool(memory.due or memory.unexplained) or (memory.search_wanted and _preempt(tx))
        _arm_search(tx)
    except BaseException:
        memory.forget_groups()  # this pass is undone, and with it whose turn it was
        raise
    return more


def _work_off(tx: Transaction, work: Work) -> None:
    """Reasons are told when nobody waits for a search."""
    memory = tx.state.placement
    while memory.due and work.goes_on:
        group = memory.due.popleft()
        group.raised = not tx.attempt(f"placing tasks of {group.request.config.job}", _attempt, tx, group, work)
        if group.raised:
            _set_back(tx, group)
    while memory.unexplained and not memory.due and work.looks > 0:
        group = memory.unexplained[0]
        job = group.request.config.job
        if not tx.attempt(f"explaining why tasks of {job} are pending", explain, tx, group, work):
            memory.unexplained = deque(other for other in memory.unexplained if other is not group)
            group.rest = None


def _set_back(tx: Transaction, group: Group) -> None:
    """Its turn raised: it begins anew when its back-off ends."""
    memory = tx.state.placement
    fresh = Group(group.request, group.number)
    fresh.penalty_ms, fresh.raised = group.penalty_ms, True
    memory.groups[group.request.config] = fresh
    _back_off(tx, fresh)
    tx.arm_mono(DeadlineKind.PLACE, None, fresh.due_ms)


def refresh(tx: Transaction) -> None:
    """Take up what changed on hosts since the last pass."""
    state, memory = tx.state, tx.state.placement
    overhead = overhead_of(tx.policy)
    names = state.hosts.touched | state.tasks.touched | state.reservations.touched

    def free(host: Host) -> Need:
        usage = state.tasks.by_host.get(host.name, NO_USAGE)
        held, count = state.reservations.held(host.name), len(usage.tasks)
        return Need(
            round(host.cpus * 1000) - usage.milli_cpus - count * overhead.milli_cpus - held.milli_cpus,
            host.ram_mb - usage.ram_mb - count * overhead.ram_mb - held.ram_mb,
            host.disk_mb - usage.disk_mb - held.disk_mb,
            host.gpus - usage.gpus - held.gpus,
            free_ports(host, usage.ports) - held.ports,
        )

    memory.rooms.refresh(names, state.hosts.get, free)
    for table in (state.hosts, state.tasks, state.reservations):
        table.touched.clear()


# --- whose turn it is ------------------------------------------------------------------------------------------------


def _queue(tx: Transaction) -> None:
    """Of those that wait, whoever has something new to look at; then new groups. Who came first is first."""
    memory, pending = tx.state.placement, tx.state.tasks.pending
    for config in [config for config in memory.groups if config not in pending]:
        memory.waiting.pop(config, None)
        del memory.groups[config]
        forget_of(tx, config)
    memory.due.extend(sorted(_woken(tx), key=attrgetter("number")))
    for config in pending:
        if config not in memory.groups:
            memory.numbers += 1
            group = memory.groups[config] = Group(request_of(tx.policy, config), memory.numbers)
            memory.due.append(group)


def _woken(tx: Transaction) -> list[Group]:
    """Taken out of those that wait."""
    memory, due_ms = tx.state.placement, None
    woken: list[Group] = []
    for group in memory.waiting.values():
        if not _has_news(tx, group):
            continue
        if (len(woken) < WOKEN_AT_ONCE and not group.raised) or group.due_ms <= tx.mono_ms:
            woken.append(group)
        else:
            due_ms = group.due_ms if due_ms is None else min(due_ms, group.due_ms)
    for group in woken:
        del memory.waiting[group.request.config]
    if due_ms is not None:
        tx.arm_mono(DeadlineKind.PLACE, None, due_ms)
    return woken


def _has_news(tx: Transaction, group: Group) -> bool:
    """Was anything freed since it searched, or may a limit be lifted?"""
    if group.seen != tx.state.placement.rooms.freed:
        return True
    return bool(group.request.limits) and group.departures != group.left(tx.state)


def _send_home(tx: Transaction) -> None:
    """Instances that an update replaced go where they were, if there is room; where not, nothing is kept any more."""
    state = tx.state
    for owner in [owner for owner in state.reservations.by_owner if isinstance(owner, Instance)]:
        task = state.tasks.active.get(owner.job, {}).get(owner.number)
        if task is None or task.status is not TaskStatus.PENDING:
            continue
        tx.attempt(f"sending {task.task_id} home", _send_one_home, tx, task, owner)


def _send_one_home(tx: Transaction, task: Task, owner: Instance) -> None:
    state = tx.state
    for name in list(state.reservations.by_owner[owner]):
        own = state.reservations.own(ReservationKey(name, owner))
        room, group = state.placement.rooms.by_name.get(name), state.placement.groups[task.config]
        if room is not None and has_room(room, group.request.need, own) and _allows(tx, group, room):
            _assign(tx, task, room)
            room.lessen(group.request.need)
            return
        give_up(tx, ReservationKey(name, owner))


def _preempt(tx: Transaction) -> bool:
    refresh(tx)  # what was kept for a task that this pass placed is free: nobody has to make way for it again
    tx.state.placement.search_wanted = preemption.search(tx)
    return tx.state.placement.search_wanted


def _arm_search(tx: Transaction) -> None:
    """Once at a time; one whose decision was undone is armed again after a while."""
    memory = tx.state.placement
    armed_ms = memory.search_due_ms
    if memory.search_wanted or (
        armed_ms is not None and tx.mono_ms <= armed_ms + tx.policy.preemption_search_interval_ms
    ):
        return
    if memory.nobody_could == (tx.state.configs.version, memory.back_offs):
        return
    memory.search_due_ms = preemption.next_search_ms(tx)
    if memory.search_due_ms is None:
        memory.nobody_could = (tx.state.configs.version, memory.back_offs)
    else:
        tx.arm_mono(DeadlineKind.PREEMPT, None, memory.search_due_ms)


def _attempt(tx: Transaction, group: Group, work: Work) -> None:
    """A few tasks of one group; then it goes to the end of the queue, or waits."""
    memory, config = tx.state.placement, group.request.config
    if memory.groups.get(config) is not group:
        return
    memory.attempts += 1
    for _ in range(min(tx.policy.max_tasks_per_schedule_attempt, work.tasks)):
        rows = tx.state.tasks.pending.get(config)
        if rows is None:
            break
        room = _find(tx, group, work)
        if room is None and work.looks > 0:
            _back_off(tx, group)
            return
        if room is None:
            break
        work.tasks -= 1
        _assign(tx, next(iter(rows.values())), room)
        room.lessen(group.request.need)
        group.placed(tx.state, room)
        group.penalty_ms = 0
    if config in tx.state.tasks.pending:
        memory.due.append(group)
    else:
        del memory.groups[config]


def _back_off(tx: Transaction, group: Group) -> None:
    memory, policy = tx.state.placement, tx.policy
    doubled = max(policy.initial_schedule_penalty_ms, 2 * group.penalty_ms)
    group.penalty_ms = min(doubled, policy.max_schedule_penalty_ms)
    group.due_ms = tx.mono_ms + int(group.penalty_ms * (0.5 + tx.world.random() / 2))
    memory.waiting[group.request.config] = group
    memory.back_offs += 1
    known_ms = group.explained_ms
    if group.rest is None and (known_ms is None or tx.mono_ms - known_ms >= explained_for_ms(memory)):
        group.rest = iter(list(memory.rooms.by_name.values()))
        group.nearest = None
        memory.unexplained.append(group)


# --- searching -------------------------------------------------------------------------------------------------------


def _find(tx: Transaction, group: Group, work: Work) -> Room | None:
    """A host with room; None: there is none, or no more looks are left."""
    memory, request = tx.state.placement, group.request
    for name in tx.state.reservations.by_owner.get(request.config, {}):
        own = tx.state.reservations.own(ReservationKey(name, request.config))
        kept = memory.rooms.by_name.get(name)
        if kept is not None and has_room(kept, request.need, own) and _allows(tx, group, kept):
            return kept
    while True:
        if group.search is None:
            group.search = _begin(tx, group)
            work.looks -= len(group.search) // LISTED_PER_LOOK
        room = group.search.look()
        if room is None:
            group.search = None
            if not _has_news(tx, group):
                return None
            continue
        if work.looks <= 0:
            return None
        work.looks -= 1
        if has_room(room, request.need) and _allows(tx, group, room):
            return room
        group.search.drop()


def _allows(tx: Transaction, group: Group, room: Room) -> bool:
    """Is the host still there, and would it take the task, if there were room?"""
    request, policy = group.request, tx.policy
    return (
        tx.state.placement.rooms.by_name.get(room.name) is room
        and tx.state.placement.bans.veto(policy, group.banned, room, request) is None
        and maintenance_veto(room.host, tx.now_ms + policy.unavailability_threshold_ms) is None
        and limit_veto(room, request, group.counts(tx.state)) is None
    )


def _begin(tx: Transaction, group: Group) -> Search:
    """At what was freed since the last search, if that is all that can matter, else anywhere."""
    rooms, policy = tx.state.placement.rooms, tx.policy
    chance = tx.world.random if policy.offer_order is OfferOrder.RANDOM else None
    missed = rooms.freed_since(group.seen) if group.seen >= 0 else None
    departures = group.left(tx.state)
    afresh = missed is None or len(missed) > FEW or (group.request.limits and departures != group.departures)
    group.seen, group.departures = rooms.freed, departures
    group.banned = tx.state.placement.bans.of(group.request)
    if afresh or missed is None:
        return Search(tuple(rooms.candidates(group.request.need, policy.offer_order)), chance)
    ranks = sorted({room.rank for room in missed})
    return Search([[room for room in missed if room.rank == rank] for rank in ranks], chance)


# --- assigning -------------------------------------------------------------------------------------------------------


def _assign(tx: Transaction, task: Task, room: Room) -> None:
    host = room.host
    usage = tx.state.tasks.by_host.get(host.name, NO_USAGE)
    names = task.config.port_names()
    ports = choose_ports(host, usage.ports, names, _last_port(tx, host)) if names else ()
    if ports:
        tx.state.replace(tx.state.last_ports, host.name, ports[-1][1])
    event = TaskEvent(max(tx.now_ms, task.latest_event_ms), TaskStatus.ASSIGNED, None, tx.world.scheduler)
    tx.apply(ops.AssignTask(task.task_id, event, host.name, host.agent_id, ports))
    if task.config not in tx.state.tasks.pending:
        tx.state.replace(tx.state.pending_reasons, task.config, None)
    assigned = tx.state.tasks[task.task_id]
    settle(tx, assigned)
    tx.changes.append(TaskChanged(assigned))
    arm_deadlines(tx, assigned)
    tx.effect(Launch(assigned))


def _last_port(tx: Transaction, host: Host) -> int:
    """Where the round of ports goes on. A new leader begins anywhere: others on the same machine may hand out too."""
    last = tx.state.last_ports.get(host.name)
    return host.ports[int(tx.world.random() * len(host.ports))] if last is None else last
