"""Keeping room for somebody, and giving it up again. What a reservation is: `reservations.py`."""

from __future__ import annotations

from scheduler.core.placement.fit import request_of
from scheduler.core.placement.reservations import Instance, Reservation, ReservationKey
from scheduler.core.records import Task, TaskConfig
from scheduler.core.transaction import DeadlineKind, Transaction


def keep(tx: Transaction, key: ReservationKey, config: TaskConfig, for_ms: int) -> None:
    """Room for one task of this configuration, for so long at most."""
    reservation = Reservation(request_of(tx.policy, config).need, tx.now_ms + for_ms)
    tx.state.replace(tx.state.reservations, key, reservation)
    tx.arm(DeadlineKind.RESERVATION, key, reservation.until_ms)


def keep_for_successor(tx: Transaction, task: Task, config: TaskConfig | None) -> None:
    """An update ends this task: where it was, there is to be room for what follows it (update affinity)."""
    policy = tx.policy
    if policy.enable_update_affinity and config is not None and task.host is not None:
        key = ReservationKey(task.host, Instance(task.job, task.instance_id))
        keep(tx, key, config, policy.update_affinity_reservation_hold_ms)


def give_up(tx: Transaction, key: ReservationKey) -> None:
    tx.state.replace(tx.state.reservations, key, None)
    tx.wants_placement = True  # what was kept is free for others


def settle(tx: Transaction, task: Task) -> None:
    """A task was given a host: what was kept for it is not needed any more, wherever that was."""
    table, config = tx.state.reservations, task.config
    for host in list(table.by_owner.get(Instance(task.job, task.instance_id), ())):
        give_up(tx, ReservationKey(host, Instance(task.job, task.instance_id)))
    kept = list(table.by_owner.get(config, ()))
    if task.host in kept:
        kept.remove(task.host)
        give_up(tx, ReservationKey(task.host, config))
    for host in kept[len(tx.state.tasks.pending.get(config, ())) :]:
        give_up(tx, ReservationKey(host, config))


def forget_of(tx: Transaction, config: TaskConfig) -> None:
    """No task of this configuration waits any more."""
    for host in list(tx.state.reservations.by_owner.get(config, ())):
        give_up(tx, ReservationKey(host, config))


def expired(tx: Transaction, key: ReservationKey) -> None:
    """Its deadline is reached; it may have been given up, or made anew, meanwhile."""
    reservation = tx.state.reservations.get(key)
    if reservation is not None and reservation.until_ms <= tx.now_ms:
        give_up(tx, key)
