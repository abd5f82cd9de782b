"""The first decision of a leader, and what it makes of what the engine has.

Source of the rules: `docs/architecture.md`, "Take-over" and "Engine fence".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

import attrs

from scheduler.core import ops
from scheduler.core.cron import runs
from scheduler.core.effects import Forget, Launch, Terminate
from scheduler.core.maintenance import draining
from scheduler.core.records import ASSIGNED_STATES, TERMINAL_STATES, Host, TaskStatus
from scheduler.core.tasks import lifecycle, silence
from scheduler.core.tasks.table import END_ASKED_STATES
from scheduler.core.transaction import Transaction
from scheduler.core.updates import expiring, progress, pulses, status as table, updater
from scheduler.core.updates.noting import note


def begin_epoch(tx: Transaction, epoch: int) -> None:
    """Take over: all deadlines are armed, updates that wait for heartbeats wait for the next one, the rest rolls on."""
    tx.apply(ops.EpochBegun(epoch, tx.world.scheduler))
    for task in list(tx.state.tasks.values()):
        lifecycle.arm_deadlines(tx, task)
    runs.take_over(tx)
    silence.take_over(tx)
    draining.take_over(tx)
    for update in list(tx.state.updates.active.values()):
        if tx.policy.infer_heartbeats:
            pulses.infer(tx, update)
        expiring.arm(tx, update)
        note(tx, update.key, progress.taken_over(update, tx.now_ms))
        update = tx.state.updates[update.key]
        if update.status not in table.ROLLING_STATES:
            continue
        if not tx.policy.infer_heartbeats and not pulses.is_open(tx.state, update, tx.clocks):
            ended = update.notes.override is not None
            updater.block(tx, update, pulses.why_closed(update) if ended else pulses.FAILED_OVER)
        else:
            updater.enter_rolling(tx, update)


def offer_hosts(tx: Transaction, hosts: Sequence[Host]) -> None:
    """These are all the hosts there are now. What people said of a host stays said; who goes is remembered while
    tasks are there."""
    state = tx.state
    offered = {host.name: host for host in hosts}
    for name in [name for name in state.hosts if name not in offered]:
        gone = state.replace(state.hosts, name, None)
        state.replace(state.absent_hosts, name, gone)
        if name in state.tasks.by_host:
            silence.arm(tx, name)
    for name, host in offered.items():
        if state.hosts.get(name) is host:
            continue  # of ten thousand nearly all are the same
        asked = state.maintenance.get(name)
        if asked is not None and asked.mode is not host.mode:
            host = attrs.evolve(host, mode=asked.mode)
        known = state.hosts.get(name)
        if known != host:
            state.replace(state.hosts, name, host)
            if known is None:
                silence.heard(tx, name)
            if host.unavailable_from_ms is not None:
                draining.announced(tx, name, host.unavailable_from_ms)
    for name in [name for name in state.absent_hosts if name in offered or name not in state.tasks.by_host]:
        state.replace(state.absent_hosts, name, None)
    tx.wants_placement = True


def take_reports(tx: Transaction, reports: Iterable[tuple[str, TaskStatus, str | None, int | None]]) -> None:
    """What the engine says of tasks: (task id, status, why, when or None)."""
    for task_id, status, message, at_ms in reports:
        lifecycle.transition(tx, task_id, status, message, at_ms=at_ms)
        if status in TERMINAL_STATES and task_id not in tx.state.tasks:
            tx.effect(Forget((task_id,)))


def reconcile(
    tx: Transaction,
    ids: Iterable[str],
    present: Mapping[str, TaskStatus],
    hosts: Set[str],
    missing_before: Set[str],
    missing: list[str],
) -> None:
    """Does everything run that should? `present` is all that the engine has on `hosts`, for which alone it speaks.

    Of `ids`, those that should be there and are not are added to `missing`; those that were missing in the list before
    too (`missing_before`) are LOST. An ASSIGNED task that is absent is launched again: same id, same host. A task on
    another host is left to that host's silence, or to its own deadline.
    """
    for task_id in ids:
        task = tx.state.tasks.get(task_id)
        if task is None or task.status not in ASSIGNED_STATES:
            continue
        if task_id in present:
            if task.status in END_ASKED_STATES and present[task_id] not in TERMINAL_STATES:
                tx.effect(Terminate(task_id, host=task.host))
        elif task.host not in hosts:
            continue
        elif task.status is TaskStatus.ASSIGNED:
            tx.effect(Launch(task))
            tx.say(task_id, "was assigned and never started: launched again")
        elif task_id in missing_before:
            tx.say(task_id, "the engine does not know it: LOST")
            lifecycle.transition(tx, task_id, TaskStatus.LOST, "Task is unknown to the engine")
        else:
            missing.append(task_id)


def end_unwanted(tx: Transaction, present: Iterable[tuple[str, TaskStatus]]) -> None:
    """Does anything run that should not? It is ended; what has ended already need not be kept."""
    for task_id, reported in present:
        task = tx.state.tasks.get(task_id)
        if task is None or task.status in TERMINAL_STATES:
            if reported in TERMINAL_STATES:
                tx.effect(Forget((task_id,)))
            else:
                tx.effect(Terminate(task_id, hard=True))
                tx.say(task_id, "runs but is not wanted: ended")
